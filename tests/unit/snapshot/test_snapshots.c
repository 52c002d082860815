/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/labels.h"
#include "unit/cmocka_setup.h"
#include "unit/snapshot/rig.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static void a_chain_is_prepared_and_committed(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(rig_prepare(rig, "a1", NULL), 0);
    assert_int_equal(rig_commit(rig, "a", "a1"), 0);
    assert_int_equal(rig_prepare(rig, "b1", "a"), 0);
    assert_int_equal(rig_view(rig, "v", "a"), 0);
    assert_string_equal(rig_list(rig), "a(committed,) b1(active,a) v(view,a)");
    assert_int_equal(memory_backend_count(rig->backend), 2); /* a view has no volume of its own */
}

static void a_chain_of_200_parents_works(void **state)
{
    struct rig *rig = *state;
    char parent[16] = "", name[16];

    for (int i = 0; i < 200; i++) {
        snprintf(name, sizeof(name), "layer-%d", i);
        assert_int_equal(rig_prepare(rig, "key", parent), 0);
        assert_int_equal(rig_commit(rig, name, "key"), 0);
        strcpy(parent, name);
    }
    for (int i = 199; i >= 0; i--) {
        snprintf(name, sizeof(name), "layer-%d", i);
        assert_int_equal(rig_remove(rig, name), 0);
    }
    assert_string_equal(rig_list(rig), "");
}

static void the_rules_of_prepare_hold(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(rig_prepare(rig, "a", NULL), 0);
    assert_int_equal(rig_prepare(rig, "a", NULL), CONDITION_EXISTS);
    assert_int_equal(rig_prepare(rig, "b", "nothing"), CONDITION_NOT_FOUND);
    assert_string_equal(rig->why.text, "parent snapshot \"nothing\" does not exist");
    assert_int_equal(rig_prepare(rig, "b", "a"), CONDITION_INVALID);
    assert_int_equal(rig_view(rig, "b", "a"), CONDITION_INVALID);
    assert_int_equal(rig_prepare(rig, "", NULL), CONDITION_INVALID);
    assert_string_equal(rig->why.text, "the key of the snapshot is empty");
    assert_int_equal(memory_backend_count(rig->backend), 1);
}

static void keys_are_bytes_up_to_their_limit(void **state)
{
    struct rig *rig = *state;
    size_t length = 64 * 1024;
    char *key = malloc(length);
    struct mounts mounts = {0};
    struct bytes with_nul = bytes_from("k\0ey /\n", 7);

    memset(key, 'k', length);
    assert_int_equal(snapshots_prepare(rig->snapshots, bytes_from(key, length), bytes_of(""), NULL,
                                       0, &mounts, &rig->why),
                     CONDITION_INVALID);
    assert_int_equal(snapshots_prepare(rig->snapshots, bytes_from(key, STORE_KEY_LIMIT),
                                       bytes_of(""), NULL, 0, &mounts, &rig->why),
                     0);
    mounts_clear(&mounts);
    assert_int_equal(
        snapshots_prepare(rig->snapshots, with_nul, bytes_of(""), NULL, 0, &mounts, &rig->why), 0);
    mounts_clear(&mounts);
    assert_int_equal(rig_id(rig, "k"), 0);
    assert_int_equal(snapshots_remove(rig->snapshots, with_nul, NULL), 0);
    free(key);
}

static void the_rules_of_commit_hold(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(rig_commit(rig, "a", "nothing"), CONDITION_NOT_FOUND);
    assert_int_equal(rig_prepare(rig, "a1", NULL), 0);
    assert_int_equal(rig_commit(rig, "a", "a1"), 0);
    assert_int_equal(rig_commit(rig, "b", "a"), CONDITION_PRECONDITION);
    assert_int_equal(rig_commit(rig, "b", "a1"), CONDITION_NOT_FOUND);
    assert_int_equal(rig_prepare(rig, "a1", "a"), 0);
    assert_int_equal(rig_commit(rig, "a", "a1"), CONDITION_EXISTS);
    assert_int_equal(rig_commit(rig, "", "a1"), CONDITION_INVALID);
    assert_int_equal(rig_view(rig, "v", "a"), 0);
    assert_int_equal(rig_commit(rig, "b", "v"), CONDITION_PRECONDITION);
}

