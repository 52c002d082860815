/* SPDX-License-Identifier: Apache-2.0 */
#include "base/scoped.h"
#include "base/size.h"
#include "cli/pool_access.h"
#include "cli/pool_show.h"
#include "rpc/control_pool.h"
#include "rpc/message.h"

#include <stdio.h>

typedef Cowsnap__Control__V1__Pool Pool;
typedef Cowsnap__Control__V1__GrowPoolResponse GrowPoolResponse;

enum { FLAG_METADATA = POOL_FLAGS };

static const struct command_flag flags[] = {POOL_ACCESS_FLAGS, {"metadata", false}, {NULL, false}};

/* "20GiB", or "+5GiB" for so much more. */
static int read_growth(struct pool_growth *growth, const struct arguments *arguments,
                       struct reason *why)
{
    const char *word = arguments->words[0];

    *growth = (struct pool_growth){.more = word[0] == '+',
                                   .metadata = arguments->values[FLAG_METADATA] != NULL};
    return size_parse(bytes_of(word + growth->more), &growth->size, why);
}

/* ---- what has become of it ---- */

static int print_table(const Pool *before, const Pool *now, struct reason *why)
{
    bool data = now->size != before->size, metadata = now->metadata_size != before->metadata_size;

    if (data)
        printf("data: %s, was %s\n", size_text(now->size), size_text(before->size));
    if (metadata)
        printf("metadata: %s, was %s\n", size_text(now->metadata_size),
               size_text(before->metadata_size));
    if (!data && !metadata)
        printf("the pool is that large already\n");
    if (now->embedded && now->backing < now->size)
        printf("note: the disk below has room for only %s of data: the pool will be out of room "
               "before it is full\n",
               size_text(now->backing));
    return pool_show_table(now, why);
}

static int print(const struct arguments *arguments, const Pool *before, const Pool *now,
                 struct reason *why)
{
    struct json json = JSON_TO(stdout);

    if (!arguments->json)
        return print_table(before, now, why);
    json_object(&json, NULL);
    pool_show_json(&json, "before", before);
    pool_show_json(&json, "pool", now);
    json_end(&json);
    return 0;
}

/* ---- the two ways ---- */

static int grow_served(const struct pool_access *access, const struct arguments *arguments,
                       const struct pool_growth *growth, struct reason *why)
{
    scoped_message GrowPoolResponse *response = NULL;
    int result = control_client_grow_pool(access->daemon.client, growth, &response, why);

    if (result)
        return pool_access_explain(access, result, why);
    return print(arguments, response->before, response->pool, why);
}

static int grow_alone(struct pool_access *access, const struct arguments *arguments,
                      const struct pool_growth *growth, struct reason *why)
{
    struct pool_status before, now;
    int result = pool_access_lock(access, false, why);

    if (result == 0)
        result = pool_access_open(access, POOL_PRESENT, why);
    if (result == 0)
        result = access->ops->status(access->backend, &before, why);
    if (result == 0)
        result = access->ops->grow(access->backend, growth, why);
    if (result == 0)
        result = access->ops->status(access->backend, &now, why);
    if (result)
        return result;

    const Pool was = control_pool(&before), is = control_pool(&now);

    return print(arguments, &was, &is, why);
}

static int run_pool_grow(const struct arguments *arguments, struct reason *why)
{
    scoped(pool_access_end) struct pool_access access;
    struct pool_growth growth = {0};
    int result = pool_access_begin(&access, arguments, why);

    if (result == 0)
        result = read_growth(&growth, arguments, why);
    if (result)
        return result;
    return access.served ? grow_served(&access, arguments, &growth, why)
                         : grow_alone(&access, arguments, &growth, why);
}

const struct command command_pool_grow = {
    .name = "pool grow",
    .words = "SIZE",
    .summary = "Make the pool larger while it is in use",
    .details = POOL_ACCESS_HELP
    "      --metadata        the metadata of a thin pool instead of its data\n"
    "\n"
    "SIZE is how large it is to be, such as 200GiB, or with a plus how much is to be added,\n"
    "such as +50GiB. The file of an embedded pool grows, with or without a running cowsnapd. A\n"
    "pool on devices or a file system of yours takes what those have; what you have to run\n"
    "first, if anything, is told.\n",
    .flags = flags,
    .words_least = 1,
    .words_most = 1,
    .run = run_pool_grow,
};
