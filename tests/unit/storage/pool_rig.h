/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_TESTS_STORAGE_POOL_RIG_H
#define COWSNAP_TESTS_STORAGE_POOL_RIG_H

/* What the tests of both backends do with a pool. */

#include "base/result.h"

#include <stddef.h>

/* Runs a backend call that has to succeed. */
#define rig_must(call) rig_check_((call), &why, #call, __FILE__, __LINE__)
void rig_check_(int result, const struct reason *why, const char *call, const char *file, int line);

/* Makes NAME in DIRECTORY with SIZE bytes that neither compress nor repeat. Returns minus an errno
 * when it cannot. */
int rig_write(int directory, const char *name, size_t size);

/* Of a clock that only goes on. */
double rig_seconds(void);

#endif
