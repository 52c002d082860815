/* SPDX-License-Identifier: Apache-2.0 */
#include "store/writer.h"
#include "unit/store/rig.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

/* Several of this store's threads at once; the program to run in the tsan build. */

#define WRITERS 16
#define WRITES 50

struct worker {
    pthread_t thread;
    struct rig *rig;
    int number;
    int failures;
    uint64_t ids[WRITES];
};

static void *write_many(void *argument)
{
    struct worker *worker = argument;

    for (int i = 0; i < WRITES; i++) {
        char key[32];
        struct record record = {.kind = SNAPSHOT_ACTIVE};

        (void)snprintf(key, sizeof(key), "%d/%d", worker->number, i);
        record.key = bytes_of(key);
        worker->failures += store_write(worker->rig->store, put, &record, NULL) != 0;
        worker->ids[i] = record.id;
    }
    return NULL;
}

static void start_writers(struct worker *workers, struct rig *rig)
{
    for (int i = 0; i < WRITERS; i++) {
        workers[i] = (struct worker){.rig = rig, .number = i};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, write_many, &workers[i]), 0);
    }
}

static void join_writers(struct worker *workers)
{
    for (int i = 0; i < WRITERS; i++) {
        pthread_join(workers[i].thread, NULL);
        assert_int_equal(workers[i].failures, 0);
    }
}

static void assert_all_there(struct worker *workers, struct rig *rig)
{
    bool seen[WRITERS * WRITES + 1] = {false};

    for (int i = 0; i < WRITERS; i++)
        for (int j = 0; j < WRITES; j++) {
            char key[32];
            uint64_t id = workers[i].ids[j];

            (void)snprintf(key, sizeof(key), "%d/%d", i, j);
            assert_int_equal(id_of(rig, bytes_of(key)), id);
            assert_true(id > 0 && id <= WRITERS * WRITES && !seen[id]);
            seen[id] = true;
        }
}

static void many_writers_share_commits(void **state)
{
    struct worker workers[WRITERS];
    struct rig rig;

    (void)state;
    rig_make(&rig, 0);
    start_writers(workers, &rig);
    join_writers(workers);
    assert_all_there(workers, &rig);
    struct store_figures now = figures(&rig);
    print_message("%d requests, %d commits\n", (int)now.requests, (int)now.commits);
    assert_int_equal(now.requests, WRITERS * WRITES);
    assert_true(now.commits < now.requests);
    assert_int_equal(now.active, WRITERS * WRITES);
    rig_remove(&rig);
}

/* Readers run on while the map moves under them. */

static int walk(struct store_txn *txn, void *context, struct reason *why)
{
    struct record record;
    uint64_t from = 0;
    uint64_t *count = context;
    int result;

    for (*count = 0; !(result = store_next(txn, from, &record, why)); ++*count)
        from = record.id + 1;
    return result == CONDITION_NOT_FOUND ? 0 : result;
}

struct reader {
    pthread_t thread;
    struct rig *rig;
    atomic_bool *stop;
    int failures;
};

static void *read_many(void *argument)
{
    struct reader *reader = argument;
    uint64_t before = 0;
    uint64_t count;

    while (!atomic_load(reader->stop)) {
        reader->failures += store_read(reader->rig->store, walk, &count, NULL) != 0;
        reader->failures += count < before;
        before = count;
    }
    return NULL;
}

static void readers_go_on_while_the_map_grows(void **state)
{
    struct worker workers[WRITERS];
    struct reader readers[2];
    atomic_bool stop = false;
    struct rig rig;

    (void)state;
    rig_make(&rig, 1);
    uint64_t before = figures(&rig).map_size;
    for (int i = 0; i < 2; i++) {
        readers[i] = (struct reader){.rig = &rig, .stop = &stop};
        pthread_create(&readers[i].thread, NULL, read_many, &readers[i]);
    }
    start_writers(workers, &rig);
    join_writers(workers);
    atomic_store(&stop, true);
    for (int i = 0; i < 2; i++) {
        pthread_join(readers[i].thread, NULL);
        assert_int_equal(readers[i].failures, 0);
    }
    assert_all_there(workers, &rig);
    assert_true(figures(&rig).map_size > before);
    rig_remove(&rig);
}

