/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_LAYER_IO_ENGINE_H
#define COWSNAP_LAYER_IO_ENGINE_H

/*
 * How one writer thread makes regular files. Everything else of a layer (directories, links,
 * devices) is rare enough for plain system calls in apply.c. Two engines exist, io_uring and plain
 * calls; tests put lying ones in their place.
 *
 * An engine handle belongs to one thread. Files are made one after another from the caller's view:
 * begin, any number of writes, end. An engine may run them later and together; errors then come
 * from a later call, and name the file they belong to.
 */

#include "base/result.h"
#include "layer/chunk.h"
#include "layer/metadata.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct io_engine_handle;

/* A file to be made. What it points to must stay until end() of the same file returns; the engine
 * copies what it needs longer. */
struct io_file {
    int directory;    /* open directory fd; stays open until drain() */
    const char *name; /* one component; nothing of that name is there */
    uint64_t size;
    bool early; /* a hint: start to write it back at once, all is synced at the end */
    /* As it shall be in the end. "Plain": a new file in DIRECTORY is owned so, and keeps the mode
     * that it is opened with. */
    struct metadata metadata;
};

/* The mode to open a new file with: set-ID bits come last, since a change of owner would take them
 * away again. */
static inline uint32_t io_file_mode(const struct io_file *file)
{
    return file->metadata.plain_mode ? file->metadata.mode : file->metadata.mode & 0777;
}

struct io_engine {
    const char *name; /* "io_uring", "plain"; as --io-engine takes it */

    /* Whether this machine can run it; the sentence in WHY says what is missing. */
    int (*probe)(struct reason *why);

    int (*open)(struct io_engine_handle **handle, struct reason *why);
    /* Waits for what is under way, frees. */
    void (*close)(struct io_engine_handle *handle);

    int (*begin)(struct io_engine_handle *handle, const struct io_file *file, struct reason *why);
    /* LENGTH bytes at OFFSET of the file begun; the engine takes its own reference to CHUNK. */
    int (*write)(struct io_engine_handle *handle, struct chunk *chunk, const uint8_t *data,
                 size_t length, uint64_t offset, struct reason *why);
    int (*end)(struct io_engine_handle *handle, struct reason *why);
    /* Everything begun so far is complete, its chunks given back, or the first error. */
    int (*drain)(struct io_engine_handle *handle, struct reason *why);
};

extern const struct io_engine io_engine_plain;
extern const struct io_engine io_engine_uring;

/* The engine called NAME, or for "auto" the best that passes its probe (logged). CONDITION_INVALID
 * for a name that is none; CONDITION_UNAVAILABLE for one whose probe fails. */
int io_engine_choose(const char *name, const struct io_engine **engine, struct reason *why);

#endif
