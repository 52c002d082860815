/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_SNAPSHOT_FILTER_H
#define COWSNAP_SNAPSHOT_FILTER_H

/*
 * The filter language of containerd's List calls (its package filters):
 *
 *     selectors := selector ("," selector)*            all must hold
 *     selector  := fieldpath [operator value]          without operator: the field is present
 *     fieldpath := field ("." field)*
 *     field     := quoted | [A-Za-z0-9_]+
 *     operator  := "==" | "!=" | "~="                  ~= is a regular expression in Go's syntax
 *     value     := quoted | anything up to a space or comma
 *     quoted    := "…" with Go's escapes; after ~= also /…/ and |…|
 *
 * Several filters mean: any of them. Fields of a snapshot: name, parent, kind, labels.<key>.
 */

#include "base/bytes.h"
#include "base/result.h"

#include <stdbool.h>

struct filter;

#define FILTER_SELECTORS 4096u /* of all filters of a call together, as the next */
#define FILTER_EXPRESSIONS 64u /* regular ones: each may take a MiB */

/* Parses COUNT filters into one; none at all, or an empty one, matches everything. *FILTER borrows
 * nothing. CONDITION_INVALID says where the text goes wrong, or which of these limits it passes:
 * each record of a List is held against all of it. */
int filter_parse(struct filter **filter, const struct bytes *texts, size_t count,
                 struct reason *why);
/* NULL is allowed; returns NULL. */
struct filter *filter_free(struct filter *filter);

/* Looks up a field by its path: PATH[0] "labels", PATH[1…] the parts of the key, which a filter may
 * write with dots. Returns whether the field is present, and its value. */
typedef bool filter_field(const void *object, const struct bytes *path, size_t parts,
                          struct bytes *value);

bool filter_matches(const struct filter *filter, filter_field *field, const void *object);

#endif
