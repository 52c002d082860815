/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_LAYER_LOWER_H
#define COWSNAP_LAYER_LOWER_H

#include "base/result.h"

#include <stdint.h>

/* Gives the folder FD, at the tree name NAME of an overlay's upper folder, the owner, mode, times
 * and attributes (but those of the namespace "trusted") that it has in the nearest of LOWERS
 * (paths, NULL at the end) which has it: copy-up, as the kernel would have done it. Nothing is done
 * when the nearest has something else there, or none has it. STEPS are those of the layer's own
 * names (path_root): names lead through symlinks of the lowers, too. */
int lower_copy_up(int fd, const char *name, const char *const *lowers, uint64_t *steps,
                  struct reason *why);

#endif
