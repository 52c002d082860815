/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_DIFF_DIFF_H
#define COWSNAP_DIFF_DIFF_H

/*
 * What containerd's diff service asks: a layer of the content store applied to mounts. It brings
 * together where the blob lies (content.c), what the mounts mean (target.c), and the extractor
 * (plugin/layer), and knows nothing of gRPC.
 */

#include "base/bytes.h"
#include "base/result.h"
#include "layer/io_engine.h"
#include "layer/stages.h"
#include "snapshot/snapshots.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct diff;

struct diff_options {
    struct snapshots *snapshots;    /* borrowed */
    const char *content_root;       /* folder that holds blobs/<algorithm>/<hex>; copied */
    const struct io_engine *engine; /* borrowed */
    unsigned writers;               /* threads of one Apply; 0 for a number fit for this machine */
    bool verify_blobs;              /* check the blob's own bytes against the descriptor's digest */
    uint64_t size_limit;            /* uncompressed bytes of one layer, 0 for no limit */
    unsigned ratio_limit; /* times its blob that a layer may inflate to (layer.h), 0 for any */
    bool refuse_devices;  /* layers with device nodes are refused */
    bool record_content;  /* what layers write is noted, for snapshots_check_content() */
};

int diff_open(struct diff **diff, const struct diff_options *options, struct reason *why);
/* No Apply may be under way. NULL is allowed; returns NULL. */
struct diff *diff_close(struct diff *diff);

struct diff_apply_request {
    struct bytes media_type;
    struct bytes digest; /* of the blob as it lies in the content store: "sha256:<hex>" */
    int64_t size;        /* of the blob; 0 when not told */
    const struct mounts *mounts;
    bool sync;           /* containerd asks for it; ours are durable anyway */
    bool encrypted;      /* a payload needs a decryption that is not done here */
    atomic_bool *cancel; /* set by another thread when the caller is gone, or by the removal of the
                            snapshot */
};

struct diff_apply_result {
    const char *media_type;  /* of the uncompressed layer; static */
    char digest[7 + 64 + 1]; /* the diff id: "sha256:<hex>" */
    uint64_t size;           /* of the uncompressed stream, bytes */
};

/* CONDITION_UNIMPLEMENTED tells containerd to try its next differ: a media type or mount not known
 * here, an encrypted layer. Otherwise as layer_apply(). */
int diff_apply(struct diff *diff, const struct diff_apply_request *request,
               struct diff_apply_result *result, struct reason *why);

struct diff_figures {
    uint64_t layers; /* applied since diff_open() */
    struct stages stages;
};

/* Where the time of layers went; those that failed, or are under way, are not in it. Any thread. */
void diff_figures(struct diff *diff, struct diff_figures *figures);

#endif
