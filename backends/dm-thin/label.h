/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_BACKENDS_DM_THIN_LABEL_H
#define COWSNAP_BACKENDS_DM_THIN_LABEL_H

/*
 * The first block of the pool's label volume: whose pool this is, and what all its volumes have in
 * common. Text, a "key=value" a line, filled up with zeros. No I/O.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LABEL_BLOCK 4096
#define LABEL_ROOT 3072

struct label {
    char root[LABEL_ROOT];   /* path of the root folder of the daemon it belongs to */
    char file_system[8];     /* "ext4" or "xfs" */
    uint64_t volume_sectors; /* how large each volume is */
    uint64_t transaction;    /* the pool's transaction id that stands for epoch 0 */
    uint64_t base_inodes;    /* in use in the base volume */
    bool ready;              /* the base volume is complete */
};

/* False when ROOT is too long. */
bool label_format(const struct label *label, char block[LABEL_BLOCK]);

/* False when the block is no label. */
bool label_parse(const char block[LABEL_BLOCK], struct label *label);

/* Whether nothing was ever written there. */
bool label_is_blank(const char block[LABEL_BLOCK]);

#endif
