/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_CLI_SNAPSHOT_LIST_H
#define COWSNAP_CLI_SNAPSHOT_LIST_H

/* All snapshots of a daemon, in memory, and how one is found among them by what people call it. */

#include "base/arena.h"
#include "base/bytes.h"
#include "base/result.h"
#include "cli/daemon.h"
#include "cli/json.h"
#include "cli/table.h"
#include "snapshot/snapshots.h"

#include <stddef.h>

struct snapshot_list {
    struct snapshot_info *items; /* in the order of ids */
    size_t count, room;
    struct arena bytes; /* of keys and parents */
};

/* An empty list is {0}; to be ended by snapshot_list_clear(), fit for scoped(). */
void snapshot_list_clear(struct snapshot_list *list);

/* Copies INFO to the end of LIST, which must be a struct snapshot_list. A snapshot_visit. */
int snapshot_list_add(void *list, const struct snapshot_info *info, struct reason *why);
void snapshot_list_sort(struct snapshot_list *list);

/* Fills an empty list from the daemon, and sorts it. */
int snapshot_list_read(struct snapshot_list *list, const struct daemon *daemon, struct reason *why);

/* Asks for the usage of those whose usage the daemon does not know yet, one call each; so of those
 * that are not committed. One that was removed meanwhile stays unknown. */
int snapshot_list_count(struct snapshot_list *list, const struct daemon *daemon,
                        struct reason *why);

/* The snapshot with this id, NULL for none. LIST must be sorted. */
const struct snapshot_info *snapshot_list_by_id(const struct snapshot_list *list, uint64_t id);

/* Finds what NAME stands for, the first of these that there is:
 *   - the snapshot with exactly this key;
 *   - the one whose key is <namespace>/<sequence>/NAME, as containerd makes keys of the names its
 *     own clients use;
 *   - for "#12", the snapshot with this id.
 * CONDITION_NOT_FOUND; CONDITION_PRECONDITION when several namespaces have such a name, with their
 * keys. *FOUND belongs to LIST, which must be sorted. */
int snapshot_list_find(const struct snapshot_list *list, struct bytes name,
                       const struct snapshot_info **found, struct reason *why);

/* "committed", "active" or "view". */
const char *snapshot_kind_name(enum snapshot_kind kind);

/* The members of one snapshot, inside an object that is open. A parent or usage that is not known
 * is null. */
void snapshot_json(struct json *json, const struct snapshot_info *info);

/* The next two cells of a line, for size and inodes; "-" for what is not known. */
void snapshot_cells(struct table *table, const struct snapshot_info *info);

#endif
