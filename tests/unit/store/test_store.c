/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store.h"
#include "unit/store/rig.h"

#include <errno.h>
#include <inttypes.h>
#include <lmdb.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

static int rig_setup(void **state)
{
    static struct rig rig;

    rig_make(&rig, 0);
    *state = &rig;
    return 0;
}

static int rig_teardown(void **state)
{
    rig_remove(*state);
    return 0;
}

/* ---- open ---- */

static void a_new_store_is_empty_and_private(void **state)
{
    struct rig *rig = *state;
    struct store_figures now = figures(rig);
    struct stat folder;
    struct stat file;

    assert_int_equal(now.snapshots, 0);
    assert_int_equal(now.schema, 1);
    assert_int_equal(now.commits, 0);
    assert_int_equal(now.map_size, 64 << 20);
    assert_true(now.map_used > 0 && now.map_used < now.map_size);
    assert_int_equal(fstatat(rig->root, "meta", &folder, 0), 0);
    assert_int_equal(folder.st_mode & 07777, 0700);
    assert_int_equal(fstatat(rig->root, "meta/data.mdb", &file, 0), 0);
    assert_int_equal(file.st_mode & 07777, 0600);
}

static void what_was_written_is_there_after_reopening(void **state)
{
    struct rig *rig = *state;
    struct label label = {bytes_of("l"), bytes_of("v")};
    struct record record = {.key = bytes_of("key"),
                            .kind = SNAPSHOT_COMMITTED,
                            .created = 1,
                            .updated = 2,
                            .labels = &label,
                            .label_count = 1,
                            .usage_bytes = 3,
                            .sealed = true};
    struct reason why = {0};

    must(store_write(rig->store, put, &record, &why), &why);
    add(rig, "view", SNAPSHOT_VIEW, record.id);
    rig_reopen(rig, 0);
    struct find find = {.key = bytes_of("key")};
    must(store_read(rig->store, find_key, &find, &why), &why);
    assert_int_equal(find.record.id, record.id);
    assert_int_equal(find.record.updated, 2);
    assert_int_equal(find.record.usage_bytes, 3);
    assert_int_equal(find.record.label_count, 1);
    assert_true(find.record.sealed && !find.record.synced);
    assert_int_equal(store_read(rig->store, has_child, &record.id, NULL), 0);
    assert_int_equal(figures(rig).committed, 1);
    assert_int_equal(figures(rig).views, 1);
}

static int new_id_refused(struct store_txn *txn, void *context, struct reason *why)
{
    int result = store_new_id(txn, context, why);

    return result ? result : CONDITION_INVALID;
}

static void ids_never_repeat(void **state)
{
    struct rig *rig = *state;
    uint64_t last = 0;

    for (int opening = 0; opening < 3; opening++) {
        for (int i = 0; i < 10; i++) {
            uint64_t id;
            struct reason why = {0};

            must(store_write(rig->store, new_id, &id, &why), &why);
            assert_true(id > last);
            last = id;
            assert_int_equal(store_write(rig->store, new_id_refused, &id, NULL), CONDITION_INVALID);
        }
        uint64_t record = add(rig, "highest", SNAPSHOT_ACTIVE, 0);
        assert_int_equal(store_write(rig->store, delete, &record, NULL), 0);
        last = record;
        rig_reopen(rig, 0);
    }
}

static void a_store_that_is_open_is_not_opened_again(void **state)
{
    struct rig *rig = *state;
    struct rig second = *rig;
    struct reason why = {0};

    assert_int_equal(rig_try_open(&second, 0, &why), CONDITION_PRECONDITION);
    assert_null(second.store);
    assert_non_null(strstr(why.text, rig->path));
    assert_non_null(strstr(why.text, "in use"));
    add(rig, "still works", SNAPSHOT_ACTIVE, 0);
}

