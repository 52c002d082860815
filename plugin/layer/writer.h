/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_LAYER_WRITER_H
#define COWSNAP_LAYER_WRITER_H

/*
 * The threads that make regular files. One thread, the caller, hands files to them; each has a
 * queue of its own and a handle of the I/O engine. A folder keeps to one writer while that one is
 * not far behind the others, since the kernel lets one thread at a time create files in a folder.
 *
 * A file's data travels as references to chunks, so that a file of any size takes no memory, and a
 * writer whose queue is empty drains its engine before it waits: it never sits on chunks.
 *
 * The first error ends the work of all writers. Every later call returns it.
 */

#include "base/result.h"
#include "layer/directory.h"
#include "layer/io_engine.h"
#include "layer/stages.h"

#include <stdatomic.h>
#include <stdint.h>

#define WRITERS_MOST 32u

struct writer_pool;

/* Starts COUNT threads (at most WRITERS_MOST), each with a handle of ENGINE, which must outlive the
 * pool. CANCEL may be NULL; once it is set, the writers throw their work away, and what was thrown
 * away is told as CONDITION_CANCELLED. */
int writer_pool_new(struct writer_pool **pool, const struct io_engine *engine, unsigned count,
                    const atomic_bool *cancel, struct reason *why);
/* Ends the threads; what is queued is thrown away. NULL is allowed; returns NULL. */
struct writer_pool *writer_pool_free(struct writer_pool *pool);

/* Begins a file in DIRECTORY; file->directory is set here, and everything is copied. Nothing of
 * that name may be there. */
int writer_pool_begin(struct writer_pool *pool, struct directory *directory,
                      const struct io_file *file, struct reason *why);
/* LENGTH bytes at OFFSET of that file; takes a reference of its own to CHUNK. */
int writer_pool_data(struct writer_pool *pool, struct chunk *chunk, const uint8_t *data,
                     size_t length, uint64_t offset, struct reason *why);
/* No more data comes. */
int writer_pool_end(struct writer_pool *pool, struct reason *why);

/* Waits until the writers in the bit mask WRITERS have made all files they were given. */
int writer_pool_wait(struct writer_pool *pool, uint64_t writers, struct reason *why);

/* What writing took so far, and the caller's wait for it. */
void writer_pool_stages(struct writer_pool *pool, struct stages *stages);

/* All writers there are, as a bit mask. */
uint64_t writer_pool_all(const struct writer_pool *pool);

#endif
