/* SPDX-License-Identifier: Apache-2.0 */
#include "base/scoped.h"
#include "base/size.h"
#include "cli/command.h"
#include "cli/daemon.h"
#include "cli/json.h"
#include "cli/pool_show.h"
#include "cli/table.h"
#include "cli/text.h"
#include "rpc/message.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

typedef Cowsnap__Control__V1__StatusResponse Status;

#define NANO 1000000000

static uint64_t uptime_of(const Status *status)
{
    time_t now = time(NULL);

    return now > status->started ? (uint64_t)(now - status->started) : 0;
}

/* ---- for people ---- */

static void add_pool(struct table *table, const Cowsnap__Control__V1__Pool *pool)
{
    table_pair(table, "pool:", "%s%s", pool->writable ? "" : "READ-ONLY: ", pool->description);
    if (*pool->advice)
        table_pair(table, "state:", "%s: %s", pool->state, pool->advice);
    table_pair(table, "space:", "%s used of %s (%u %%), %s available", size_text(pool->used),
               size_text(pool->size), pool_show_percent(pool), size_text(pool->available));
    if (pool->metadata_size > 0)
        table_pair(table, "metadata:", "%s used of %s", size_text(pool->metadata_used),
                   size_text(pool->metadata_size));
}

static void add_work(struct table *table, const Status *status)
{
    table_pair(table, "waiting:", "%llu to be removed, %llu to be sealed",
               (unsigned long long)status->awaiting_removal,
               (unsigned long long)status->awaiting_seal);
    table_pair(table, "ready clones:", "%llu", (unsigned long long)status->ready_clones);
    table_pair(table, "layers in work:", "%llu", (unsigned long long)status->layers_in_work);
    table_pair(table, "damaged:", "%llu%s", (unsigned long long)status->damaged,
               status->damaged
                   ? ": they cannot be read or have no volume; 'cowsnap check' names them"
                   : "");
}

static int print_table(const Status *status, struct reason *why)
{
    static const struct table_column columns[] = {{NULL, 0, 0}, {NULL, 0, 0}};
    const Cowsnap__Control__V1__Counts *counts = status->snapshots;
    const Cowsnap__Control__V1__Store *store = status->store;
    scoped(table_clear) struct table table;
    char span[TIME_ROOM];
    int result = table_open(&table, columns, sizeof(columns) / sizeof(columns[0]), why);

    if (result)
        return result;
    table_pair(&table, "cowsnapd:", "%s, process %lld, up %s", status->version,
               (long long)status->pid, time_span(uptime_of(status), span));
    table_pair(&table, "address:", "%s", status->address);
    table_pair(&table, "root:", "%s", status->root);
    table_pair(&table, "content root:", "%s", status->content_root);
    table_pair(&table, "backend:", "%s, engine %s", status->backend, status->io_engine);
    add_pool(&table, status->pool);
    table_pair(&table, "snapshots:", "%llu: %llu committed, %llu active, %llu view%s",
               (unsigned long long)counts->total, (unsigned long long)counts->committed,
               (unsigned long long)counts->active, (unsigned long long)counts->views,
               counts->views == 1 ? "" : "s");
    table_pair(&table, "store:", "%s used of %s, %llu requests in %llu commits",
               size_text(store->map_used), size_text(store->map_size),
               (unsigned long long)store->requests, (unsigned long long)store->commits);
    add_work(&table, status);
    return table_print(&table, why);
}

/* ---- for programs ---- */

static void print_json(const Status *status)
{
    struct json json = JSON_TO(stdout);

    json_object(&json, NULL);
    json_text(&json, "version", status->version);
    json_number(&json, "pid", (uint64_t)status->pid);
    json_time(&json, "started", status->started * NANO);
    json_number(&json, "uptime_seconds", uptime_of(status));
    json_text(&json, "address", status->address);
    json_text(&json, "root", status->root);
    json_text(&json, "content_root", status->content_root);
    json_text(&json, "backend", status->backend);
    json_text(&json, "io_engine", status->io_engine);
    pool_show_json(&json, "pool", status->pool);
    json_object(&json, "snapshots");
    json_number(&json, "total", status->snapshots->total);
    json_number(&json, "committed", status->snapshots->committed);
    json_number(&json, "active", status->snapshots->active);
    json_number(&json, "views", status->snapshots->views);
    json_end(&json);
    json_object(&json, "store");
    json_number(&json, "schema", status->store->schema);
    json_number(&json, "commits", status->store->commits);
    json_number(&json, "requests", status->store->requests);
    json_number(&json, "map_size", status->store->map_size);
    json_number(&json, "map_used", status->store->map_used);
    json_end(&json);
    json_number(&json, "awaiting_removal", status->awaiting_removal);
    json_number(&json, "awaiting_seal", status->awaiting_seal);
    json_number(&json, "ready_clones", status->ready_clones);
    json_number(&json, "layers_in_work", status->layers_in_work);
    json_number(&json, "damaged", status->damaged);
    json_end(&json);
}

static int run_status(const struct arguments *arguments, struct reason *why)
{
    scoped(daemon_disconnect) struct daemon daemon;
    scoped_message Status *status = NULL;
    int result = daemon_connect(&daemon, arguments, why);

    if (result == 0)
        result = daemon_status(&daemon, &status, why);
    if (result)
        return result;
    if (!arguments->json)
        return print_table(status, why);
    print_json(status);
    return 0;
}

const struct command command_status = {
    .name = "status",
    .words = "",
    .summary = "Show the daemon, its pool and what it is doing",
    .details = "The percentage is of what may be used, as df counts it.\n",
    .run = run_status,
};
