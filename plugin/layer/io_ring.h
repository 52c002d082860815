/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_LAYER_IO_RING_H
#define COWSNAP_LAYER_IO_RING_H

/*
 * An io_uring of one thread, with slots that take the place of file descriptors. Requests form
 * chains: each starts when the one before it has done all it was asked for. A chain tells one
 * completion: that of its last request, or that of the first one that failed or wrote too little;
 * what stands behind that is not begun (io_uring_enter(2), IOSQE_IO_LINK and
 * IOSQE_CQE_SKIP_SUCCESS).
 *
 * All of it belongs to the thread that called io_ring_init().
 */

#include "base/result.h"

#include <liburing.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct io_ring {
    struct io_uring ring;
    unsigned pending; /* chains under way */
};

struct io_ring_completion {
    uint64_t tag; /* as the request had it */
    int result;   /* bytes written, 0, or minus an errno */
};

/* SLOTS file slots, all empty; room for SLOTS chains of CHAIN requests at once, which WORKERS
 * kernel threads work on. CONDITION_UNAVAILABLE when this kernel does not have, or this process may
 * not use, what is needed; the sentence in WHY says what that is. */
int io_ring_init(struct io_ring *ring, unsigned slots, unsigned chain, unsigned workers,
                 struct reason *why);
/* Nothing may be under way. Files in slots are closed, but a little later. */
void io_ring_deinit(struct io_ring *ring);

/* One request of a chain each; LAST ends it. What the pointers lead to must stay until the chain
 * has told its completion. Nothing starts before io_ring_submit(). */
void io_ring_open(struct io_ring *ring, unsigned slot, int directory, const char *name, int flags,
                  uint32_t mode, uint64_t tag, bool last);
void io_ring_write(struct io_ring *ring, unsigned slot, const uint8_t *data, size_t length,
                   uint64_t offset, uint64_t tag, bool last);
void io_ring_truncate(struct io_ring *ring, unsigned slot, uint64_t size, uint64_t tag, bool last);
void io_ring_close(struct io_ring *ring, unsigned slot, uint64_t tag, bool last);

/* Starts what was queued, and waits until LEAST completions, of chains that are pending, can be
 * taken. */
int io_ring_submit(struct io_ring *ring, unsigned least, struct reason *why);
/* Takes a completion, if there is one. */
bool io_ring_next(struct io_ring *ring, struct io_ring_completion *completion);

#endif
