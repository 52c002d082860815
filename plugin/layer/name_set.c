/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/name_set.h"

#include "layer/spill.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

/*
 * In memory: open addressing, a power of two of slots, at most three quarters used.
 *
 * In the file: 2^bits blocks of 512 slots; a hash belongs to the block that its highest bits name,
 * wherever there is room. When a block is full, the file is written anew with twice the blocks:
 * block i falls apart into 2i and 2i+1, so that both files are passed once from start to end.
 *
 * 0 marks a free slot; a hash of 0 counts as 1.
 */

#define NAME_SET_SLOTS 4096 /* at the start */
#define NAME_SET_BLOCK 512  /* slots in a block of the file: 4 KiB */

struct name_set {
    uint64_t key[2];
    int folder;
    size_t most; /* slots in memory */

    uint64_t *slots; /* NULL once the set lives in the file */
    size_t count, room;

    int fd; /* -1 before */
    unsigned bits;
};

static inline uint64_t rotate(uint64_t word, unsigned by)
{
    return (word << by) | (word >> (64 - by));
}

/* SipHash-1-3 (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012), fed in pieces. */
struct sip {
    uint64_t v0, v1, v2, v3;
    uint64_t word; /* the bytes that do not make up a whole word yet */
    uint64_t length;
};

static void sip_round(struct sip *sip)
{
    sip->v0 += sip->v1;
    sip->v1 = rotate(sip->v1, 13) ^ sip->v0;
    sip->v0 = rotate(sip->v0, 32);
    sip->v2 += sip->v3;
    sip->v3 = rotate(sip->v3, 16) ^ sip->v2;
    sip->v0 += sip->v3;
    sip->v3 = rotate(sip->v3, 21) ^ sip->v0;
    sip->v2 += sip->v1;
    sip->v1 = rotate(sip->v1, 17) ^ sip->v2;
    sip->v2 = rotate(sip->v2, 32);
}

static void sip_word(struct sip *sip, uint64_t word)
{
    sip->v3 ^= word;
    sip_round(sip);
    sip->v0 ^= word;
}

static void sip_text(struct sip *sip, const char *text)
{
    for (; *text; text++) {
        sip->word |= (uint64_t)(uint8_t)*text << (sip->length % 8 * 8);
        if (++sip->length % 8 == 0) {
            sip_word(sip, sip->word);
            sip->word = 0;
        }
    }
}

static uint64_t name_set_hash(const struct name_set *set, const char *folder, const char *base,
                              enum name_note note)
{
    struct sip sip = {
        .v0 = set->key[0] ^ 0x736f6d6570736575,
        .v1 = set->key[1] ^ 0x646f72616e646f6d,
        .v2 = set->key[0] ^ 0x6c7967656e657261,
        .v3 = set->key[1] ^ 0x7465646279746573,
    };
    uint64_t hash;

    sip_word(&sip, (uint64_t)note);
    sip_text(&sip, folder);
    if (*folder && *base)
        sip_text(&sip, "/");
    sip_text(&sip, base);
    sip_word(&sip, sip.word | sip.length << 56);
    sip.v2 ^= 0xff;
    sip_round(&sip);
    sip_round(&sip);
    sip_round(&sip);
    hash = sip.v0 ^ sip.v1 ^ sip.v2 ^ sip.v3;
    return hash ? hash : 1;
}

int name_set_new(struct name_set **set, int folder, size_t memory, struct reason *why)
{
    struct name_set *made = calloc(1, sizeof(*made));

    if (made)
        made->slots = calloc(NAME_SET_SLOTS, sizeof(*made->slots));
    if (!made || !made->slots) {
        free(made);
        return failure(why, ENOMEM, "cannot keep the names of a layer");
    }
    made->folder = folder;
    made->fd = -1;
    made->room = NAME_SET_SLOTS;
    made->most = memory / sizeof(*made->slots);
    if (getrandom(made->key, sizeof(made->key), 0) != sizeof(made->key)) {
        name_set_free(made);
        return failure(why, errno, "cannot get random bytes");
    }
    *set = made;
    return 0;
}

struct name_set *name_set_free(struct name_set *set)
{
    if (!set)
        return NULL;
    if (set->fd >= 0)
        close(set->fd);
    free(set->slots);
    free(set);
    return NULL;
}

/* The slot that holds HASH, or the free one where it belongs. */
static uint64_t *name_set_slot(uint64_t *slots, size_t room, uint64_t hash)
{
    size_t at = hash & (room - 1);

    while (slots[at] != 0 && slots[at] != hash)
        at = (at + 1) & (room - 1);
    return &slots[at];
}

/* Where HASH is in a block, or the first free slot; NAME_SET_BLOCK when there is none. */
static size_t name_set_in_block(const uint64_t *block, uint64_t hash)
{
    size_t at = 0;

    while (at < NAME_SET_BLOCK && block[at] != 0 && block[at] != hash)
        at++;
    return at;
}

static uint64_t name_set_block_offset(const struct name_set *set, uint64_t hash)
{
    return (hash >> (64 - set->bits)) * NAME_SET_BLOCK * sizeof(uint64_t);
}

static int compare_hashes(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;

    return (a > b) - (a < b);
}

/* Writes COUNT sorted hashes, all of those that lie in the blocks FIRST to END of a file with BITS.
 * *FITS is false when a block is too small for its share. */
