/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_BACKENDS_DM_THIN_CONTENT_H
#define COWSNAP_BACKENDS_DM_THIN_CONTENT_H

#include "base/result.h"

/* That the block device at PATH, which the setting dm_thin.SETTING names and which is to be
 * overwritten, holds no file system, partition table or the like that libblkid knows. Else
 * CONDITION_INVALID, which says what and how to take it away. */
int content_expect_none(const char *setting, const char *path, struct reason *why);

#endif