static void the_parent_cannot_change_at_commit(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(rig_prepare(rig, "a1", NULL), 0);
    assert_int_equal(rig_commit(rig, "a", "a1"), 0);
    assert_int_equal(rig_prepare(rig, "b1", "a"), 0);
    assert_int_equal(snapshots_commit(rig->snapshots, bytes_of("b"), bytes_of("b1"),
                                      bytes_of("other"), NULL, 0, &rig->why),
                     CONDITION_INVALID);
    assert_int_equal(snapshots_commit(rig->snapshots, bytes_of("b"), bytes_of("b1"), bytes_of("a"),
                                      NULL, 0, &rig->why),
                     0);
}

static void a_parent_cannot_be_removed(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(rig_remove(rig, "a"), CONDITION_NOT_FOUND);
    assert_int_equal(rig_prepare(rig, "a1", NULL), 0);
    assert_int_equal(rig_commit(rig, "a", "a1"), 0);
    assert_int_equal(rig_view(rig, "v", "a"), 0);
    assert_int_equal(rig_remove(rig, "a"), CONDITION_PRECONDITION);
    assert_non_null(strstr(rig->why.text, "remove"));
    assert_int_equal(rig_remove(rig, "v"), 0);
    assert_int_equal(rig_remove(rig, "a"), 0);
    assert_int_equal(rig_cleanup(rig), 0);
    assert_int_equal(memory_backend_count(rig->backend), 0);
}

static void commit_syncs_what_apply_did_not(void **state)
{
    struct rig *rig = *state;
    struct volume_usage usage = {0};

    assert_int_equal(rig_prepare(rig, "a1", NULL), 0);
    assert_int_equal(rig_commit(rig, "a", "a1"), 0);
    assert_int_equal(memory_backend_syncs(rig->backend), 1);
    assert_int_equal(snapshots_usage(rig->snapshots, bytes_of("a"), &usage, NULL), 0);
    assert_int_equal(usage.inodes, rig_id(rig, "a"));
}

static void a_layer_that_is_here_is_shared(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(rig_prepare_ref(rig, "one/a1", NULL, "sha256:x"), 0);
    assert_int_equal(rig_commit_ref(rig, "one/a", "one/a1", "sha256:x"), 0);
    assert_int_equal(rig_prepare_ref(rig, "two/a1", NULL, "sha256:x"), CONDITION_EXISTS);
    assert_int_equal(rig_prepare_ref(rig, "two/b1", NULL, "sha256:y"), 0);
    /* another parent makes another chain, whatever the label says */
    assert_int_equal(rig_prepare_ref(rig, "two/c1", "one/a", "sha256:x"), 0);
    assert_int_equal(rig_prepare(rig, "two/d1", NULL), 0);
}

/* One that nothing can be made of would be adopted, and then fail every child of it. */
static void a_layer_that_is_lost_is_not_shared(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(rig_prepare_ref(rig, "one/a1", NULL, "sha256:x"), 0);
    assert_int_equal(rig_commit_ref(rig, "one/a", "one/a1", "sha256:x"), 0);
    memory_backend_lose(rig->backend, rig_id(rig, "one/a"));
    rig_restart(rig);
    assert_int_equal(rig_prepare_ref(rig, "two/a1", NULL, "sha256:x"), 0);
    assert_int_equal(rig_commit_ref(rig, "two/a", "two/a1", "sha256:x"), 0);
    assert_int_equal(rig_prepare(rig, "two/b1", "two/a"), 0);
    /* the one that took its place is */
    assert_int_equal(rig_prepare_ref(rig, "three/a1", NULL, "sha256:x"), CONDITION_EXISTS);
}

static void the_store_settles_after_a_restart(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(rig_prepare(rig, "a1", NULL), 0);
    assert_int_equal(rig_commit(rig, "a", "a1"), 0);
    assert_int_equal(rig_prepare(rig, "b1", "a"), 0);
    rig_stop(rig);
    memory_backend_plant(rig->backend, 40); /* nobody knows it */
    rig_start(rig);
    assert_string_equal(rig_list(rig), "a(committed,) b1(active,a)");
    assert_int_equal(rig_cleanup(rig), 0);
    assert_int_equal(memory_backend_count(rig->backend), 2);
}

