/* SPDX-License-Identifier: Apache-2.0 */
#include "store/writer.h"

#include "base/disk.h"
#include "base/step.h"
#include "base/thread.h"

#include <errno.h>

/*
 * Group commit.
 *
 * A durable commit costs what the disk needs to flush: LMDB writes the changed pages, calls
 * fdatasync, and then writes the page that points to the new tree through a descriptor opened with
 * O_DSYNC. A hundred callers at once would pay that a hundred times, one after another. So one
 * thread takes all requests that wait, in the order they came, runs them in one transaction, and
 * commits once. It never waits for more to come: while one batch is flushed the next one gathers by
 * itself, so a lone caller pays nothing for it and a crowd shares.
 *
 * Each function runs in a transaction nested in the batch's, so what it leaves behind when it
 * refuses is undone without touching its neighbours. Their answers still depend on each other:
 * "that key is taken" may mean taken by an earlier one of the same batch. So no answer is given,
 * not even a refusal, before the batch is on the disk, and when its commit fails all of them fail.
 *
 * LMDB reads through a map of a fixed size. When a batch does not fit, be it in a function or while
 * LMDB writes its list of free pages in the commit, the whole batch is undone, the map is doubled
 * with no transaction open anywhere (LMDB requires that; readers hold the map's lock), and all its
 * functions run again from the start. The file is sparse and grows only with what is written.
 *
 * What a failed commit means. Nothing of the batch is on the disk or ever will be: LMDB never
 * changes a page of a committed tree, and the old root stays. When the disk is full the store is as
 * good as before, and requests are answered CONDITION_EXHAUSTED until there is room again; those
 * that may use the reserve (reserve.h) get their turn without the others. An EIO is another matter.
 * After a failed flush Linux counts the pages as written, so that a later flush succeeds although
 * they are lost, and a disk that fails is not to be trusted with another root anyway: no write is
 * accepted any more until cowsnapd is started again and reads what the disk really has. Reads go
 * on, unless the root page itself was what failed; LMDB then refuses those, too. (Whether that last
 * batch was kept is open until the restart, as with any system: its callers were told that it
 * failed, and recovery settles its intents.)
 */

#define BATCH_LIMIT 512 /* requests in a transaction: bounds what a failed commit takes down */

struct request {
    struct request *next;
    store_function *function;
    void *context;
    struct reason *why; /* of the caller; may be NULL */
    bool may_use_reserve;
    int result;
    bool done;           /* under the writer's lock */
    pthread_cond_t turn; /* DONE became true */
};

/* ---- the thread ---- */

/* Runs one request in a transaction of its own inside PARENT. Returns the status of LMDB that ends
 * the batch: MDB_MAP_FULL, or 0. *CHANGED is set when the request may have changed something. */
static int run_request(struct writer *writer, struct request *request, MDB_txn *parent,
                       struct arena *arena, bool *changed)
{
    struct environment *environment = writer->environment;
    struct store_txn txn = {.environment = environment, .tables = writer->tables, .arena = arena};
    int status = mdb_txn_begin(environment->lmdb, parent, 0, &txn.mdb);

    if (request->why)
        request->why->text[0] = '\0';
    if (status) {
        request->result = environment_failure(environment, status, request->why,
                                              "beginning a change of the store");
        return status == MDB_MAP_FULL ? status : 0;
    }
    request->result = request->function(&txn, request->context, request->why);
    arena_reset(arena);
    /* A function cannot talk its way out of a transaction that LMDB gave up. */
    if (txn.fault && request->result == 0)
        request->result =
            environment_failure(environment, txn.fault, request->why, "changing the store");
    if (request->result) {
        mdb_txn_abort(txn.mdb);
        return txn.fault == MDB_MAP_FULL ? MDB_MAP_FULL : 0;
    }
    status = mdb_txn_commit(txn.mdb);
    if (status)
        request->result =
            environment_failure(environment, status, request->why, "changing the store");
    else
        *changed = true;
    return status;
}

/* Gives every request of the batch the same failure. */
static void fail_batch(struct writer *writer, struct request *batch, int status, const char *tried)
{
    for (struct request *request = batch; request; request = request->next)
        request->result =
            environment_failure(writer->environment, status, request->why, "%s", tried);
}

/* Commits the batch's transaction and counts it, if it wrote anything. */
static int commit(struct writer *writer, MDB_txn *txn)
{
    size_t number = mdb_txn_id(txn);
    MDB_envinfo info;

    STEP("store.batch-run");
    int status = mdb_txn_commit(txn);
    STEP("store.batch-committed");
    if (status)
        return status;
    mdb_env_info(writer->environment->lmdb, &info);
    if (info.me_last_txnid == number) {
        environment_note_commit(writer->environment, number);
        atomic_fetch_add_explicit(&writer->commits, 1, memory_order_relaxed);
    }
    return 0;
}

/* Runs the batch once; SCARCE: only those of it that may use the reserve. MDB_MAP_FULL: nothing
 * happened, the map must grow. Otherwise every request has its result, and the status is that of
 * the commit. */
static int try_batch(struct writer *writer, struct request *batch, bool scarce, struct arena *arena)
{
    MDB_txn *txn;
    bool changed = false;
    int status = mdb_txn_begin(writer->environment->lmdb, NULL, 0, &txn);

    if (status) {
        fail_batch(writer, batch, status, "beginning a change of the store");
        return status;
    }
    for (struct request *request = batch; request && !status; request = request->next)
        if (!scarce || request->may_use_reserve)
            status = run_request(writer, request, txn, arena, &changed);
        else
            request->result = environment_failure(writer->environment, ENOSPC, request->why,
                                                  "changing the store");
    if (status || !changed)
        mdb_txn_abort(txn);
    else
        status = commit(writer, txn);
    if (status == MDB_MAP_FULL)
        return status;
    if (status == EIO && environment_is_full(writer->environment))
        status = ENOSPC;
    if (status == EIO || status == MDB_PANIC)
        atomic_store(&writer->broken, EIO);
    if (status)
        fail_batch(writer, batch, status, "committing a change of the store");
    return status;
}

