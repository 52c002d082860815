/* SPDX-License-Identifier: Apache-2.0 */
#include "crash/write_log.h"

#include <endian.h>
#include <err.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOG_MAGIC UINT64_C(0x6a736677736872)
#define LOG_VERSION 1

#define FLAG_FLUSH 1
#define FLAG_FUA 2
#define FLAG_DISCARD 4
#define FLAG_MARK 8

/* struct log_write_super and struct log_write_entry of drivers/md/dm-log-writes.c */
struct log_super {
    uint64_t magic, version, entries;
    uint32_t sector_size;
} __attribute__((packed));

struct log_entry {
    uint64_t sector, sectors, flags, data_length;
    char data[64];
} __attribute__((packed));

static void read_at(int log, void *data, size_t length, uint64_t at)
{
    if (pread(log, data, length, (off_t)at) != (ssize_t)length)
        err(1, "read the log of writes at %llu", (unsigned long long)at);
}

static void parse(const struct log_entry *raw, uint64_t sector_size, struct write_entry *entry)
{
    uint64_t flags = le64toh(raw->flags), mark = le64toh(raw->data_length);

    *entry = (struct write_entry){
        .at = le64toh(raw->sector) * sector_size,
        .length = le64toh(raw->sectors) * sector_size,
        .flush = flags & FLAG_FLUSH,
        .through = flags & FLAG_FUA,
        .discard = flags & FLAG_DISCARD,
    };
    if (!(flags & FLAG_MARK))
        return;
    if (mark >= sizeof(raw->data))
        errx(1, "a mark of %llu bytes in the log of writes", (unsigned long long)mark);
    /* one that is longer than ours is no mark of ours */
    if (mark < sizeof(entry->mark))
        memcpy(entry->mark, raw->data, mark);
}

struct write_entry *write_log_read(int log, size_t *count)
{
    struct log_super super;
    uint64_t at, sector_size;

    read_at(log, &super, sizeof(super), 0);
    sector_size = le32toh(super.sector_size);
    if (le64toh(super.magic) != LOG_MAGIC || le64toh(super.version) != LOG_VERSION ||
        sector_size < sizeof(struct log_entry))
        errx(1, "this is no log of dm-log-writes, or one of another version");
    *count = le64toh(super.entries);
    struct write_entry *entries = calloc(*count + 1, sizeof(*entries));
    if (!entries)
        err(1, "memory");
    at = sector_size;
    for (size_t i = 0; i < *count; i++) {
        struct log_entry raw;

        read_at(log, &raw, sizeof(raw), at);
        parse(&raw, sector_size, &entries[i]);
        entries[i].data = at += sector_size;
        if (!entries[i].discard)
            at += entries[i].length;
    }
    return entries;
}
