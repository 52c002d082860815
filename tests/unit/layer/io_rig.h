/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_TESTS_LAYER_IO_RIG_H
#define COWSNAP_TESTS_LAYER_IO_RIG_H

/*
 * An engine under test, with a folder on a small tmpfs in a mount namespace of the test's own, and
 * chunks to write from.
 */

#include "layer/io_engine.h"

#include <stdbool.h>
#include <sys/stat.h>

#define IO_RIG_CHUNKS 16u
#define IO_RIG_SPACE (16u << 20) /* bytes that the folder's file system takes */

struct io_rig {
    const struct io_engine *engine;
    struct io_engine_handle *handle;
    char path[64];
    int folder;
    struct chunk_pool *pool;
    struct chunk *chunk; /* full of bytes, each different from its neighbours */
    struct reason why;
};

/* Enters a mount namespace. False, having said why, when this machine cannot run such tests: the
 * program should then end with 77. */
bool io_rig_can_run(void);

/* cmocka set-up and tear-down: the engine comes in *STATE, and the rig goes out. The tear-down
 * fails when a chunk was not given back, or the file system is still in use. */
int io_rig_open(void **state);
int io_rig_close(void **state);

/* What a file NAME of SIZE bytes is like when nothing else is asked for: ours, 0644, of 2001. */
struct io_file io_rig_file(const struct io_rig *rig, const char *name, uint64_t size);

/* Makes FILE in one go, with its SIZE bytes from the chunk, as often as needed. The first error. */
int io_rig_make(struct io_rig *rig, const struct io_file *file);
/* As that, and drains. */
int io_rig_make_now(struct io_rig *rig, const struct io_file *file);

/* Runs a call of the engine that has to succeed. */
#define io_rig_must(rig, call) io_rig_check_((rig), (call), #call, __FILE__, __LINE__)
void io_rig_check_(const struct io_rig *rig, int result, const char *call, const char *file,
                   int line);

struct stat io_rig_stat(const struct io_rig *rig, const char *name);
/* Fails unless NAME holds the LENGTH bytes of the chunk from START on, at OFFSET. */
void io_rig_holds(const struct io_rig *rig, const char *name, uint64_t offset, size_t start,
                  size_t length);

#endif