static bool has_reserved(const struct request *batch)
{
    while (batch && !batch->may_use_reserve)
        batch = batch->next;
    return batch;
}

static int refuse_broken(struct writer *writer, struct reason *why)
{
    return refuse(why, CONDITION_UNAVAILABLE,
                  "the store %s takes no changes since its disk failed a write; check the disk, "
                  "then restart cowsnapd",
                  writer->environment->path);
}

static void run_batch(struct writer *writer, struct request *batch, struct arena *arena)
{
    struct reason why;
    int result = 0;

    if (atomic_load(&writer->broken)) {
        for (struct request *request = batch; request; request = request->next)
            request->result = refuse_broken(writer, request->why);
        return;
    }
    bool scarce = !environment_has_reserve(writer->environment);
    int status = try_batch(writer, batch, scarce, arena);
    while (!result &&
           (status == MDB_MAP_FULL || (disk_is_full(status) && !scarce && has_reserved(batch)))) {
        scarce = scarce || disk_is_full(status);
        if (status == MDB_MAP_FULL)
            result = environment_grow(writer->environment, &why);
        if (!result)
            status = try_batch(writer, batch, scarce, arena);
    }
    if (result)
        for (struct request *request = batch; request; request = request->next) {
            if (request->why)
                *request->why = why;
            request->result = result;
        }
}

/* Takes the first requests off the queue. With the lock held. */
static struct request *take_batch(struct writer *writer)
{
    struct request *batch = writer->first;
    struct request **end = &writer->first;

    for (unsigned count = 0; *end && count < BATCH_LIMIT; count++)
        end = &(*end)->next;
    writer->first = *end;
    *end = NULL;
    if (!writer->first)
        writer->last = &writer->first;
    return batch;
}

static void *writer_thread(void *argument)
{
    struct writer *writer = argument;
    struct arena arena = ARENA_EMPTY;

    pthread_mutex_lock(&writer->lock);
    for (;;) {
        while (!writer->first && !writer->closing)
            pthread_cond_wait(&writer->arrived, &writer->lock);
        if (!writer->first)
            break;
        struct request *batch = take_batch(writer);
        pthread_mutex_unlock(&writer->lock);
        run_batch(writer, batch, &arena);
        pthread_mutex_lock(&writer->lock);
        while (batch) {
            /* its caller may be gone as soon as the lock is */
            struct request *next = batch->next;

            batch->done = true;
            pthread_cond_signal(&batch->turn);
            atomic_fetch_add_explicit(&writer->requests, 1, memory_order_relaxed);
            batch = next;
            STEP("store.caller-woken");
        }
    }
    pthread_mutex_unlock(&writer->lock);
    arena_clear(&arena);
    return NULL;
}

/* ---- its callers ---- */

static void queue(struct writer *writer, struct request *request)
{
    *writer->last = request;
    writer->last = &request->next;
    pthread_cond_signal(&writer->arrived);
}

int writer_run(struct writer *writer, bool may_use_reserve, store_function *function, void *context,
               struct reason *why)
{
    struct request request = {.function = function,
                              .context = context,
                              .why = why,
                              .may_use_reserve = may_use_reserve,
                              .turn = PTHREAD_COND_INITIALIZER};

    pthread_mutex_lock(&writer->lock);
    if (writer->closing) {
        pthread_mutex_unlock(&writer->lock);
        return refuse(why, CONDITION_UNAVAILABLE,
                      "the daemon is stopping; try again when it is up");
    }
    writer->callers++;
    queue(writer, &request);
    while (!request.done)
        pthread_cond_wait(&request.turn, &writer->lock);
    if (--writer->callers == 0 && writer->closing)
        pthread_cond_signal(&writer->left);
    pthread_mutex_unlock(&writer->lock);
    pthread_cond_destroy(&request.turn);
    return request.result;
}

/* ---- start and stop ---- */

static void locks_destroy(struct writer *writer)
{
    pthread_cond_destroy(&writer->left);
    pthread_cond_destroy(&writer->arrived);
    pthread_mutex_destroy(&writer->lock);
}

int writer_start(struct writer *writer, struct environment *environment,
                 const struct tables *tables, struct reason *why)
{
    *writer = (struct writer){.environment = environment,
                              .tables = tables,
                              .lock = PTHREAD_MUTEX_INITIALIZER,
                              .arrived = PTHREAD_COND_INITIALIZER,
                              .left = PTHREAD_COND_INITIALIZER,
                              .last = &writer->first};
    int error = thread_start(&writer->thread, "store-writer", writer_thread, writer);
    if (error) {
        locks_destroy(writer);
        return failure(why, error, "starting the store's writer thread");
    }
    return 0;
}

void writer_stop(struct writer *writer)
{
    pthread_mutex_lock(&writer->lock);
    writer->closing = true;
    pthread_cond_signal(&writer->arrived);
    while (writer->callers > 0)
        pthread_cond_wait(&writer->left, &writer->lock);
    pthread_mutex_unlock(&writer->lock);
    pthread_join(writer->thread, NULL);
    locks_destroy(writer);
}
