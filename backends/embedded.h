/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_BACKENDS_EMBEDDED_H
#define COWSNAP_BACKENDS_EMBEDDED_H

/*
 * How large the file of a pool becomes that the daemon makes itself, under its root, first and
 * later.
 */

#include "backends/backend.h"

#include <stdint.h>

#define EMBEDDED_SIZE_LEAST                                                                        \
    (UINT64_C(128) << 20) /* mkfs.btrfs takes 45 MiB; this is of some use                          \
                           */
#define EMBEDDED_SIZE_DEFAULT (UINT64_C(100) << 30) /* at most */

/* *SIZE in whole MiB, when it was asked for; 0: four fifths of what is free in the folder ROOT
 * (whose path ROOT_PATH is only for messages), at most EMBEDDED_SIZE_DEFAULT. So the pool says that
 * it is full, which every caller understands, before the disk below it is, which ends in write
 * errors. KIND is the pool's ("btrfs"), INSTEAD what else the operator may do, for messages.
 * CONDITION_INVALID: *SIZE is too small; CONDITION_EXHAUSTED: no room. */
int embedded_size(int root, const char *root_path, const char *kind, const char *instead,
                  uint64_t *size, struct reason *why);

/* The size in whole MiB that something of NOW bytes called WHAT ("the pool /x") is to become by
 * GROWTH. CONDITION_INVALID: it is larger already, or the sum is no number. */
int embedded_target(const struct pool_growth *growth, uint64_t now, const char *what,
                    uint64_t *size, struct reason *why);

/* Makes the file NAME of the folder ROOT SIZE bytes long, durably, when it is shorter; that takes
 * no space yet. 1 when it has grown, 0, or minus an errno: -EFBIG when no file here can be so long.
 */
int embedded_lengthen(int root, const char *name, uint64_t size);

#endif
