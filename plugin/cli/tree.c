/* SPDX-License-Identifier: Apache-2.0 */
/*
 * As JSON the tree is a flat list, parents before their children, each with its depth: a chain of
 * layers nested in each other is deeper than JSON readers go (jq 1.6 stops at 256 levels).
 */
#include "base/scoped.h"
#include "cli/command.h"
#include "cli/snapshot_list.h"
#include "cli/table.h"

#include <errno.h>
#include <stdlib.h>

/* One snapshot's place in the tree. Places are numbers in the list, NONE for none. */
struct node {
    size_t parent, first_child, next_sibling;
    size_t depth;
    struct libscols_line *line;
};
#define NONE SIZE_MAX

/* A parent always has a lower id than its child. One that is not there, or says otherwise, leaves
 * the child at the top: so there is no circle, whatever the daemon sent. */
static size_t parent_of(const struct snapshot_list *list, const struct snapshot_info *info)
{
    const struct snapshot_info *parent = info->parent_id && info->parent_id < info->id
                                             ? snapshot_list_by_id(list, info->parent_id)
                                             : NULL;

    return parent ? (size_t)(parent - list->items) : NONE;
}

/* Links the list; *ROOTS is the first of those without a parent. Linked from the last to the
 * first, so that each row of children is in the order of ids. */
static void link_nodes(struct node *nodes, const struct snapshot_list *list, size_t *roots)
{
    *roots = NONE;
    for (size_t i = 0; i < list->count; i++)
        nodes[i] = (struct node){.first_child = NONE};
    for (size_t i = list->count; i-- > 0;) {
        size_t parent = parent_of(list, &list->items[i]);
        size_t *row = parent == NONE ? roots : &nodes[parent].first_child;

        nodes[i].parent = parent;
        nodes[i].next_sibling = *row;
        *row = i;
    }
    for (size_t i = 0; i < list->count; i++)
        nodes[i].depth = nodes[i].parent == NONE ? 0 : nodes[nodes[i].parent].depth + 1;
}

/* The node after AT, children before siblings; without recursion, for chains are long. */
static size_t next_node(const struct node *nodes, size_t at)
{
    if (nodes[at].first_child != NONE)
        return nodes[at].first_child;
    while (at != NONE && nodes[at].next_sibling == NONE)
        at = nodes[at].parent;
    return at == NONE ? NONE : nodes[at].next_sibling;
}

static int print_table(const struct snapshot_list *list, struct node *nodes, size_t roots,
                       struct reason *why)
{
    static const struct table_column columns[] = {
        {"KEY", 0, SCOLS_FL_TREE | SCOLS_FL_TRUNC},
        {"ID", 0, SCOLS_FL_RIGHT},
        {"KIND", 0, 0},
        {"SIZE", 0, SCOLS_FL_RIGHT},
        {"INODES", 0, SCOLS_FL_RIGHT},
    };
    scoped(table_clear) struct table table;
    int result = table_open(&table, columns, sizeof(columns) / sizeof(columns[0]), why);

    if (result)
        return result;
    for (size_t i = roots; i != NONE; i = next_node(nodes, i)) {
        const struct snapshot_info *info = &list->items[i];

        nodes[i].line =
            table_line(&table, nodes[i].parent == NONE ? NULL : nodes[nodes[i].parent].line);
        table_bytes(&table, info->key);
        table_number(&table, info->id);
        table_text(&table, snapshot_kind_name(info->kind));
        snapshot_cells(&table, info);
    }
    return table_print(&table, why);
}

static void print_json(const struct snapshot_list *list, const struct node *nodes, size_t roots)
{
    struct json json = JSON_TO(stdout);

    json_object(&json, NULL);
    json_array(&json, "snapshots");
    for (size_t i = roots; i != NONE; i = next_node(nodes, i)) {
        json_object(&json, NULL);
        json_number(&json, "depth", nodes[i].depth);
        snapshot_json(&json, &list->items[i]);
        json_end(&json);
    }
    json_end(&json);
    json_end(&json);
}

static int run_tree(const struct arguments *arguments, struct reason *why)
{
    scoped(snapshot_list_clear) struct snapshot_list list = {0};
    scoped(daemon_disconnect) struct daemon daemon;
    scoped_free struct node *nodes = NULL;
    size_t roots;
    int result = daemon_connect(&daemon, arguments, why);

    if (result == 0)
        result = snapshot_list_read(&list, &daemon, why);
    if (result == 0)
        result = snapshot_list_count(&list, &daemon, why);
    if (result)
        return result;
    nodes = calloc(list.count + 1, sizeof(*nodes));
    if (!nodes)
        return failure(why, ENOMEM, "make a tree of %zu snapshots", list.count);
    link_nodes(nodes, &list, &roots);
    if (!arguments->json)
        return print_table(&list, nodes, roots, why);
    print_json(&list, nodes, roots);
    return 0;
}

const struct command command_tree = {
    .name = "tree",
    .words = "",
    .summary = "Show the snapshots as a tree, each below its parent",
    .details =
        "As JSON it is a flat list, parents before their children, with the depth of each.\n",
    .run = run_tree,
};