/* ---- one batch, made sure of: the writer without a store around it ---- */

struct bench {
    struct rig rig;
    struct environment environment;
    struct tables tables;
    struct writer writer;
};

static void bench_make(struct bench *bench, uint64_t map_size)
{
    struct reason why = {0};

    rig_folder(&bench->rig);
    struct store_options options = {bench->rig.root, bench->rig.path, map_size};
    must(environment_open(&bench->environment, &options, &why), &why);
    struct store_txn txn = {.environment = &bench->environment};
    assert_int_equal(mdb_txn_begin(bench->environment.lmdb, NULL, 0, &txn.mdb), 0);
    must(tables_open(&txn, &bench->tables, &why), &why);
    assert_int_equal(mdb_txn_commit(txn.mdb), 0);
    must(writer_start(&bench->writer, &bench->environment, &bench->tables, &why), &why);
}

static void bench_remove(struct bench *bench)
{
    writer_stop(&bench->writer);
    environment_close(&bench->environment);
    rig_remove(&bench->rig);
}

struct call {
    pthread_t thread;
    struct writer *writer;
    store_function *function;
    void *context;
    int result;
    struct reason why;
};

static void *call_thread(void *argument)
{
    struct call *call = argument;

    call->result = writer_run(call->writer, false, call->function, call->context, &call->why);
    return NULL;
}

static unsigned callers_inside(struct writer *writer)
{
    pthread_mutex_lock(&writer->lock);
    unsigned callers = writer->callers;
    pthread_mutex_unlock(&writer->lock);
    return callers;
}

struct gate {
    struct writer *writer;
    unsigned count;
    atomic_bool entered; /* the batch of the one who holds is taken */
};

/* Keeps the writer busy until COUNT requests wait behind this one. (Only a test may wait in a
 * transaction.) */
static int hold(struct store_txn *txn, void *context, struct reason *why)
{
    struct gate *gate = context;

    (void)txn;
    (void)why;
    atomic_store(&gate->entered, true);
    while (callers_inside(gate->writer) < gate->count + 1)
        sched_yield();
    return 0;
}

/* Has the calls run in one batch, in their order. */
static void run_together(struct writer *writer, struct call *calls, unsigned count)
{
    struct gate gate = {.writer = writer, .count = count};
    struct call holder = {.writer = writer, .function = hold, .context = &gate};

    pthread_create(&holder.thread, NULL, call_thread, &holder);
    while (!atomic_load(&gate.entered))
        sched_yield();
    for (unsigned i = 0; i < count; i++) {
        calls[i].writer = writer;
        pthread_create(&calls[i].thread, NULL, call_thread, &calls[i]);
        while (i + 1 < count && callers_inside(writer) < i + 2)
            sched_yield();
    }
    for (unsigned i = 0; i < count; i++)
        pthread_join(calls[i].thread, NULL);
    pthread_join(holder.thread, NULL);
}

static void a_batch_is_one_commit(void **state)
{
    struct bench bench;
    struct record records[WRITERS];
    struct call calls[WRITERS] = {0};
    char keys[WRITERS][8];

    (void)state;
    bench_make(&bench, 0);
    for (int i = 0; i < WRITERS; i++) {
        (void)snprintf(keys[i], sizeof(keys[i]), "k%d", i);
        records[i] = (struct record){.key = bytes_of(keys[i]), .kind = SNAPSHOT_ACTIVE};
        calls[i].function = put;
        calls[i].context = &records[i];
    }
    run_together(&bench.writer, calls, WRITERS);
    for (int i = 0; i < WRITERS; i++) {
        assert_int_equal(calls[i].result, 0);
        assert_int_equal(records[i].id, i + 1); /* each saw those before it */
    }
    assert_int_equal(atomic_load(&bench.writer.commits), 1);
    assert_int_equal(atomic_load(&bench.writer.requests), WRITERS + 1);
    bench_remove(&bench);
}

