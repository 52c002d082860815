/* SPDX-License-Identifier: Apache-2.0 */
#include "crash/replay.h"

#include "base/scoped.h"

#include <endian.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "unit/cmocka_setup.h"

/*
 * Logs as the kernel writes them, made by hand, and replayed with many seeds: what was flushed or
 * has passed the cache is always there, what comes after the power went never, and the rest with
 * some seeds. A piece of the disk is 4 KiB and holds one letter.
 */

#define SECTOR_SIZE 512
#define PIECE 4096
#define PIECES 16
#define SEEDS 400

enum { FLUSH = 1, FUA = 2, DISCARD = 4, MARK = 8 };

struct rig {
    int log, then, now;
    uint64_t at, entries;
};

static int memory_file(const char *name)
{
    int fd = memfd_create(name, MFD_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, PIECES * PIECE), 0);
    return fd;
}

static void put(int fd, const void *data, size_t length, uint64_t at)
{
    assert_int_equal(pwrite(fd, data, length, (off_t)at), length);
}

static void rig_begin(struct rig *rig)
{
    *rig = (struct rig){
        .log = memory_file("log"),
        .then = memory_file("then"),
        .now = memory_file("now"),
        .at = SECTOR_SIZE,
    };
}

static void rig_end(struct rig *rig)
{
    close(rig->log);
    close(rig->then);
    close(rig->now);
}

/* An entry, with COUNT pieces of LETTER from piece AT on; all writes are in NOW. */
static void enter(struct rig *rig, uint64_t flags, unsigned at, unsigned count, char letter,
                  const char *mark)
{
    char data[PIECES * PIECE], sector[SECTOR_SIZE] = {0};
    uint64_t head[4] = {htole64(at * PIECE / SECTOR_SIZE), htole64(count * PIECE / SECTOR_SIZE),
                        htole64(flags), htole64(strlen(mark))};

    memcpy(sector, head, sizeof(head));
    memcpy(sector + sizeof(head), mark, strlen(mark));
    put(rig->log, sector, sizeof(sector), rig->at);
    rig->at += sizeof(sector);
    rig->entries++;
    memset(data, flags & DISCARD ? 0 : letter, sizeof(data));
    if (count)
        put(rig->now, data, count * PIECE, at * PIECE);
    if (!count || flags & DISCARD)
        return;
    put(rig->log, data, count * PIECE, rig->at);
    rig->at += count * PIECE;
}

static void rig_replay(struct rig *rig, uint64_t seed)
{
    struct {
        uint64_t magic, version, entries;
        uint32_t sector;
    } super = {htole64(UINT64_C(0x6a736677736872)), htole64(1), htole64(rig->entries),
               htole32(SECTOR_SIZE)};

    put(rig->log, &super, 28, 0);
    replay(rig->log, rig->then, rig->now, &seed);
}

/* The letter of a piece, the same in both files and throughout; 0 for zeros. */
static char letter_at(const struct rig *rig, unsigned piece)
{
    char then[PIECE], now[PIECE];

    assert_int_equal(pread(rig->then, then, PIECE, (off_t)piece * PIECE), PIECE);
    assert_int_equal(pread(rig->now, now, PIECE, (off_t)piece * PIECE), PIECE);
    assert_memory_equal(then, now, PIECE);
    for (unsigned i = 1; i < PIECE; i++)
        assert_int_equal(then[i], then[0]);
    return then[0];
}

static void what_was_flushed_stays_and_the_rest_may_go(void **state)
{
    unsigned kept = 0, halves = 0;

    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct rig rig;

        rig_begin(&rig);
        enter(&rig, 0, 0, 1, 'a', "");
        enter(&rig, FLUSH, 0, 0, 0, "");
        enter(&rig, FUA, 1, 1, 'b', "");
        enter(&rig, MARK, 0, 0, 0, REPLAY_CUT);
        enter(&rig, 0, 2, 2, 'c', "");
        enter(&rig, MARK, 0, 0, 0, REPLAY_END);
        enter(&rig, 0, 4, 1, 'd', "");
        enter(&rig, FLUSH, 0, 0, 0, "");
        rig_replay(&rig, seed);
        assert_int_equal(letter_at(&rig, 0), 'a');
        assert_int_equal(letter_at(&rig, 1), 'b');
        bool first = letter_at(&rig, 2) == 'c', second = letter_at(&rig, 3) == 'c';
        kept += first;
        halves += first != second;
        assert_int_equal(letter_at(&rig, 4), 0); /* after the power went */
        rig_end(&rig);
    }
    assert_in_range(kept, SEEDS / 4, SEEDS * 3 / 4);
    assert_in_range(halves, 1, SEEDS / 2);
}

/* The flush that the power did not outlast keeps nothing; with one that it did, what came before is
 * there, also when it is written over later. */
static void the_power_goes_at_any_flush_after_the_mark(void **state)
{
    unsigned early = 0, late = 0;

    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct rig rig;

        rig_begin(&rig);
        enter(&rig, MARK, 0, 0, 0, REPLAY_CUT);
        for (unsigned i = 0; i < 6; i++) {
            enter(&rig, 0, i, 1, 'a', "");
            enter(&rig, FLUSH, 0, 0, 0, "");
        }
        enter(&rig, MARK, 0, 0, 0, REPLAY_END);
        rig_replay(&rig, seed);
        unsigned last = 0;
        for (unsigned i = 0; i < 6; i++)
            if (letter_at(&rig, i) == 'a')
                last = i + 1;
        for (unsigned i = 0; i + 1 < last; i++)
            assert_int_equal(letter_at(&rig, i), 'a');
        early += last == 0;
        late += last == 6;
        rig_end(&rig);
    }
    assert_in_range(early, 1, SEEDS / 2);
    assert_in_range(late, 1, SEEDS - 1);
}

static void a_discard_empties(void **state)
{
    struct rig rig;

    (void)state;
    rig_begin(&rig);
    enter(&rig, 0, 0, 3, 'a', "");
    enter(&rig, DISCARD, 1, 1, 0, "");
    enter(&rig, 0, 5, 1, 'b', ""); /* where its data is tells that a discard has none */
    enter(&rig, FLUSH, 0, 0, 0, "");
    enter(&rig, MARK, 0, 0, 0, REPLAY_CUT);
    enter(&rig, MARK, 0, 0, 0, REPLAY_END);
    rig_replay(&rig, 1);
    assert_int_equal(letter_at(&rig, 0), 'a');
    assert_int_equal(letter_at(&rig, 1), 0);
    assert_int_equal(letter_at(&rig, 2), 'a');
    assert_int_equal(letter_at(&rig, 5), 'b');
    rig_end(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_flushed_stays_and_the_rest_may_go),
        cmocka_unit_test(the_power_goes_at_any_flush_after_the_mark),
        cmocka_unit_test(a_discard_empties),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
