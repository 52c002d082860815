/* SPDX-License-Identifier: Apache-2.0 */
#include "base/scoped.h"
#include "cli/command.h"
#include "cli/snapshot_list.h"
#include "cli/table.h"
#include "cli/text.h"

static int print_table(const struct snapshot_list *list, struct reason *why)
{
    static const struct table_column columns[] = {
        {"ID", 0, SCOLS_FL_RIGHT},   {"PARENT", 0, SCOLS_FL_RIGHT}, {"KIND", 0, 0},
        {"SIZE", 0, SCOLS_FL_RIGHT}, {"INODES", 0, SCOLS_FL_RIGHT}, {"CREATED", 0, 0},
        {"KEY", 0, SCOLS_FL_TRUNC},
    };
    scoped(table_clear) struct table table;
    int result = table_open(&table, columns, sizeof(columns) / sizeof(columns[0]), why);

    if (result)
        return result;
    for (size_t i = 0; i < list->count; i++) {
        const struct snapshot_info *info = &list->items[i];
        char created[TIME_ROOM];

        table_line(&table, NULL);
        table_number(&table, info->id);
        if (info->parent_id)
            table_number(&table, info->parent_id);
        else
            table_text(&table, "-");
        table_text(&table, snapshot_kind_name(info->kind));
        snapshot_cells(&table, info);
        table_text(&table, time_local(info->created, created));
        table_bytes(&table, info->key);
    }
    return table_print(&table, why);
}

static int run_ls(const struct arguments *arguments, struct reason *why)
{
    scoped(snapshot_list_clear) struct snapshot_list list = {0};
    scoped(daemon_disconnect) struct daemon daemon;
    int result = daemon_connect(&daemon, arguments, why);

    if (result == 0)
        result = snapshot_list_read(&list, &daemon, why);
    if (result == 0)
        result = snapshot_list_count(&list, &daemon, why);
    if (result)
        return result;
    if (!arguments->json)
        return print_table(&list, why);

    struct json json = JSON_TO(stdout);

    json_object(&json, NULL);
    json_array(&json, "snapshots");
    for (size_t i = 0; i < list.count; i++) {
        json_object(&json, NULL);
        snapshot_json(&json, &list.items[i]);
        json_end(&json);
    }
    json_end(&json);
    json_end(&json);
    return 0;
}

const struct command command_ls = {
    .name = "ls",
    .words = "",
    .summary = "List the snapshots in the order of their ids",
    .details = "SIZE and INODES are what a snapshot holds beyond its parent.\n",
    .run = run_ls,
};