static int name_set_write_blocks(int fd, unsigned bits, uint64_t first, uint64_t end,
                                 const uint64_t *hashes, size_t count, bool *fits,
                                 struct reason *why)
{
    uint64_t block[NAME_SET_BLOCK];
    size_t at = 0;

    for (uint64_t number = first; number < end; number++) {
        size_t used = 0;
        int result;

        memset(block, 0, sizeof(block));
        while (at < count && hashes[at] >> (64 - bits) == number) {
            if (used == NAME_SET_BLOCK) {
                *fits = false;
                return 0;
            }
            block[used++] = hashes[at++];
        }
        result = spill_write(fd, block, sizeof(block), number * sizeof(block), why);
        if (result)
            return result;
    }
    *fits = true;
    return 0;
}

/* From memory into a file. */
static int name_set_spill(struct name_set *set, struct reason *why)
{
    unsigned bits = 1;
    size_t count = 0;
    bool fits = false;
    int fd;
    int result = spill_open(set->folder, &fd, why);

    if (result)
        return result;
    for (size_t i = 0; i < set->room; i++)
        if (set->slots[i] != 0)
            set->slots[count++] = set->slots[i];
    qsort(set->slots, count, sizeof(*set->slots), compare_hashes);
    while ((size_t)NAME_SET_BLOCK << bits < count * 2)
        bits++;
    for (; !result && !fits; bits++) {
        result = name_set_write_blocks(fd, bits, 0, 1ull << bits, set->slots, count, &fits, why);
        if (fits)
            break;
    }
    if (result) {
        close(fd);
        return result;
    }
    set->fd = fd;
    set->bits = bits;
    free(set->slots);
    set->slots = NULL;
    return 0;
}

/* Into a file of twice the size. A block that splits always fits into its two halves, unless all
 * of it goes to one of them; there is room then, too. */
static int name_set_split(struct name_set *set, struct reason *why)
{
    uint64_t block[NAME_SET_BLOCK];
    unsigned bits = set->bits + 1;
    int fd;
    int result = spill_open(set->folder, &fd, why);

    if (result)
        return result;
    for (uint64_t number = 0; !result && number < 1ull << set->bits; number++) {
        size_t used;
        bool fits;

        result = spill_read(set->fd, block, sizeof(block), number * sizeof(block), why);
        if (result)
            break;
        used = name_set_in_block(block, 0);
        qsort(block, used, sizeof(*block), compare_hashes);
        result =
            name_set_write_blocks(fd, bits, number * 2, number * 2 + 2, block, used, &fits, why);
    }
    if (result) {
        close(fd);
        return result;
    }
    close(set->fd);
    set->fd = fd;
    set->bits = bits;
    return 0;
}

static int name_set_add_to_file(struct name_set *set, uint64_t hash, struct reason *why)
{
    uint64_t block[NAME_SET_BLOCK];

    for (;;) {
        uint64_t offset = name_set_block_offset(set, hash);
        int result = spill_read(set->fd, block, sizeof(block), offset, why);
        size_t at;

        if (result)
            return result;
        at = name_set_in_block(block, hash);
        if (at < NAME_SET_BLOCK) {
            if (block[at] == hash)
                return 0;
            return spill_write(set->fd, &hash, sizeof(hash), offset + at * sizeof(hash), why);
        }
        result = name_set_split(set, why);
        if (result)
            return result;
    }
}

/* Makes room in memory for one more, or moves to a file. */
static int name_set_grow(struct name_set *set, struct reason *why)
{
    size_t room = set->room * 2;
    uint64_t *slots;

    if (room > set->most)
        return name_set_spill(set, why);
    slots = calloc(room, sizeof(*slots));
    if (!slots)
        return failure(why, ENOMEM, "cannot keep the names of a layer");
    for (size_t i = 0; i < set->room; i++)
        if (set->slots[i] != 0)
            *name_set_slot(slots, room, set->slots[i]) = set->slots[i];
    free(set->slots);
    set->slots = slots;
    set->room = room;
    return 0;
}

int name_set_add(struct name_set *set, const char *folder, const char *base, enum name_note note,
                 struct reason *why)
{
    uint64_t hash = name_set_hash(set, folder, base, note);
    uint64_t *slot;

    if (set->slots && set->count >= set->room / 4 * 3) {
        int result = name_set_grow(set, why);

        if (result)
            return result;
    }
    if (!set->slots)
        return name_set_add_to_file(set, hash, why);
    slot = name_set_slot(set->slots, set->room, hash);
    if (*slot == 0)
        set->count++;
    *slot = hash;
    return 0;
}

int name_set_has(struct name_set *set, const char *folder, const char *base, enum name_note note,
                 bool *found, struct reason *why)
{
    uint64_t hash = name_set_hash(set, folder, base, note);
    uint64_t block[NAME_SET_BLOCK];
    size_t at;
    int result;

    if (set->slots) {
        *found = *name_set_slot(set->slots, set->room, hash) == hash;
        return 0;
    }
    result = spill_read(set->fd, block, sizeof(block), name_set_block_offset(set, hash), why);
    at = name_set_in_block(block, hash);
    *found = !result && at < NAME_SET_BLOCK && block[at] == hash;
    return result;
}
