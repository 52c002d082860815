/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_CLI_ADVICE_H
#define COWSNAP_CLI_ADVICE_H

/* What a person is told of a difference that a check found: the thing, and what to do. */

#include "snapshot/check.h"

/* "snapshot k8s.io/2/sha256:… (#12)", "record #12", "volume 12". The caller's to free(3); NULL when
 * memory is out. */
char *advice_thing(const struct check_finding *finding);

/* What was done, or is to be done: with the exact commands for containerd where the key is one that
 * it made (<namespace>/<number>/<name>). They can be pasted into a shell whatever the key holds.
 * Otherwise as advice_thing(). */
char *advice_text(const struct check_finding *finding);

/* For programs: "volume-missing" and the like; "unknown" for a number that is not known here. */
const char *advice_kind_name(enum check_kind kind);
const char *advice_outcome_name(enum check_outcome outcome);

#endif