/* Changes the store behind its back. */
static void set_schema(struct rig *rig, uint8_t schema)
{
    uint8_t number[8] = {0, 0, 0, 0, 0, 0, 0, schema};
    char path[80];
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi meta;
    MDB_val key = {6, "schema"};
    MDB_val value = {8, number};

    (void)snprintf(path, sizeof(path), "%s/meta", rig->path);
    assert_int_equal(mdb_env_create(&env), 0);
    mdb_env_set_maxdbs(env, 8);
    assert_int_equal(mdb_env_open(env, path, MDB_NOLOCK, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, "meta", 0, &meta), 0);
    assert_int_equal(mdb_put(txn, meta, &key, &value, 0), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}

static void a_newer_schema_is_refused(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};
    uint64_t id = add(rig, "kept", SNAPSHOT_ACTIVE, 0);

    rig->store = store_close(rig->store);
    set_schema(rig, 9);
    assert_int_equal(rig_try_open(rig, 0, &why), CONDITION_INVALID);
    assert_non_null(strstr(why.text, "version 9"));
    assert_non_null(strstr(why.text, "up to 1"));
    assert_non_null(strstr(why.text, rig->path));
    set_schema(rig, 1);
    rig_open(rig, 0);
    assert_int_equal(id_of(rig, bytes_of("kept")), id);
}

static void overwrite(struct rig *rig, const char *text)
{
    int fd = openat(rig->root, "meta/data.mdb", O_WRONLY | O_TRUNC | O_CLOEXEC);

    assert_true(fd >= 0);
    for (int i = 0; i < 2000; i++)
        assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void a_file_that_is_no_store_is_a_failure_that_names_it(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};

    rig->store = store_close(rig->store);
    overwrite(rig, "not a database\n");
    assert_int_equal(rig_try_open(rig, 0, &why), -EBADMSG);
    assert_non_null(strstr(why.text, "meta/data.mdb"));
    assert_non_null(strstr(why.text, rig->path));
    assert_null(rig->store);
}

/* A map that ends behind its file would be a SIGBUS. */
static void a_file_cut_short_does_not_kill(void **state)
{
    struct rig *rig = *state;
    struct stat file;
    char key[16];

    for (int i = 0; i < 200; i++) {
        (void)snprintf(key, sizeof(key), "%d", i);
        add(rig, key, SNAPSHOT_ACTIVE, 0);
    }
    rig->store = store_close(rig->store);
    int fd = openat(rig->root, "meta/data.mdb", O_RDWR | O_CLOEXEC);
    assert_int_equal(fstat(fd, &file), 0);
    for (off_t size = file.st_size - 4096; size >= 8192; size -= 4096) {
        struct reason why = {0};

        assert_int_equal(ftruncate(fd, size), 0);
        int result = rig_try_open(rig, 0, &why);
        if (result == 0) {
            for (int i = 0; i < 200; i++) {
                struct find find;

                (void)snprintf(key, sizeof(key), "%d", i);
                find = (struct find){.key = bytes_of(key)};
                result = store_read(rig->store, find_key, &find, &why);
                assert_true(result == 0 || result == CONDITION_NOT_FOUND || result == -EBADMSG);
            }
        } else {
            assert_int_equal(result, -EBADMSG);
        }
        rig->store = store_close(rig->store);
    }
    close(fd);
}

static void a_folder_that_cannot_be_made_is_named(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};

    rig->store = store_close(rig->store);
    assert_int_equal(renameat(rig->root, "meta", rig->root, "elsewhere"), 0);
    assert_int_equal(symlinkat("elsewhere", rig->root, "meta"), 0);
    assert_true(rig_try_open(rig, 0, &why) < 0);
    assert_non_null(strstr(why.text, rig->path));
    assert_int_equal(unlinkat(rig->root, "meta", 0), 0);
    assert_int_equal(renameat(rig->root, "elsewhere", rig->root, "meta"), 0);
}

