/* SPDX-License-Identifier: Apache-2.0 */
#include "base/scoped.h"
#include "base/size.h"
#include "cli/pool_access.h"
#include "cli/pool_show.h"
#include "rpc/control_pool.h"
#include "store/store.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static const struct command_flag flags[] = {POOL_ACCESS_FLAGS, {NULL, false}};

/* What is expected of the pool of a root, which is locked: the snapshots of its store had one, and
 * that may be on a disk that is not mounted. */
static int expect_pool(const struct pool_access *access, enum pool_presence *presence,
                       struct reason *why)
{
    const struct store_options options = {.root = access->root.directory,
                                          .root_path = access->config.root};
    struct store_figures figures;
    struct store *store;
    int result;

    *presence = POOL_ABSENT;
    if (faccessat(access->root.directory, STORE_FOLDER, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
        return 0;
    result = store_open(&store, &options, why);
    if (result)
        return result;
    result = store_figures(store, &figures, why);
    if (!result && figures.snapshots > 0)
        *presence = POOL_LOST;
    store_close(store);
    return result;
}

static int run_pool_create(const struct arguments *arguments, struct reason *why)
{
    scoped(pool_access_end) struct pool_access access;
    enum pool_presence presence;
    struct pool_status status;
    Cowsnap__Control__V1__Pool pool;
    int result = pool_access_begin(&access, arguments, why);

    if (result == 0 && access.served)
        return refuse(why, CONDITION_EXISTS,
                      "cowsnapd runs (process %lld, root %s), and has the pool %s: `cowsnap pool "
                      "status` shows it",
                      (long long)access.status->pid, access.status->root,
                      access.status->pool->path);
    if (result == 0 && arguments->word_count > 0)
        result = size_parse(bytes_of(arguments->words[0]), &access.config.pool.size, why);
    if (result == 0) /* a size does not go with every pool */
        result = config_check(&access.config, why);
    if (result == 0)
        result = pool_access_lock(&access, true, why);
    if (result == 0)
        result = expect_pool(&access, &presence, why);
    if (result == 0)
        result = pool_access_open(&access, presence, why);
    if (result == 0)
        result = access.ops->status(access.backend, &status, why);
    if (result)
        return result;
    pool = control_pool(&status);
    if (!arguments->json) {
        printf("made the pool of %s:\n", access.config.root);
        return pool_show_table(&pool, why);
    }

    struct json json = JSON_TO(stdout);

    pool_show_json(&json, NULL, &pool);
    return 0;
}

const struct command command_pool_create = {
    .name = "pool create",
    .words = "[SIZE]",
    .summary = "Make the pool that the settings ask for, without a start of cowsnapd",
    .details = POOL_ACCESS_HELP
    "\n"
    "SIZE, such as 20GiB, is that of an embedded pool; else the settings say it. Refuses when\n"
    "cowsnapd runs, the pool is there already, or the store has snapshots of one that is lost. The "
    "pool is mounted or active afterwards, as\n"
    "cowsnapd leaves it, and the next start of cowsnapd uses it.\n",
    .flags = flags,
    .words_most = 1,
    .run = run_pool_create,
};