/* Puts, and then thinks better of it. */
static int put_and_refuse(struct store_txn *txn, void *context, struct reason *why)
{
    int result = put(txn, context, why);

    return result ? result : refuse(why, CONDITION_PRECONDITION, "thought better of it");
}

/* What a reader that lost its processor for the time of a commit finds out. */
static void a_reader_that_was_overtaken_is_told(void **state)
{
    struct bench bench;
    struct record records[] = {{.key = bytes_of("a"), .kind = SNAPSHOT_VIEW},
                               {.key = bytes_of("b"), .kind = SNAPSHOT_VIEW}};
    struct record refused = {.key = bytes_of("c"), .kind = SNAPSHOT_VIEW};
    MDB_txn *txn;

    (void)state;
    bench_make(&bench, 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(environment_begin_read(&bench.environment, &txn), 0);
        assert_false(environment_was_overtaken(&bench.environment, txn));
        assert_int_equal(writer_run(&bench.writer, false, put, &records[i], NULL), 0);
        assert_true(environment_was_overtaken(&bench.environment, txn));
        mdb_txn_abort(txn);
    }
    assert_int_equal(environment_begin_read(&bench.environment, &txn), 0);
    /* what changes nothing overtakes nobody */
    assert_int_equal(writer_run(&bench.writer, false, put_and_refuse, &refused, NULL),
                     CONDITION_PRECONDITION);
    assert_false(environment_was_overtaken(&bench.environment, txn));
    mdb_txn_abort(txn);
    bench_remove(&bench);
}

static int count_records(struct store_txn *txn, void *context, struct reason *why)
{
    return tables_count(txn, context, why);
}

static void a_refusal_is_undone_alone(void **state)
{
    struct bench bench;
    struct record first = {.key = bytes_of("first"), .kind = SNAPSHOT_ACTIVE};
    struct record refused = {.key = bytes_of("refused"), .kind = SNAPSHOT_VIEW};
    struct record twin = {.key = bytes_of("first"), .kind = SNAPSHOT_VIEW};
    struct record again = {.key = bytes_of("refused"), .kind = SNAPSHOT_ACTIVE};
    struct store_figures figures = {0};
    struct call calls[] = {
        {.function = put, .context = &first},
        {.function = put_and_refuse, .context = &refused},
        {.function = put, .context = &twin},
        {.function = put, .context = &again},
        {.function = count_records, .context = &figures},
    };

    (void)state;
    bench_make(&bench, 0);
    run_together(&bench.writer, calls, 5);
    assert_int_equal(calls[0].result, 0);
    assert_int_equal(calls[1].result, CONDITION_PRECONDITION);
    assert_string_equal(calls[1].why.text, "thought better of it");
    assert_int_equal(calls[2].result, CONDITION_EXISTS);
    assert_int_equal(calls[3].result, 0);
    assert_int_equal(calls[4].result, 0);
    assert_int_equal(figures.snapshots, 2);
    assert_int_equal(figures.active, 2);
    assert_int_equal(figures.views, 0);
    assert_int_equal(atomic_load(&bench.writer.commits), 1);
    bench_remove(&bench);
}

static void a_batch_of_refusals_is_no_commit(void **state)
{
    struct bench bench;
    struct record records[] = {{.key = bytes_of("a"), .kind = SNAPSHOT_VIEW},
                               {.key = bytes_of("b"), .kind = SNAPSHOT_VIEW}};
    struct call calls[] = {{.function = put_and_refuse, .context = &records[0]},
                           {.function = put_and_refuse, .context = &records[1]}};

    (void)state;
    bench_make(&bench, 0);
    run_together(&bench.writer, calls, 2);
    assert_int_equal(atomic_load(&bench.writer.commits), 0);
    bench_remove(&bench);
}

