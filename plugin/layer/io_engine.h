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
#include "layer/entry.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

struct io_engine_handle;

/* A file to be made. What it points to must stay until end() of the same file returns; the engine
 * copies what it needs longer. */
struct io_file {
    int directory;    /* open directory fd; stays open until drain() */
    const char *name; /* one component; nothing of that name is there */
    uint32_t mode;    /* 07777 bits as they shall be in the end */
    uint32_t uid, gid;
    bool plain_owner; /* a new file in DIRECTORY is owned as wanted: no chown */
    bool plain_mode;  /* a new file in DIRECTORY keeps the MODE it is opened with: no chmod */
    uint64_t size;
    bool early;               /* a hint: start to write it back at once, all is synced at the end */
    struct timespec times[2]; /* access, modification; as utimensat(2) takes them */
    const struct entry_xattr *xattrs;
    size_t xattr_count;
};

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
