/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_LAYER_LAYER_H
#define COWSNAP_LAYER_LAYER_H

/*
 * Applies one image layer to a directory: blob → inflate → SHA-256 ∥ tar reader → entries → sharded
 * writers → a directory fd. The result is what containerd's own walking differ would have made
 * (docs/extraction.md lists the rules), only sooner.
 *
 * Nothing is ever written outside the directory: every name of the layer is resolved beneath its fd
 * (layer/path.h).
 */

#include "base/result.h"
#include "layer/io_engine.h"
#include "layer/stages.h"
#include "layer/stream.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct manifest;

/* How a whiteout is kept. */
enum whiteout_style {
    WHITEOUT_DELETE,  /* the target holds the lower layers' files: remove them */
    WHITEOUT_OVERLAY, /* the target is an overlayfs upper: character device 0/0, and
                         trusted.overlay.opaque on a directory */
};

/* What keeps a layer from filling the place it is written to. */
struct layer_room {
    /* Whether there is room for PENDING bytes: for what comes until it is asked again, and for what
     * this layer wrote and the file system may not count as used yet. Called by the thread that
     * applies the layer, before the first entry and then every few MiB. CONDITION_EXHAUSTED: too
     * little is left; it is asked once more when all is on the disk (SETTLED), and that counts. */
    int (*look)(void *context, uint64_t pending, bool settled, struct reason *why);
    void *context;
    uint64_t block; /* bytes that what lies alone between two holes takes there, beside itself */
};

struct layer_request {
    int blob;              /* the layer as it lies in the content store; borrowed */
    const uint8_t *verify; /* expected SHA-256 of the blob's own bytes, or NULL not to check */
    int target;            /* directory to write into (O_RDONLY or O_PATH); borrowed */
    enum whiteout_style whiteouts;
    const char *const *lowers; /* for WHITEOUT_OVERLAY: the mount's lower folders, nearest first,
                                  NULL at the end; a missing parent takes its metadata from there */
    const struct io_engine *engine;
    unsigned writers;     /* threads that write files; 0 for a number fit for this machine */
    uint64_t size_limit;  /* uncompressed bytes allowed, 0 for no limit */
    unsigned ratio_limit; /* times the blob's size, see stream.h; 0 for no limit */
    bool refuse_devices;  /* character and block devices are refused */
    const struct layer_room *room; /* borrowed; NULL: until the disk is full */
    struct manifest *manifest;     /* what is written is noted there; borrowed; NULL for no note */
    bool sync;                     /* syncfs() the target before answering */
    const atomic_bool *cancel;     /* set by another thread to stop; may be NULL */
};

struct layer_result {
    struct stream_sum sum; /* digest (the diff id) and size of the uncompressed stream */
    uint64_t entries;      /* members of the archive that were applied */
    uint64_t inodes;       /* inodes made and not removed again */
    uint64_t file_bytes;   /* bytes of file data written, and a block for each hole before some */
    bool removed;          /* something that was there before was removed or replaced */
    struct stages stages;  /* where the time went; only when all went well */
};

/* Runs on the calling thread and on threads of its own, which are gone when it returns. On any
 * result but 0 the target holds a part of the layer and shall be thrown away.
 * CONDITION_INVALID: the layer is malformed or refused; CONDITION_EXHAUSTED: no space or inodes, or
 * a limit passed; CONDITION_CANCELLED: *CANCEL was set. Memory: at most 64 MiB for each call,
 * whatever the layer holds (docs/extraction.md shows the sum). */
int layer_apply(const struct layer_request *request, struct layer_result *result,
                struct reason *why);

#endif