static void no_descriptor_reaches_a_child(void **state)
{
    (void)state;
    for (int fd = 3; fd < 64; fd++) {
        char link[64];
        char target[128] = "";

        (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        if (readlink(link, target, sizeof(target) - 1) > 0 && strstr(target, "/meta"))
            assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    }
}

/* ---- growth ---- */

static void a_tiny_map_grows_to_thousands_of_records(void **state)
{
    struct rig *rig = *state;
    struct label label = {bytes_of("containerd.io/snapshot/x"), {NULL, 0}};
    uint8_t value[1000];
    char key[32];

    memset(value, 'v', sizeof(value));
    label.value = bytes_from(value, sizeof(value));
    rig_remove(rig);
    rig_make(rig, 64 << 10);
    for (int i = 0; i < 3000; i++) {
        struct record record = {.kind = SNAPSHOT_ACTIVE, .labels = &label, .label_count = 1};
        struct reason why = {0};

        (void)snprintf(key, sizeof(key), "record %d", i);
        record.key = bytes_of(key);
        must(store_write(rig->store, put, &record, &why), &why);
    }
    struct store_figures grown = figures(rig);
    assert_int_equal(grown.active, 3000);
    assert_true(grown.map_size > 4 << 20 && grown.map_used <= grown.map_size);
    assert_true((grown.map_size & (grown.map_size - 1)) == 0); /* doubled each time */
    for (int opening = 0; opening < 2; opening++) {
        for (int i = 0; i < 3000; i++) {
            (void)snprintf(key, sizeof(key), "record %d", i);
            assert_int_equal(id_of(rig, bytes_of(key)), i + 1);
        }
        rig_reopen(rig, 64 << 10);
    }
    add(rig, "one more", SNAPSHOT_VIEW, 0);
}

/* ---- kill -9 ---- */

struct promise {
    uint64_t id;
    uint32_t number;
    uint32_t deleted;
};

/* Writes and deletes for ever, and reports down the pipe what it was answered. */
static void write_until_killed(struct rig *rig, int pipe, uint32_t number)
{
    /* the parent's handles are not this process's */
    rig->store = NULL;
    if (rig_try_open(rig, 64 << 10, NULL))
        _exit(1);
    for (;; number++) {
        char key[32];
        struct record record = {.kind = SNAPSHOT_ACTIVE};

        (void)snprintf(key, sizeof(key), "promise %u", number);
        record.key = bytes_of(key);
        if (store_write(rig->store, put, &record, NULL))
            _exit(2);
        struct promise promise = {record.id, number, number % 3 == 0};
        if (promise.deleted && store_write(rig->store, delete, &record.id, NULL))
            _exit(3);
        if (write(pipe, &promise, sizeof(promise)) != sizeof(promise))
            _exit(4);
    }
}

/* What the store says about what it promised. */
static void assert_kept(struct rig *rig, const struct promise *promise)
{
    char key[32];

    (void)snprintf(key, sizeof(key), "promise %u", promise->number);
    assert_int_equal(id_of(rig, bytes_of(key)), promise->deleted ? 0 : promise->id);
}

static void what_was_answered_survives_kill_9(void **state)
{
    struct rig *rig = *state;
    static struct promise promises[20000];
    size_t count = 0;
    uint64_t highest = 0;

    rig->store = store_close(rig->store);
    for (int round = 0; round < 12; round++) {
        int pipes[2];
        size_t wanted = count + 5 + (size_t)(round * 37) % 100;

        assert_int_equal(pipe(pipes), 0);
        pid_t child = fork();
        if (child == 0)
            write_until_killed(rig, pipes[1], (uint32_t)(round * 100000));
        close(pipes[1]);
        while (count < wanted &&
               read(pipes[0], &promises[count], sizeof(*promises)) == sizeof(*promises))
            count++;
        assert_true(count == wanted);
        kill(child, SIGKILL); /* in the middle of what comes next */
        while (count < 20000 &&
               read(pipes[0], &promises[count], sizeof(*promises)) == sizeof(*promises))
            count++;
        assert_int_equal(waitpid(child, NULL, 0), child);
        close(pipes[0]);

        rig_open(rig, 0);
        for (size_t i = 0; i < count; i++) {
            assert_kept(rig, &promises[i]);
            if (promises[i].id > highest)
                highest = promises[i].id;
        }
        struct store_figures now = figures(rig);
        assert_int_equal(now.active, now.snapshots);
        assert_true(add(rig, "after", SNAPSHOT_VIEW, 0) > highest);
        uint64_t after = id_of(rig, bytes_of("after"));
        assert_int_equal(store_write(rig->store, delete, &after, NULL), 0);
        rig->store = store_close(rig->store);
    }
    print_message("%zu promises kept over 12 kills\n", count);
}

/* ---- against a model ---- */

#define KEYS 40

struct model {
    struct record records[KEYS]; /* id 0: not there */
    uint64_t next;
};

struct change {
    struct record record; /* by kind 0: delete */
    bool refuse;
};

static int apply(struct store_txn *txn, void *context, struct reason *why)
{
    struct change *change = context;
    int result = change->record.kind == 0 ? store_delete(txn, change->record.id, why)
                                          : put(txn, &change->record, why);

    if (result || !change->refuse)
        return result;
    return CONDITION_PRECONDITION;
}

static uint64_t seed = 0x2545f4914f6cdd1d;

static uint64_t random_below(uint64_t limit)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % limit;
}

