/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_BASE_OWNER_H
#define COWSNAP_BASE_OWNER_H

/*
 * Whom the daemon trusts: root, and the user it runs as (tests run it as somebody else). Whoever
 * can change its configuration or its root folder is root by another name.
 */

#include "base/result.h"

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

bool owner_is_trusted(uid_t user);

/* CONDITION_PRECONDITION unless STATUS, of PATH, says that it belongs to one who is trusted and
 * that nobody else may write it; the sentence says what to run. */
int owner_check(const struct stat *status, const char *path, struct reason *why);

#endif
