/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_SNAPSHOT_REGEX_H
#define COWSNAP_SNAPSHOT_REGEX_H

/*
 * Regular expressions by RE2: the very syntax of Go's regexp package, which containerd's filters
 * promise, and a match takes time linear in its input, so no client can stall the daemon with one.
 * gRPC's core brings RE2 along. A C face for a C++ library; nothing is thrown through it.
 */

#include "base/bytes.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

struct regex;

/* NULL when the expression is malformed or needs too much memory. */
struct regex *regex_new(struct bytes expression);
/* NULL is allowed. */
void regex_free(struct regex *regex);
/* Whether it matches anywhere in TEXT; not, when memory is out. */
bool regex_matches(const struct regex *regex, struct bytes text);

#ifdef __cplusplus
}
#endif

#endif