/* Puts far more than the map holds, and hides the failure of it: behind a condition, or quite. */
static int put_too_much(struct store_txn *txn, void *context, struct reason *why)
{
    unsigned *runs = context;
    static uint8_t key[STORE_KEY_LIMIT];

    ++*runs;
    for (int i = 0; i < 20; i++) {
        struct record record = {.key = bytes_from(key, sizeof(key)), .kind = SNAPSHOT_ACTIVE};

        key[0] = (uint8_t)i;
        if (put(txn, &record, why))
            return *runs % 2 ? 0 : refuse(why, CONDITION_INVALID, "a guess");
    }
    return 0;
}

static void a_full_map_runs_the_whole_batch_again(void **state)
{
    struct bench bench;
    struct record first = {.key = bytes_of("first"), .kind = SNAPSHOT_ACTIVE};
    struct store_figures figures = {0};
    unsigned runs = 0;
    struct call calls[] = {
        {.function = put, .context = &first},
        {.function = put_too_much, .context = &runs},
        {.function = count_records, .context = &figures},
    };

    (void)state;
    bench_make(&bench, 1);
    run_together(&bench.writer, calls, 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(calls[i].result, 0);
    assert_true(runs > 2);
    assert_int_equal(figures.snapshots, 21);
    assert_int_equal(figures.active, 21);
    assert_int_equal(atomic_load(&bench.writer.commits), 1);
    bench_remove(&bench);
}

static bool is_closing(struct writer *writer)
{
    pthread_mutex_lock(&writer->lock);
    bool closing = writer->closing;
    pthread_mutex_unlock(&writer->lock);
    return closing;
}

struct late {
    struct writer *writer;
    int result; /* of a call that came when the writer was closing */
    struct reason why;
};

static int hold_until_closing(struct store_txn *txn, void *context, struct reason *why)
{
    struct late *late = context;

    (void)txn;
    (void)why;
    while (!is_closing(late->writer))
        sched_yield();
    late->result = writer_run(late->writer, false, hold_until_closing, late, &late->why);
    return 0;
}

static void a_writer_that_closes_finishes_what_waits_and_refuses_the_rest(void **state)
{
    struct bench bench;
    struct late late = {.writer = &bench.writer};
    struct record record = {.key = bytes_of("last"), .kind = SNAPSHOT_ACTIVE};
    struct call calls[] = {
        {.writer = &bench.writer, .function = hold_until_closing, .context = &late},
        {.writer = &bench.writer, .function = put, .context = &record},
    };

    (void)state;
    bench_make(&bench, 0);
    for (unsigned i = 0; i < 2; i++) {
        pthread_create(&calls[i].thread, NULL, call_thread, &calls[i]);
        while (callers_inside(&bench.writer) < i + 1)
            sched_yield();
    }
    writer_stop(&bench.writer);
    for (unsigned i = 0; i < 2; i++) {
        pthread_join(calls[i].thread, NULL);
        assert_int_equal(calls[i].result, 0);
    }
    assert_int_equal(late.result, CONDITION_UNAVAILABLE);
    assert_non_null(strstr(late.why.text, "stopping"));
    environment_close(&bench.environment);
    rig_open(&bench.rig, 0);
    assert_int_equal(id_of(&bench.rig, bytes_of("last")), record.id);
    rig_remove(&bench.rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_writers_share_commits),
        cmocka_unit_test(readers_go_on_while_the_map_grows),
        cmocka_unit_test(a_batch_is_one_commit),
        cmocka_unit_test(a_reader_that_was_overtaken_is_told),
        cmocka_unit_test(a_refusal_is_undone_alone),
        cmocka_unit_test(a_batch_of_refusals_is_no_commit),
        cmocka_unit_test(a_full_map_runs_the_whole_batch_again),
        cmocka_unit_test(a_writer_that_closes_finishes_what_waits_and_refuses_the_rest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
