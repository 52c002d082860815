/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_LAYER_APPLY_H
#define COWSNAP_LAYER_APPLY_H

/*
 * The rules by which the entries of a layer become a tree; docs/extraction.md lists them. Runs on
 * the thread that reads the archive.
 */

#include "base/result.h"
#include "layer/layer.h"
#include "layer/room.h"
#include "layer/spill.h"
#include "layer/tar_reader.h"
#include "layer/tree.h"

struct apply {
    struct tree *tree;
    enum whiteout_style whiteouts;
    bool early; /* large files: start to write them back, all is synced at the end */
    struct layer_result *result; /* entries and file_bytes are counted here */
    bool refuse_devices;
    struct room room;              /* of the target */
    struct spill_list directories; /* entries for folders, whose times are set last */
    uint32_t uid, gid;             /* of this process */
};

/* All but APPLY is borrowed. */
int apply_init(struct apply *apply, struct tree *tree, const struct layer_request *request,
               struct layer_result *result, struct reason *why);
void apply_deinit(struct apply *apply);

/* Puts one entry into the tree; the data of a file is taken from READER. */
int apply_entry(struct apply *apply, const struct entry *entry, struct tar_reader *reader,
                struct reason *why);

/* After the last entry: waits for the writers, then sets the times of folders. */
int apply_finish(struct apply *apply, struct reason *why);

#endif
