/* SPDX-License-Identifier: Apache-2.0 */
#include "base/scoped.h"
#include "cli/command.h"
#include "cli/snapshot_list.h"
#include "cli/table.h"
#include "rpc/snapshots_client.h"

static int print_table(const struct snapshot_info *info, struct reason *why)
{
    static const struct table_column columns[] = {
        {"ID", 0, SCOLS_FL_RIGHT},   {"KIND", 0, 0},
        {"SIZE", 0, SCOLS_FL_RIGHT}, {"INODES", 0, SCOLS_FL_RIGHT},
        {"KEY", 0, SCOLS_FL_TRUNC},
    };
    scoped(table_clear) struct table table;
    int result = table_open(&table, columns, sizeof(columns) / sizeof(columns[0]), why);

    if (result)
        return result;
    table_line(&table, NULL);
    table_number(&table, info->id);
    table_text(&table, snapshot_kind_name(info->kind));
    snapshot_cells(&table, info);
    table_bytes(&table, info->key);
    return table_print(&table, why);
}

static int run_usage(const struct arguments *arguments, struct reason *why)
{
    scoped(snapshot_list_clear) struct snapshot_list list = {0};
    scoped(daemon_disconnect) struct daemon daemon;
    const struct snapshot_info *found;
    struct volume_usage usage;
    int result = daemon_connect(&daemon, arguments, why);

    if (result == 0)
        result = snapshot_list_read(&list, &daemon, why);
    if (result == 0)
        result = snapshot_list_find(&list, bytes_of(arguments->words[0]), &found, why);
    if (result == 0)
        result = daemon_explain(
            &daemon, snapshots_client_usage(daemon.client, found->key, &usage, why), why);
    if (result)
        return result;

    struct snapshot_info now = *found;

    now.usage_known = true;
    now.usage_bytes = usage.bytes;
    now.usage_inodes = usage.inodes;
    if (!arguments->json)
        return print_table(&now, why);

    struct json json = JSON_TO(stdout);

    json_object(&json, NULL);
    snapshot_json(&json, &now);
    json_end(&json);
    return 0;
}

const struct command command_usage = {
    .name = "usage",
    .words = "KEY",
    .summary = "Count what a snapshot holds beyond its parent",
    .details =
        "KEY is a snapshot's whole key; or the name that containerd's clients give it, when\n"
        "only one namespace has such a name; or its id, as #12.\n",
    .words_least = 1,
    .words_most = 1,
    .run = run_usage,
};
