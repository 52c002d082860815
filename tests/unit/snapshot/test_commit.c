/* SPDX-License-Identifier: Apache-2.0 */

/* Commits that meet others: the rules that one alone must keep are in test_snapshots.c. */

#include "unit/cmocka_setup.h"
#include "unit/snapshot/rig.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>

struct call {
    struct rig *rig;
    const char *name, *key;
    int result;
    struct reason why;
    pthread_t thread;
};

static void *commit(void *argument)
{
    struct call *call = argument;

    call->result = snapshots_commit(call->rig->snapshots, bytes_of(call->name), bytes_of(call->key),
                                    bytes_of(NULL), NULL, 0, &call->why);
    return NULL;
}

static void begin(struct call *call)
{
    assert_int_equal(pthread_create(&call->thread, NULL, commit, call), 0);
}

static void two_commits_of_one_name_have_one_winner(void **state)
{
    struct rig *rig = *state;
    struct call calls[] = {{rig, "n", "a"}, {rig, "n", "b"}};
    const struct call *loser;

    assert_int_equal(rig_prepare(rig, "a", NULL), 0);
    assert_int_equal(rig_prepare(rig, "b", NULL), 0);
    memory_backend_close_gate(rig->backend);
    begin(&calls[0]);
    begin(&calls[1]);
    memory_backend_wait_for_many(rig->backend, 2);
    memory_backend_open_gate(rig->backend);
    pthread_join(calls[0].thread, NULL);
    pthread_join(calls[1].thread, NULL);
    loser = calls[0].result ? &calls[0] : &calls[1];
    assert_int_equal(calls[0].result + calls[1].result, CONDITION_EXISTS);
    assert_string_equal(loser->why.text, "committed snapshot \"n\"");
    assert_int_not_equal(rig_id(rig, loser->key), 0); /* still there, to be removed */
    assert_int_equal(rig_remove(rig, loser->key), 0);
}

static void a_second_commit_of_a_key_finds_it_gone(void **state)
{
    struct rig *rig = *state;
    struct call calls[] = {{rig, "m", "a"}, {rig, "n", "a"}};

    assert_int_equal(rig_prepare(rig, "a", NULL), 0);
    memory_backend_close_gate(rig->backend);
    begin(&calls[0]);
    memory_backend_wait_at_gate(rig->backend);
    begin(&calls[1]);
    memory_backend_open_gate(rig->backend);
    pthread_join(calls[0].thread, NULL);
    pthread_join(calls[1].thread, NULL);
    assert_int_equal(calls[0].result, 0);
    assert_int_equal(calls[1].result, CONDITION_NOT_FOUND);
    assert_int_equal(memory_backend_syncs(rig->backend), 1);
    assert_string_equal(rig_list(rig), "m(committed,)");
}

static void a_key_removed_meanwhile_is_not_committed(void **state)
{
    struct rig *rig = *state;
    struct call call = {rig, "n", "a"};

    assert_int_equal(rig_prepare(rig, "a", NULL), 0);
    memory_backend_close_gate(rig->backend);
    begin(&call);
    memory_backend_wait_at_gate(rig->backend);
    assert_int_equal(rig_remove(rig, "a"), 0);
    assert_int_equal(rig_prepare(rig, "a", NULL), 0); /* another of that key */
    memory_backend_open_gate(rig->backend);
    pthread_join(call.thread, NULL);
    assert_int_equal(call.result, CONDITION_NOT_FOUND);
    assert_string_equal(call.why.text, "snapshot \"a\" was removed meanwhile");
    assert_string_equal(rig_list(rig), "a(active,)");
}

static void what_cannot_be_made_durable_is_not_committed(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(rig_prepare(rig, "a", NULL), 0);
    memory_backend_refuse(rig->backend, rig_id(rig, "a"), -EIO);
    assert_int_equal(rig_commit(rig, "n", "a"), -EIO);
    assert_string_equal(rig_list(rig), "a(active,)");
    memory_backend_refuse(rig->backend, rig_id(rig, "a"), 0);
    assert_int_equal(rig_commit(rig, "n", "a"), 0); /* nothing is pinned any more */
}

#define with_rig(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_rig(two_commits_of_one_name_have_one_winner),
        with_rig(a_second_commit_of_a_key_finds_it_gone),
        with_rig(a_key_removed_meanwhile_is_not_committed),
        with_rig(what_cannot_be_made_durable_is_not_committed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
