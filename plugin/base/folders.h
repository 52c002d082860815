/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_BASE_FOLDERS_H
#define COWSNAP_BASE_FOLDERS_H

#include "base/result.h"

#include <sys/types.h>

/* Makes what is missing of PATH, whatever the umask: the folder itself with MODE, those above it
 * with 0755. WHAT goes on with the sentence when one cannot be made: "for root; …". */
int folders_make(const char *path, mode_t mode, const char *what, struct reason *why);

#endif
