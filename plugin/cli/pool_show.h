/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_CLI_POOL_SHOW_H
#define COWSNAP_CLI_POOL_SHOW_H

/* How a pool is shown. */

#include "cli/json.h"
#include "cli/table.h"

#include <cowsnap/control.pb-c.h>

/* Of what may be used, as df counts it: what the file system keeps for itself is in neither. */
unsigned pool_show_percent(const Cowsnap__Control__V1__Pool *pool);

/* Lines of two cells. */
void pool_show_rows(struct table *table, const Cowsnap__Control__V1__Pool *pool);

/* A table of nothing but those. */
int pool_show_table(const Cowsnap__Control__V1__Pool *pool, struct reason *why);

/* An object; its members are those of "pool" in `cowsnap status`. */
void pool_show_json(struct json *json, const char *name, const Cowsnap__Control__V1__Pool *pool);
/* The members alone, into an object that is open. */
void pool_show_members(struct json *json, const Cowsnap__Control__V1__Pool *pool);

#endif
