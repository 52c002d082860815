/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_BACKENDS_DM_THIN_BASE_H
#define COWSNAP_BACKENDS_DM_THIN_BASE_H

#include "backends/dm-thin/thin_pool.h"

/* Makes and formats the base volume, of which every volume without a parent is a clone. Afterwards
 * it is on disk and not active, and base_mapped and the label's base_inodes are set. REPLACE: one
 * is there in part. */
int base_make(struct thin_pool *pool, bool replace, struct reason *why);

#endif