static struct label ref_labels[3];
static char key_names[KEYS][600];

static void model_compare(struct rig *rig, const struct model *model)
{
    uint64_t counts[4] = {0};

    for (int i = 0; i < KEYS; i++) {
        const struct record *record = &model->records[i];
        bool child = false;

        assert_int_equal(id_of(rig, bytes_of(key_names[i])), record->id);
        if (!record->id)
            continue;
        counts[record->kind]++;
        for (int j = 0; j < KEYS; j++)
            child = child || (model->records[j].id && model->records[j].parent == record->id);
        uint64_t id = record->id;
        assert_int_equal(store_read(rig->store, has_child, &id, NULL),
                         child ? 0 : CONDITION_NOT_FOUND);
        if (record->kind != SNAPSHOT_COMMITTED || !record->label_count)
            continue;
        uint64_t lowest = id;
        for (int j = 0; j < KEYS; j++) {
            const struct record *other = &model->records[j];

            if (other->id && other->id < lowest && other->kind == SNAPSHOT_COMMITTED &&
                other->label_count && other->labels == record->labels &&
                other->parent == record->parent)
                lowest = other->id;
        }
        struct find find = {.ref = record->labels->value, .parent = record->parent};
        assert_int_equal(store_read(rig->store, find_ref, &find, NULL), 0);
        assert_int_equal(find.record.id, lowest);
    }
    struct store_figures now = figures(rig);
    assert_int_equal(now.views, counts[SNAPSHOT_VIEW]);
    assert_int_equal(now.active, counts[SNAPSHOT_ACTIVE]);
    assert_int_equal(now.committed, counts[SNAPSHOT_COMMITTED]);
    assert_int_equal(now.snapshots, counts[1] + counts[2] + counts[3]);
}

static struct change random_change(const struct model *model, int at)
{
    const struct record *old = &model->records[at];
    struct change change = {.refuse = random_below(4) == 0};

    if (old->id && random_below(3) == 0) {
        change.record.id = old->id;
        return change;
    }
    change.record = (struct record){.id = old->id,
                                    .key = bytes_of(key_names[at]),
                                    .kind = (enum snapshot_kind)(1 + random_below(3)),
                                    .labels = &ref_labels[random_below(3)],
                                    .label_count = random_below(2)};
    change.record.parent = model->records[random_below(KEYS)].id;
    if (change.record.parent == change.record.id)
        change.record.parent = 0;
    return change;
}

static void thousands_of_random_changes_agree_with_a_model(void **state)
{
    struct rig *rig = *state;
    static struct model model;

    rig_remove(rig);
    rig_make(rig, 1);
    for (int i = 0; i < 3; i++)
        ref_labels[i] = (struct label){bytes_of("containerd.io/snapshot.ref"),
                                       bytes_of((const char *[]){"r", "s", "t"}[i])};
    for (int i = 0; i < KEYS; i++) {
        memset(key_names[i], 'k', (size_t)i * 14);
        (void)snprintf(key_names[i] + (size_t)i * 14, 16, "%d", i);
    }
    for (int round = 0; round < 4000; round++) {
        int at = (int)random_below(KEYS);
        struct change change = random_change(&model, at);
        struct reason why = {0};
        int result = store_write(rig->store, apply, &change, &why);

        if (change.refuse) {
            assert_int_equal(result, CONDITION_PRECONDITION);
        } else {
            must(result, &why);
            model.records[at] = change.record.kind ? change.record : (struct record){0};
        }
        if (round % 100 == 0)
            model_compare(rig, &model);
        if (round % 1000 == 999)
            rig_reopen(rig, 0);
    }
    model_compare(rig, &model);
}

#define with_rig(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_rig(a_new_store_is_empty_and_private),
        with_rig(what_was_written_is_there_after_reopening),
        with_rig(ids_never_repeat),
        with_rig(a_store_that_is_open_is_not_opened_again),
        with_rig(a_newer_schema_is_refused),
        with_rig(a_file_that_is_no_store_is_a_failure_that_names_it),
        with_rig(a_file_cut_short_does_not_kill),
        with_rig(a_folder_that_cannot_be_made_is_named),
        with_rig(no_descriptor_reaches_a_child),
        with_rig(a_tiny_map_grows_to_thousands_of_records),
        with_rig(what_was_answered_survives_kill_9),
        with_rig(thousands_of_random_changes_agree_with_a_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
