/* SPDX-License-Identifier: Apache-2.0 */
#include "base/scoped.h"
#include "cli/pool_access.h"
#include "cli/pool_show.h"
#include "rpc/control_pool.h"

#include <stdio.h>

static const struct command_flag flags[] = {POOL_ACCESS_FLAGS, {NULL, false}};

static int print_table(const struct pool_access *access, const Cowsnap__Control__V1__Pool *pool,
                       struct reason *why)
{
    static const struct table_column columns[] = {{NULL, 0, 0}, {NULL, 0, 0}};
    scoped(table_clear) struct table table;
    int result = table_open(&table, columns, sizeof(columns) / sizeof(columns[0]), why);

    if (result)
        return result;
    pool_show_rows(&table, pool);
    if (access->served) {
        table_pair(&table, "ready clones:", "%llu",
                   (unsigned long long)access->status->ready_clones);
        table_pair(&table, "used by:", "cowsnapd, process %lld", (long long)access->status->pid);
    } else {
        table_pair(&table, "used by:", "no daemon: cowsnapd does not run");
    }
    return table_print(&table, why);
}

static void print_json(const struct pool_access *access, const Cowsnap__Control__V1__Pool *pool)
{
    struct json json = JSON_TO(stdout);

    json_object(&json, NULL);
    pool_show_members(&json, pool);
    json_switch(&json, "daemon_answered", access->served);
    if (access->served)
        json_number(&json, "ready_clones", access->status->ready_clones);
    else
        json_null(&json, "ready_clones");
    json_end(&json);
}

static int run_pool_status(const struct arguments *arguments, struct reason *why)
{
    scoped(pool_access_end) struct pool_access access;
    struct pool_status status;
    Cowsnap__Control__V1__Pool pool;
    int result = pool_access_begin(&access, arguments, why);

    if (result == 0 && access.served) {
        pool = *access.status->pool;
    } else {
        if (result == 0)
            result = pool_access_lock(&access, false, why);
        if (result == 0)
            result = pool_access_open(&access, POOL_ACTIVE, why);
        if (result == 0)
            result = access.ops->status(access.backend, &status, why);
        if (result)
            return result;
        pool = control_pool(&status);
    }
    if (!arguments->json)
        return print_table(&access, &pool, why);
    print_json(&access, &pool);
    return 0;
}

const struct command command_pool_status = {
    .name = "pool status",
    .words = "",
    .summary = "Show which pool it is, how full, and how far it can grow",
    .details = POOL_ACCESS_HELP
    "\n"
    "The state is ok, low (no room for new snapshots, or soon none), read-only, needs-check or\n"
    "failed; for all but the first it says what to do. Without a running cowsnapd only a pool\n"
    "that is mounted or active can be shown.\n",
    .flags = flags,
    .run = run_pool_status,
};
