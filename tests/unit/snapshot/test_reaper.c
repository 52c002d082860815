/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/service.h"
#include "unit/cmocka_setup.h"
#include "unit/snapshot/rig.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>

static uint64_t removals_left(struct rig *rig)
{
    struct snapshots_figures figures;

    assert_int_equal(snapshots_figures(rig->snapshots, &figures, &rig->why), 0);
    return figures.awaiting_removal;
}

static uint64_t prepare(struct rig *rig, const char *key)
{
    assert_int_equal(rig_prepare(rig, key, NULL), 0);
    return rig_id(rig, key);
}

static void removal_answers_before_its_volume_ends(void **state)
{
    struct rig *rig = *state;
    uint64_t id = prepare(rig, "a");

    memory_backend_close_gate(rig->backend);
    assert_int_equal(rig_remove(rig, "a"), 0);
    assert_string_equal(rig_list(rig), "");
    memory_backend_wait_at_gate(rig->backend);
    assert_true(memory_backend_has(rig->backend, id));
    assert_int_equal(removals_left(rig), 1);
    memory_backend_open_gate(rig->backend);
    memory_backend_wait_for_end(rig->backend, id);
}

static void a_busy_volume_is_ended_later_by_itself(void **state)
{
    static const int refusals[] = {CONDITION_UNAVAILABLE, CONDITION_EXHAUSTED, -EIO};
    struct rig *rig = *state;

    for (int i = 0; i < 3; i++) {
        uint64_t id = prepare(rig, "a");

        memory_backend_refuse(rig->backend, id, refusals[i]);
        assert_int_equal(rig_remove(rig, "a"), 0);
        assert_int_equal(rig_cleanup(rig), 0);
        assert_true(memory_backend_has(rig->backend, id));
        assert_int_equal(removals_left(rig), 1);
        memory_backend_refuse(rig->backend, id, 0);
        memory_backend_wait_for_end(rig->backend, id);
        assert_int_equal(rig_cleanup(rig), 0);
        assert_int_equal(removals_left(rig), 0);
    }
}

static void *clean_up(void *argument)
{
    struct rig *rig = argument;

    return (void *)(intptr_t)snapshots_cleanup(rig->snapshots, NULL, NULL);
}

/* The reaper stands at the gate with a volume; nobody else may touch that meanwhile. */
static void cleanup_waits_for_what_the_reaper_is_at(void **state)
{
    struct rig *rig = *state;
    uint64_t id = prepare(rig, "a");
    pthread_t thread;
    void *result;

    memory_backend_close_gate(rig->backend);
    assert_int_equal(rig_remove(rig, "a"), 0);
    memory_backend_wait_at_gate(rig->backend);
    assert_int_equal(pthread_create(&thread, NULL, clean_up, rig), 0);
    memory_backend_open_gate(rig->backend);
    pthread_join(thread, &result);
    assert_null(result);
    assert_false(memory_backend_has(rig->backend, id));
    assert_int_equal(removals_left(rig), 0);
}

/* What is removed while calls come to their end waits for the next start. */
static void nothing_is_ended_once_the_daemon_ends(void **state)
{
    struct rig *rig = *state;
    uint64_t id = prepare(rig, "a");

    snapshots_wind_down(rig->snapshots);
    assert_int_equal(rig_remove(rig, "a"), 0);
    reaper_work(rig->snapshots);
    assert_true(memory_backend_has(rig->backend, id));
    assert_int_equal(removals_left(rig), 1);
}

struct cancelled {
    struct rig *rig;
    atomic_bool cancel;
};

static void *clean_up_until(void *argument)
{
    struct cancelled *cancelled = argument;

    return (void *)(intptr_t)snapshots_cleanup(cancelled->rig->snapshots, &cancelled->cancel, NULL);
}

static void a_cleanup_that_waits_is_cancelled(void **state)
{
    struct rig *rig = *state;
    struct cancelled cancelled = {.rig = rig};
    pthread_t thread;
    void *result;

    prepare(rig, "a");
    memory_backend_close_gate(rig->backend);
    assert_int_equal(rig_remove(rig, "a"), 0);
    memory_backend_wait_at_gate(rig->backend);
    assert_int_equal(pthread_create(&thread, NULL, clean_up_until, &cancelled), 0);
    cancelled.cancel = true;
    pthread_join(thread, &result); /* and the reaper still has the volume */
    assert_int_equal((intptr_t)result, CONDITION_CANCELLED);
    assert_int_equal(removals_left(rig), 1);
    memory_backend_open_gate(rig->backend);
    assert_int_equal(rig_cleanup(rig), 0);
    assert_int_equal(removals_left(rig), 0);
}

static void a_cancelled_cleanup_ends_nothing_more(void **state)
{
    const atomic_bool cancel = true;
    struct rig *rig = *state;

    prepare(rig, "a");
    memory_backend_close_gate(rig->backend);
    assert_int_equal(rig_remove(rig, "a"), 0);
    memory_backend_wait_at_gate(rig->backend); /* the reaper: it will end no other */
    uint64_t id = prepare(rig, "b");
    assert_int_equal(rig_remove(rig, "b"), 0);
    assert_int_equal(snapshots_cleanup(rig->snapshots, &cancel, &rig->why), CONDITION_CANCELLED);
    assert_true(memory_backend_has(rig->backend, id));
    assert_int_equal(removals_left(rig), 2);
    memory_backend_open_gate(rig->backend);
    assert_int_equal(rig_cleanup(rig), 0);
    assert_int_equal(removals_left(rig), 0);
}

static void what_cannot_be_ended_keeps_nothing_else_back(void **state)
{
    struct rig *rig = *state;
    uint64_t stuck = 0, id = 0;
    char key[16];

    for (int i = 0; i < 200; i++) { /* several batches */
        snprintf(key, sizeof(key), "k%d", i);
        id = prepare(rig, key);
        if (i == 70)
            memory_backend_refuse(rig->backend, stuck = id, CONDITION_UNAVAILABLE);
    }
    for (int i = 0; i < 200; i++) {
        snprintf(key, sizeof(key), "k%d", i);
        assert_int_equal(rig_remove(rig, key), 0);
    }
    assert_int_equal(rig_cleanup(rig), 0);
    assert_int_equal(memory_backend_count(rig->backend), 1);
    assert_true(memory_backend_has(rig->backend, stuck));
    assert_int_equal(removals_left(rig), 1);
    rig_restart(rig); /* it is not forgotten */
    assert_int_equal(removals_left(rig), 1);
    memory_backend_refuse(rig->backend, stuck, 0);
    assert_int_equal(rig_cleanup(rig), 0);
    assert_int_equal(memory_backend_count(rig->backend), 0);
    assert_int_equal(removals_left(rig), 0);
}

#define with_rig(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_rig(removal_answers_before_its_volume_ends),
        with_rig(a_busy_volume_is_ended_later_by_itself),
        with_rig(cleanup_waits_for_what_the_reaper_is_at),
        with_rig(nothing_is_ended_once_the_daemon_ends),
        with_rig(a_cleanup_that_waits_is_cancelled),
        with_rig(a_cancelled_cleanup_ends_nothing_more),
        with_rig(what_cannot_be_ended_keeps_nothing_else_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
