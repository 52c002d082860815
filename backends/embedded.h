/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_BACKENDS_EMBEDDED_H
#define COWSNAP_BACKENDS_EMBEDDED_H

/*
 * How large the file of a pool becomes that the daemon makes itself, under its root.
 */

#include "base/result.h"

#include <stdint.h>

#define EMBEDDED_SIZE_LEAST (UINT64_C(128) << 20) /* mkfs.btrfs takes 45 MiB; this is of some use  \
                                                   */
#define EMBEDDED_SIZE_DEFAULT (UINT64_C(100) << 30) /* at most */

/* *SIZE in whole MiB, when it was asked for; 0: four fifths of what is free in the folder ROOT
 * (whose path ROOT_PATH is only for messages), at most EMBEDDED_SIZE_DEFAULT. So the pool says that
 * it is full, which every caller understands, before the disk below it is, which ends in write
 * errors. KIND is the pool's ("btrfs"), INSTEAD what else the operator may do, for messages.
 * CONDITION_INVALID: *SIZE is too small; CONDITION_EXHAUSTED: no room. */
int embedded_size(int root, const char *root_path, const char *kind, const char *instead,
                  uint64_t *size, struct reason *why);

#endif
