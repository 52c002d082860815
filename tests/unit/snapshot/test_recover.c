/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/service.h"
#include "store/table.h"
#include "unit/cmocka_setup.h"
#include "unit/snapshot/rig.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Stands before the C library's, and is what LMDB calls: how many of the next find no room. */
static atomic_uint without_room;

int fdatasync(int fd)
{
    unsigned left = atomic_load(&without_room);

    if (left > 0) {
        atomic_store(&without_room, left - 1);
        errno = ENOSPC;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}

/* Runs FUNCTION on the store between two lives of the service. */
static void meddle(struct rig *rig, store_function *function, void *context)
{
    struct store_options options = {.root = rig->root, .root_path = rig->path};
    struct store *store;

    assert_int_equal(store_open(&store, &options, &rig->why), 0);
    assert_int_equal(store_write(store, function, context, &rig->why), 0);
    store_close(store);
}

static uint64_t removals_left(struct rig *rig)
{
    struct snapshots_figures figures;

    assert_int_equal(snapshots_figures(rig->snapshots, &figures, &rig->why), 0);
    assert_int_equal(figures.awaiting_removal, figures.store.intents);
    return figures.awaiting_removal;
}

static uint64_t damaged(struct rig *rig)
{
    struct snapshots_figures figures;

    assert_int_equal(snapshots_figures(rig->snapshots, &figures, &rig->why), 0);
    return figures.damaged;
}

static int leave_intents(struct store_txn *txn, void *context, struct reason *why)
{
    static const enum intent_kind kinds[] = {INTENT_CREATE, INTENT_CREATE, INTENT_REMOVE,
                                             INTENT_REMOVE, INTENT_STOCK};

    (void)context;
    for (uint64_t i = 0; i < 5; i++)
        assert_int_equal(store_put_intent(txn, 100 + i, kinds[i], why), 0);
    return 0;
}

static void intents_of_every_kind_are_settled(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(rig_prepare(rig, "kept", NULL), 0);
    rig_stop(rig);
    meddle(rig, leave_intents, NULL);
    memory_backend_plant(rig->backend, 100); /* the clone was made, 101's was not */
    memory_backend_plant(rig->backend, 102); /* 103 is removed, and only to be struck off */
    memory_backend_plant(rig->backend, 104);
    rig_start(rig);
    assert_int_equal(rig_cleanup(rig), 0);
    assert_int_equal(memory_backend_count(rig->backend), 1);
    assert_int_equal(removals_left(rig), 0);
    assert_string_equal(rig_list(rig), "kept(active,)");
}

static void a_full_disk_puts_it_off_to_the_next_start(void **state)
{
    struct rig *rig = *state;
    struct snapshots_figures figures;

    assert_int_equal(rig_prepare(rig, "kept", NULL), 0);
    rig_stop(rig);
    meddle(rig, leave_intents, NULL);
    memory_backend_plant(rig->backend, 100);
    atomic_store(&without_room, 2); /* and the reserve is used up, too */
    rig_start(rig);
    assert_int_equal(atomic_load(&without_room), 0);
    assert_string_equal(rig_list(rig), "kept(active,)");
    assert_int_equal(snapshots_figures(rig->snapshots, &figures, &rig->why), 0);
    assert_true(figures.store.intents >= 3); /* the reaper may have ended the two of its own */
    assert_true(memory_backend_has(rig->backend, 100));
    rig_stop(rig);
    rig_start(rig);
    assert_int_equal(rig_cleanup(rig), 0);
    assert_int_equal(memory_backend_count(rig->backend), 1);
    assert_int_equal(removals_left(rig), 0);
}

static void what_is_to_be_removed_is_removed_without_being_asked(void **state)
{
    struct rig *rig = *state;

    rig_stop(rig);
    meddle(rig, leave_intents, NULL);
    memory_backend_plant(rig->backend, 100);
    memory_backend_plant(rig->backend, 7); /* nobody knows it */
    rig_start(rig);
    memory_backend_wait_for_end(rig->backend, 100);
    memory_backend_wait_for_end(rig->backend, 7);
}

static void a_number_that_waits_for_the_reaper_is_not_given_again(void **state)
{
    struct rig *rig = *state;
    uint64_t next;

    assert_int_equal(rig_prepare(rig, "a", NULL), 0);
    next = rig_id(rig, "a") + 1;
    rig_stop(rig);
    memory_backend_plant(rig->backend, next);
    memory_backend_close_gate(rig->backend);
    rig_start(rig);
    assert_int_equal(rig_prepare(rig, "b", NULL), 0);
    assert_int_equal(rig_id(rig, "b"), next + 1);
    memory_backend_open_gate(rig->backend);
    assert_int_equal(rig_cleanup(rig), 0);
    assert_false(memory_backend_has(rig->backend, next));
    assert_true(memory_backend_has(rig->backend, next + 1));
}

static void a_view_has_lost_what_its_parent_has_lost(void **state)
{
    struct rig *rig = *state;
    uint64_t parent;

    assert_int_equal(rig_prepare(rig, "a1", NULL), 0);
    assert_int_equal(rig_commit(rig, "a", "a1"), 0);
    assert_int_equal(rig_view(rig, "v", "a"), 0);
    assert_int_equal(rig_prepare(rig, "b", "a"), 0);
    parent = rig_id(rig, "a");
    rig_restart(rig);
    assert_int_equal(damaged(rig), 0);
    memory_backend_lose(rig->backend, parent);
    rig_restart(rig);
    assert_int_equal(damaged(rig), 2);
    /* it can be removed like any other */
    assert_int_equal(rig_remove(rig, "v"), 0);
    assert_int_equal(rig_remove(rig, "b"), 0);
    assert_int_equal(rig_remove(rig, "a"), 0);
    assert_int_equal(rig_cleanup(rig), 0);
    assert_int_equal(removals_left(rig), 0);
}

static int damage(struct store_txn *txn, void *context, struct reason *why)
{
    uint8_t key[8] = {0, 0, 0, 0, 0, 0, 0, (uint8_t) * (uint64_t *)context};
    MDB_val at = {sizeof(key), key};
    MDB_val value = {3, "\xff\xff\xff"};

    (void)why;
    return mdb_put(txn->mdb, txn->tables->snapshots, &at, &value, 0);
}

static void a_record_that_cannot_be_read_harms_no_other(void **state)
{
    struct rig *rig = *state;
    uint64_t id;

    assert_int_equal(rig_prepare(rig, "a1", NULL), 0);
    assert_int_equal(rig_commit(rig, "a", "a1"), 0);
    assert_int_equal(rig_prepare(rig, "broken", NULL), 0);
    assert_int_equal(rig_prepare(rig, "b", "a"), 0);
    id = rig_id(rig, "broken");
    rig_stop(rig);
    meddle(rig, damage, &id);
    rig_start(rig);
    assert_int_equal(damaged(rig), 1);
    assert_string_equal(rig_list(rig), "a(committed,) b(active,a)");
    assert_int_equal(rig_cleanup(rig), 0);
    assert_true(memory_backend_has(rig->backend, id)); /* somebody may mend the record */
    assert_int_equal(rig_prepare(rig, "c", "a"), 0);
    assert_int_equal(rig_commit(rig, "d", "b"), 0);
    keeper_work(rig->snapshots);
    assert_true(memory_backend_sealed(rig->backend, rig_id(rig, "d")));
}

static void a_new_store_ends_no_volumes_unless_told_to(void **state)
{
    struct rig *rig = *state;

    rig_stop(rig);
    memory_backend_plant(rig->backend, 7);
    memory_backend_plant(rig->backend, 9);
    for (int i = 0; i < 2; i++) { /* nor at the second start */
        assert_int_equal(rig_try_start(rig), CONDITION_PRECONDITION);
        assert_non_null(strstr(rig->why.text, "the pool has 2 volumes"));
        assert_non_null(strstr(rig->why.text, "--forget-volumes"));
        assert_int_equal(memory_backend_count(rig->backend), 2);
        rig_stop(rig);
    }
    rig->forget_volumes = true;
    rig_start(rig);
    assert_int_equal(rig_prepare(rig, "a", NULL), 0);
    assert_true(rig_id(rig, "a") > 9);
    assert_int_equal(rig_cleanup(rig), 0);
    assert_int_equal(memory_backend_count(rig->backend), 1);
}

static int spoil_intents(struct store_txn *txn, void *context, struct reason *why)
{
    const uint64_t *ids = context;

    for (int i = 0; i < 2; i++) {
        uint8_t key[8] = {0, 0, 0, 0, 0, 0, 0, (uint8_t)ids[i]};
        MDB_val at = {sizeof(key), key}, value = {1, "\x63"};

        assert_int_equal(mdb_put(txn->mdb, txn->tables->intents, &at, &value, 0), 0);
    }
    return store_put_intent(txn, 105, INTENT_REMOVE, why);
}

static void an_intent_that_cannot_be_read_is_one_to_remove(void **state)
{
    struct rig *rig = *state;
    uint64_t ids[] = {0, 100}; /* one with a record, one with none */

    assert_int_equal(rig_prepare(rig, "kept", NULL), 0);
    ids[0] = rig_id(rig, "kept");
    rig_stop(rig);
    meddle(rig, spoil_intents, ids);
    memory_backend_plant(rig->backend, 100);
    memory_backend_plant(rig->backend, 105);
    rig_start(rig);
    assert_int_equal(rig_cleanup(rig), 0);
    assert_int_equal(removals_left(rig), 0);
    assert_int_equal(memory_backend_count(rig->backend), 1);
    assert_true(memory_backend_has(rig->backend, ids[0]));
}

static void an_intent_spoilt_while_it_runs_keeps_no_other_from_its_end(void **state)
{
    struct rig *rig = *state;
    uint64_t ids[] = {100, 101};
    struct snapshots_figures figures;

    memory_backend_plant(rig->backend, 105);
    assert_int_equal(store_write(rig->store, spoil_intents, ids, &rig->why), 0);
    assert_int_equal(rig_cleanup(rig), 0);
    assert_false(memory_backend_has(rig->backend, 105));
    assert_int_equal(snapshots_figures(rig->snapshots, &figures, &rig->why), 0);
    assert_int_equal(figures.store.intents, 2);
}

static void notes_of_nobody_are_swept_out(void **state)
{
    static const char *const files[] = {"1", "77", "01", "note"};
    struct rig *rig = *state;
    bool left[4];

    assert_int_equal(rig_prepare(rig, "a", NULL), 0);
    assert_int_equal(rig_id(rig, "a"), 1);
    rig_stop(rig);
    assert_int_equal(mkdirat(rig->root, "manifests", 0700), 0);
    rig->manifests = openat(rig->root, "manifests", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < 4; i++)
        close(openat(rig->manifests, files[i], O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    rig_start(rig);
    for (int i = 0; i < 4; i++)
        left[i] = faccessat(rig->manifests, files[i], F_OK, 0) == 0;
    close(rig->manifests);
    rig->manifests = 0;
    assert_true(left[0]);  /* a snapshot has it */
    assert_false(left[1]); /* of one that is gone */
    assert_true(left[2]);  /* not named by us */
    assert_true(left[3]);
}

#define with_rig(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_rig(intents_of_every_kind_are_settled),
        with_rig(a_new_store_ends_no_volumes_unless_told_to),
        with_rig(an_intent_that_cannot_be_read_is_one_to_remove),
        with_rig(an_intent_spoilt_while_it_runs_keeps_no_other_from_its_end),
        with_rig(notes_of_nobody_are_swept_out),
        with_rig(a_full_disk_puts_it_off_to_the_next_start),
        with_rig(what_is_to_be_removed_is_removed_without_being_asked),
        with_rig(a_number_that_waits_for_the_reaper_is_not_given_again),
        with_rig(a_view_has_lost_what_its_parent_has_lost),
        with_rig(a_record_that_cannot_be_read_harms_no_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