static void a_lost_volume_is_counted_not_hidden(void **state)
{
    struct rig *rig = *state;
    struct snapshots_figures figures;

    assert_int_equal(rig_prepare(rig, "a1", NULL), 0);
    memory_backend_lose(rig->backend, rig_id(rig, "a1"));
    rig_restart(rig);
    assert_int_equal(snapshots_figures(rig->snapshots, &figures, NULL), 0);
    assert_int_equal(figures.damaged, 1);
    assert_string_equal(rig_list(rig), "a1(active,)");
    assert_int_equal(rig_remove(rig, "a1"), 0);
}

static void *prepare_child(void *argument)
{
    struct rig *rig = argument;

    return (void *)(intptr_t)rig_prepare(rig, "b1", "a");
}

static void a_parent_removed_during_a_clone_is_not_found(void **state)
{
    struct rig *rig = *state;
    pthread_t thread;
    void *result;

    assert_int_equal(rig_prepare(rig, "a1", NULL), 0);
    assert_int_equal(rig_commit(rig, "a", "a1"), 0);
    memory_backend_close_gate(rig->backend);
    pthread_create(&thread, NULL, prepare_child, rig);
    memory_backend_wait_at_gate(rig->backend);
    assert_int_equal(snapshots_remove(rig->snapshots, bytes_of("a"), NULL), 0);
    memory_backend_open_gate(rig->backend);
    pthread_join(thread, &result);
    assert_int_equal((intptr_t)result, CONDITION_NOT_FOUND);
    assert_int_equal(rig_cleanup(rig), 0);
    assert_string_equal(rig_list(rig), "");
    assert_int_equal(memory_backend_count(rig->backend), 0);
}

static int nothing(void *context, const struct snapshot_info *info, struct reason *why)
{
    (void)context;
    (void)info;
    (void)why;
    return 0;
}

static void stat_update_and_mounts_name_what_is_missing(void **state)
{
    struct rig *rig = *state;
    struct mounts mounts = {0};

    assert_int_equal(snapshots_stat(rig->snapshots, bytes_of("x"), nothing, NULL, &rig->why),
                     CONDITION_NOT_FOUND);
    assert_string_equal(rig->why.text, "snapshot \"x\" does not exist");
    assert_int_equal(
        snapshots_update(rig->snapshots, bytes_of("x"), NULL, 0, NULL, 0, nothing, NULL, &rig->why),
        CONDITION_NOT_FOUND);
    assert_int_equal(snapshots_mounts(rig->snapshots, bytes_of("x"), &mounts, &rig->why),
                     CONDITION_NOT_FOUND);
    assert_int_equal(rig_prepare(rig, "a1", NULL), 0);
    assert_int_equal(rig_commit(rig, "a", "a1"), 0);
    assert_int_equal(snapshots_mounts(rig->snapshots, bytes_of("a"), &mounts, &rig->why),
                     CONDITION_PRECONDITION);
}

static int count_matches(void *context, const struct snapshot_info *info, struct reason *why)
{
    (void)info;
    (void)why;
    ++*(unsigned *)context;
    return 0;
}

static void a_long_list_is_told_once_and_whole(void **state)
{
    struct rig *rig = *state;
    struct bytes filter = bytes_of("name~=/7$/");
    unsigned count = 0;
    char key[16];

    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof(key), "key-%d", i);
        assert_int_equal(rig_prepare(rig, key, NULL), 0);
    }
    assert_int_equal(snapshots_list(rig->snapshots, NULL, 0, count_matches, &count, NULL), 0);
    assert_int_equal(count, 1000);
    count = 0;
    assert_int_equal(snapshots_list(rig->snapshots, &filter, 1, count_matches, &count, NULL), 0);
    assert_int_equal(count, 100);
}

/* Of a backend without such functions, as this one. */
static void a_pool_may_be_unable_to_grow_or_be_checked(void **state)
{
    struct rig *rig = *state;
    const struct pool_growth growth = {.size = 1 << 20, .more = true};
    struct pool_verdict verdict;

    assert_int_equal(snapshots_grow_pool(rig->snapshots, &growth, &rig->why),
                     CONDITION_UNIMPLEMENTED);
    assert_int_equal(snapshots_check_pool(rig->snapshots, NULL, &verdict, &rig->why),
                     CONDITION_UNIMPLEMENTED);
}

