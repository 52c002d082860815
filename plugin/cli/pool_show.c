/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/pool_show.h"

#include "base/scoped.h"
#include "base/size.h"

typedef Cowsnap__Control__V1__Pool Pool;

unsigned pool_show_percent(const Pool *pool)
{
    double whole = (double)pool->used + (double)pool->available;

    return whole > 0 ? (unsigned)((double)pool->used * 100 / whole + 0.5) : 0;
}

/* How far it can grow, and by what. */
static void show_limits(struct table *table, const Pool *pool)
{
    if (!pool->embedded)
        table_pair(table,
                   "grows:", "when you make what it lies on larger (cowsnap pool grow says how)");
    else
        table_pair(table, "grows:", "by cowsnap pool grow; the disk below has room for %s of data",
                   size_text(pool->backing));
    if (pool->metadata_limit > 0)
        table_pair(table, "", "metadata up to %s", size_text(pool->metadata_limit));
}

void pool_show_rows(struct table *table, const Pool *pool)
{
    table_pair(table, "pool:", "%s", pool->path);
    table_pair(table, "kind:", "%s", pool->kind);
    if (*pool->data_on)
        table_pair(table, "data on:", "%s", pool->data_on);
    if (*pool->metadata_on)
        table_pair(table, "metadata on:", "%s", pool->metadata_on);
    table_pair(table, "state:", "%s%s%s", pool->state, *pool->advice ? ": " : "", pool->advice);
    if (pool->times_low > 0)
        table_pair(table, "became low:", "%llu time%s since cowsnapd started",
                   (unsigned long long)pool->times_low, pool->times_low == 1 ? "" : "s");
    table_pair(table, "data:", "%s used of %s (%u %%), %s available", size_text(pool->used),
               size_text(pool->size), pool_show_percent(pool), size_text(pool->available));
    if (pool->metadata_size > 0)
        table_pair(table, "metadata:", "%s used of %s", size_text(pool->metadata_used),
                   size_text(pool->metadata_size));
    show_limits(table, pool);
}

int pool_show_table(const Pool *pool, struct reason *why)
{
    static const struct table_column columns[] = {{NULL, 0, 0}, {NULL, 0, 0}};
    scoped(table_clear) struct table table;
    int result = table_open(&table, columns, sizeof(columns) / sizeof(columns[0]), why);

    if (result)
        return result;
    pool_show_rows(&table, pool);
    return table_print(&table, why);
}

void pool_show_members(struct json *json, const Pool *pool)
{
    json_text(json, "description", pool->description);
    json_text(json, "path", pool->path);
    json_text(json, "kind", pool->kind);
    json_text(json, "data_on", pool->data_on);
    json_text(json, "metadata_on", pool->metadata_on);
    json_text(json, "state", pool->state);
    json_text(json, "advice", pool->advice);
    json_number(json, "times_low", pool->times_low);
    json_number(json, "size", pool->size);
    json_number(json, "used", pool->used);
    json_number(json, "available", pool->available);
    json_number(json, "used_percent", pool_show_percent(pool));
    json_number(json, "metadata_size", pool->metadata_size);
    json_number(json, "metadata_used", pool->metadata_used);
    json_number(json, "backing", pool->backing);
    json_number(json, "metadata_limit", pool->metadata_limit);
    json_switch(json, "embedded", pool->embedded);
    json_switch(json, "writable", pool->writable);
}

void pool_show_json(struct json *json, const char *name, const Pool *pool)
{
    json_object(json, name);
    pool_show_members(json, pool);
    json_end(json);
}
