/* SPDX-License-Identifier: Apache-2.0 */
#include "base/scoped.h"
#include "base/size.h"
#include "cli/command.h"
#include "cli/daemon.h"
#include "cli/json.h"
#include "cli/table.h"
#include "rpc/message.h"

#include <stdio.h>

typedef Cowsnap__Control__V1__StagesResponse Stages;
typedef Cowsnap__Control__V1__Stage Stage;

static void cell_seconds(struct table *table, uint64_t nanoseconds)
{
    char text[32];

    snprintf(text, sizeof(text), "%.3f", (double)nanoseconds / 1e9);
    table_text(table, text);
}

/* What passed in a second of the stage's work. */
static void cell_rate(struct table *table, const Stage *stage)
{
    double seconds = (double)stage->processor_ns / 1e9;
    char text[48];

    text[0] = '\0';
    if (stage->bytes > 0 && seconds > 0)
        snprintf(text, sizeof(text), "%s/s", size_text((uint64_t)((double)stage->bytes / seconds)));
    table_text(table, text);
}

static int print_table(const Stages *stages, struct reason *why)
{
    static const struct table_column columns[] = {
        {"STAGE", 0, 0},
        {"PROCESSOR S", 0, SCOLS_FL_RIGHT},
        {"WAITED S", 0, SCOLS_FL_RIGHT},
        {"BYTES", 0, SCOLS_FL_RIGHT},
        {"SPEED", 0, SCOLS_FL_RIGHT},
    };
    scoped(table_clear) struct table table;
    int result = table_open(&table, columns, sizeof(columns) / sizeof(columns[0]), why);

    if (result)
        return result;
    for (size_t i = 0; i < stages->n_stages; i++) {
        const Stage *stage = stages->stages[i];

        table_line(&table, NULL);
        table_bytes(&table, bytes_of(stage->name));
        cell_seconds(&table, stage->processor_ns);
        cell_seconds(&table, stage->waited_ns);
        table_text(&table, stage->bytes > 0 ? size_text(stage->bytes) : "");
        cell_rate(&table, stage);
    }
    result = table_print(&table, why);
    if (result == 0)
        printf("%llu layer%s in %.3f s\n", (unsigned long long)stages->layers,
               stages->layers == 1 ? "" : "s", (double)stages->elapsed_ns / 1e9);
    return result;
}

static void print_json(const Stages *stages)
{
    struct json json = JSON_TO(stdout);

    json_object(&json, NULL);
    json_number(&json, "layers", stages->layers);
    json_number(&json, "elapsed_ns", stages->elapsed_ns);
    json_array(&json, "stages");
    for (size_t i = 0; i < stages->n_stages; i++) {
        const Stage *stage = stages->stages[i];

        json_object(&json, NULL);
        json_text(&json, "name", stage->name);
        json_number(&json, "processor_ns", stage->processor_ns);
        json_number(&json, "waited_ns", stage->waited_ns);
        json_number(&json, "bytes", stage->bytes);
        json_end(&json);
    }
    json_end(&json);
    json_end(&json);
}

static int run_stages(const struct arguments *arguments, struct reason *why)
{
    scoped(daemon_disconnect) struct daemon daemon;
    scoped_message Stages *stages = NULL;
    int result = daemon_connect(&daemon, arguments, why);

    if (result == 0)
        result = daemon_explain(&daemon, control_client_stages(daemon.client, &stages, why), why);
    if (result)
        return result;
    if (!arguments->json)
        return print_table(stages, why);
    print_json(stages);
    return 0;
}

const struct command command_stages = {
    .name = "stages",
    .words = "",
    .summary = "Show where the time of unpacking layers went",
    .details =
        "Since the daemon began. A stage that waits long has others to wait for; the one that\n"
        "hardly waits is what the rest waits for. 'hand' is the wait of 'parse' for 'write',\n"
        "'sync' the wait for the disk at the end of each layer.\n",
    .run = run_stages,
};