#define with_rig(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)

static void the_last_view_puts_its_parent_to_rest(void **state)
{
    struct rig *rig = *state;
    uint64_t id;

    assert_int_equal(rig_prepare(rig, "a", ""), 0);
    assert_int_equal(rig_commit(rig, "c", "a"), 0);
    id = rig_id(rig, "c");
    assert_int_equal(rig_view(rig, "v", "c"), 0);
    assert_int_equal(rig_view(rig, "w", "c"), 0);
    assert_int_equal(rig_remove(rig, "v"), 0);
    assert_true(memory_backend_ready(rig->backend, id));
    assert_int_equal(rig_remove(rig, "w"), 0);
    assert_false(memory_backend_ready(rig->backend, id));
    assert_int_equal(rig_view(rig, "v", "c"), 0);
    assert_true(memory_backend_ready(rig->backend, id));
}

static void a_number_the_backend_cannot_have_is_passed_over(void **state)
{
    struct rig *rig = *state;
    uint64_t id;

    assert_int_equal(rig_prepare(rig, "a", ""), 0);
    id = rig_id(rig, "a");
    memory_backend_forbid(rig->backend, id + 1);
    assert_int_equal(rig_prepare(rig, "b", ""), 0);
    assert_int_equal(rig_id(rig, "b"), id + 2);
    assert_int_equal(rig_cleanup(rig), 0);
    assert_int_equal(memory_backend_count(rig->backend), 2);
}

/* And its refusals leave nothing that somebody would have to end. */
static void a_pool_that_takes_nothing_refuses_what_no_rule_does(void **state)
{
    struct rig *rig = *state;
    struct snapshots_figures figures;

    assert_int_equal(rig_prepare(rig, "a", ""), 0);
    assert_int_equal(rig_commit(rig, "c", "a"), 0);
    assert_int_equal(rig_prepare(rig, "b", ""), 0);
    memory_backend_admit(rig->backend, CONDITION_EXHAUSTED);
    assert_int_equal(rig_prepare(rig, "x", ""), CONDITION_EXHAUSTED);
    assert_int_equal(rig_prepare(rig, "y", "c"), CONDITION_EXHAUSTED);
    assert_int_equal(rig_view(rig, "z", ""), CONDITION_EXHAUSTED);
    assert_int_equal(rig_prepare(rig, "b", ""), CONDITION_EXISTS);
    assert_int_equal(rig_prepare(rig, "y", "gone"), CONDITION_NOT_FOUND);
    assert_int_equal(rig_view(rig, "v", "c"), 0); /* which needs no volume */
    assert_int_equal(snapshots_figures(rig->snapshots, &figures, &rig->why), 0);
    assert_int_equal(figures.awaiting_removal, 0);

    memory_backend_admit(rig->backend, 0);
    assert_int_equal(rig_prepare(rig, "x", ""), 0);
    assert_int_equal(rig_id(rig, "x"), rig_id(rig, "v") + 1); /* no number was taken either */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_rig(a_chain_is_prepared_and_committed),
        with_rig(a_chain_of_200_parents_works),
        with_rig(the_rules_of_prepare_hold),
        with_rig(keys_are_bytes_up_to_their_limit),
        with_rig(the_rules_of_commit_hold),
        with_rig(the_parent_cannot_change_at_commit),
        with_rig(a_parent_cannot_be_removed),
        with_rig(commit_syncs_what_apply_did_not),
        with_rig(a_layer_that_is_here_is_shared),
        with_rig(a_layer_that_is_lost_is_not_shared),
        with_rig(the_store_settles_after_a_restart),
        with_rig(a_lost_volume_is_counted_not_hidden),
        with_rig(a_parent_removed_during_a_clone_is_not_found),
        with_rig(stat_update_and_mounts_name_what_is_missing),
        with_rig(a_long_list_is_told_once_and_whole),
        with_rig(a_pool_may_be_unable_to_grow_or_be_checked),
        with_rig(the_last_view_puts_its_parent_to_rest),
        with_rig(a_number_the_backend_cannot_have_is_passed_over),
        with_rig(a_pool_that_takes_nothing_refuses_what_no_rule_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
