/* SPDX-License-Identifier: Apache-2.0 */
#include "crash/replay.h"

#include "base/scoped.h"
#include "crash/chance.h"
#include "crash/write_log.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECE ((uint64_t)4096) /* that a disk writes as a whole, or does not */
#define COPY_ROOM ((size_t)1 << 20)
#define LATER_MOST 12 /* flushes after the mark that the power may outlast */

/* ---- which writes are left ---- */

/* Entries below SAFE are on the disk, those from there to END may be. */
struct span {
    size_t safe, end;
};

static size_t find_mark(const struct write_entry *entries, size_t count, const char *mark)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(entries[i].mark, mark) == 0)
            return i;
    errx(1, "the log of %zu writes lacks the mark %s: is it full?", count, mark);
}

/* The power goes just before one of the first flushes after the mark is done, or at the end. */
static struct span choose(const struct write_entry *entries, size_t count, uint64_t *chance)
{
    size_t cut = find_mark(entries, count, REPLAY_CUT), end = find_mark(entries, count, REPLAY_END);
    /* rather early: later ones are of what is unmounted after the cut, which makes good what was
     * not synced before it */
    unsigned later = chance_below(chance, 1 + chance_below(chance, LATER_MOST));
    struct span span = {.end = cut};

    while (span.end < end && (!entries[span.end].flush || later-- > 0))
        span.end++;
    for (size_t i = span.end; i > 0 && span.safe == 0; i--)
        if (entries[i - 1].flush)
            span.safe = i - 1; /* its own data, if any, came after it */
    return span;
}

/* ---- applying them ---- */

static void copy(int from, uint64_t from_at, int to, uint64_t to_at, uint64_t length)
{
    static char room[COPY_ROOM];

    while (length > 0) {
        size_t part = length < sizeof(room) ? length : sizeof(room);

        if (pread(from, room, part, (off_t)from_at) != (ssize_t)part ||
            pwrite(to, room, part, (off_t)to_at) != (ssize_t)part)
            err(1, "copy %zu bytes of a disk", part);
        from_at += part;
        to_at += part;
        length -= part;
    }
}

static void empty(int disk, uint64_t at, uint64_t length)
{
    if (length &&
        fallocate(disk, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at, (off_t)length) < 0)
        err(1, "empty %llu bytes of a disk", (unsigned long long)length);
}

static void apply(const struct write_entry *entry, int log, int disk)
{
    if (entry->discard)
        empty(disk, entry->at, entry->length);
    else
        copy(log, entry->data, disk, entry->at, entry->length);
}

/* Each piece of it or not: KEEP of 4 are. */
static void apply_some(const struct write_entry *entry, int log, int disk, unsigned keep,
                       uint64_t *chance)
{
    for (uint64_t done = 0; done < entry->length; done += PIECE) {
        struct write_entry piece = *entry;

        if (chance_below(chance, 4) >= keep)
            continue;
        piece.at += done;
        piece.data += done;
        piece.length = entry->length - done < PIECE ? entry->length - done : PIECE;
        apply(&piece, log, disk);
    }
}

void replay(int log, int then, int now, uint64_t *chance)
{
    size_t count;
    scoped_free struct write_entry *entries = write_log_read(log, &count);
    struct span span = choose(entries, count, chance);
    unsigned keep = chance_below(chance, 5);

    for (size_t i = 0; i < span.end; i++)
        if (i < span.safe || entries[i].through)
            apply(&entries[i], log, then);
        else
            apply_some(&entries[i], log, then, keep, chance);
    for (size_t i = 0; i < count; i++)
        copy(then, entries[i].at, now, entries[i].at, entries[i].length);
}

void replay_copy_file(int from, int to)
{
    off_t at = 0, end;

    while ((at = lseek(from, at, SEEK_DATA)) >= 0) {
        end = lseek(from, at, SEEK_HOLE);
        copy(from, (uint64_t)at, to, (uint64_t)at, (uint64_t)(end - at));
        at = end;
    }
    if (errno != ENXIO)
        err(1, "copy a disk");
}
