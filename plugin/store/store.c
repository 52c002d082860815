/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store.h"

#include "base/scoped.h"
#include "store/environment.h"
#include "store/table.h"
#include "store/writer.h"

#include <errno.h>

/* Locks, in the order they are taken: environment.map_lock; writer.lock alone. */
struct store {
    struct environment environment;
    struct tables tables;
    struct writer writer;
};

/* ---- open and close ---- */

/* Opens the tables once; *FAULT is what LMDB said, MDB_MAP_FULL when the map must grow. */
static int try_tables(struct store *store, int *fault, struct reason *why)
{
    struct store_txn txn = {.environment = &store->environment};
    int status = mdb_txn_begin(store->environment.lmdb, NULL, 0, &txn.mdb);

    *fault = status;
    if (status)
        return environment_failure(&store->environment, status, why, "reading the store %s",
                                   store->environment.path);
    int result = tables_open(&txn, &store->tables, why);
    *fault = txn.fault;
    if (result) {
        mdb_txn_abort(txn.mdb);
        return result;
    }
    *fault = status = mdb_txn_commit(txn.mdb);
    if (status)
        return environment_failure(&store->environment, status, why, "making the store %s",
                                   store->environment.path);
    return 0;
}

static int open_tables(struct store *store, struct reason *why)
{
    int fault;
    int result;

    while ((result = try_tables(store, &fault, why)) && fault == MDB_MAP_FULL) {
        result = environment_grow(&store->environment, why);
        if (result)
            return result;
    }
    return result;
}

int store_open(struct store **store, const struct store_options *options, struct reason *why)
{
    scoped_free struct store *opened = calloc(1, sizeof(*opened));

    *store = NULL;
    if (!opened)
        return failure(why, ENOMEM, "opening the store in %s", options->root_path);
    int result = environment_open(&opened->environment, options, why);
    if (result)
        return result;
    result = open_tables(opened, why);
    if (!result)
        result = environment_sync_names(&opened->environment, options->root, why);
    if (!result)
        result = writer_start(&opened->writer, &opened->environment, &opened->tables, why);
    if (result) {
        environment_close(&opened->environment);
        return result;
    }
    *store = take_pointer(opened);
    return 0;
}

struct store *store_close(struct store *store)
{
    if (!store)
        return NULL;
    writer_stop(&store->writer);
    /* reads that are under way end first */
    pthread_rwlock_wrlock(&store->environment.map_lock);
    pthread_rwlock_unlock(&store->environment.map_lock);
    environment_close(&store->environment);
    free(store);
    return NULL;
}

/* ---- transactions ---- */

int store_write(struct store *store, store_function *function, void *context, struct reason *why)
{
    return writer_run(&store->writer, false, function, context, why);
}

int store_write_reserved(struct store *store, store_function *function, void *context,
                         struct reason *why)
{
    return writer_run(&store->writer, true, function, context, why);
}

/* With the map's lock held. */
static int read_locked(struct store *store, store_function *function, void *context,
                       struct reason *why)
{
    scoped(arena_clear) struct arena arena = ARENA_EMPTY;
    struct store_txn txn = {
        .environment = &store->environment, .tables = &store->tables, .arena = &arena};
    int status = environment_begin_read(&store->environment, &txn.mdb);

    if (status)
        return environment_failure(&store->environment, status, why, "reading the store");
    int result = function(&txn, context, why);
    mdb_txn_abort(txn.mdb);
    return result;
}

int store_read(struct store *store, store_function *function, void *context, struct reason *why)
{
    int error = pthread_rwlock_rdlock(&store->environment.map_lock);

    if (error)
        return failure(why, error, "reading the store");
    int result = read_locked(store, function, context, why);
    pthread_rwlock_unlock(&store->environment.map_lock);
    return result;
}

/* ---- figures ---- */

struct survey {
    struct store *store;
    struct store_figures *figures;
};

static int survey(struct store_txn *txn, void *context, struct reason *why)
{
    struct survey *survey = context;
    struct store_figures *figures = survey->figures;
    MDB_envinfo info;
    MDB_stat pages;

    mdb_env_info(txn->environment->lmdb, &info);
    mdb_env_stat(txn->environment->lmdb, &pages);
    figures->map_size = info.me_mapsize;
    figures->map_used = (uint64_t)(info.me_last_pgno + 1) * pages.ms_psize;
    figures->commits = atomic_load(&survey->store->writer.commits);
    figures->requests = atomic_load(&survey->store->writer.requests);
    return tables_count(txn, figures, why);
}

int store_figures(struct store *store, struct store_figures *figures, struct reason *why)
{
    struct survey context = {store, figures};

    *figures = (struct store_figures){0};
    return store_read(store, survey, &context, why);
}
