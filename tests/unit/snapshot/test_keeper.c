/* SPDX-License-Identifier: Apache-2.0 */

/* The keeper's work is called by hand: its own thread is put off for an hour (the linker's --wrap
 * in CMakeLists.txt), since on a busy machine two seconds may pass between any two lines. */

#include "snapshot/service.h"
#include "unit/cmocka_setup.h"
#include "unit/snapshot/rig.h"

#include <errno.h>
#include <stdio.h>

#define HOUR_MS 3600000u

void __real_worker_put_off(struct worker *worker, unsigned milliseconds, unsigned most);
void __wrap_worker_put_off(struct worker *worker, unsigned milliseconds, unsigned most);

void __wrap_worker_put_off(struct worker *worker, unsigned milliseconds, unsigned most)
{
    assert_true(milliseconds < most);
    __real_worker_put_off(worker, HOUR_MS, 2 * HOUR_MS);
}

static uint64_t commit(struct rig *rig, const char *name)
{
    assert_int_equal(rig_prepare(rig, "key", NULL), 0);
    assert_int_equal(rig_commit(rig, name, "key"), 0);
    return rig_id(rig, name);
}

static uint64_t unsealed(struct rig *rig)
{
    struct snapshots_figures figures;

    assert_int_equal(snapshots_figures(rig->snapshots, &figures, &rig->why), 0);
    return figures.awaiting_seal;
}

static int take_info(void *context, const struct snapshot_info *info, struct reason *why)
{
    (void)why;
    *(struct snapshot_info *)context = *info; /* the numbers of it */
    return 0;
}

static void committed_volumes_are_sealed_and_no_others(void **state)
{
    struct rig *rig = *state;
    uint64_t active;
    char name[16];

    for (int i = 0; i < 70; i++) { /* several batches */
        snprintf(name, sizeof(name), "n%d", i);
        commit(rig, name);
    }
    assert_int_equal(rig_prepare(rig, "active", NULL), 0);
    active = rig_id(rig, "active");
    assert_int_equal(unsealed(rig), 70);
    keeper_work(rig->snapshots);
    assert_int_equal(unsealed(rig), 0);
    for (int i = 0; i < 70; i++) {
        snprintf(name, sizeof(name), "n%d", i);
        assert_true(memory_backend_sealed(rig->backend, rig_id(rig, name)));
    }
    assert_false(memory_backend_sealed(rig->backend, active));

    commit(rig, "late"); /* behind more than is looked at in one go */
    keeper_work(rig->snapshots);
    assert_int_equal(unsealed(rig), 0);
    assert_true(memory_backend_sealed(rig->backend, rig_id(rig, "late")));
}

static void what_commit_could_not_count_is_counted(void **state)
{
    struct rig *rig = *state;
    struct snapshot_info info;
    uint64_t id;

    memory_backend_count_slowly(rig->backend);
    id = commit(rig, "n");
    assert_int_equal(snapshots_stat(rig->snapshots, bytes_of("n"), take_info, &info, NULL), 0);
    assert_false(info.usage_known);
    keeper_work(rig->snapshots);
    assert_int_equal(snapshots_stat(rig->snapshots, bytes_of("n"), take_info, &info, NULL), 0);
    assert_true(info.usage_known);
    assert_int_equal(info.usage_bytes, id * 4096);
}

static void what_was_made_ready_to_be_counted_is_put_to_rest(void **state)
{
    struct rig *rig = *state;
    uint64_t parent = commit(rig, "parent"), child;

    keeper_work(rig->snapshots);
    memory_backend_count_slowly(rig->backend);
    assert_int_equal(rig_prepare(rig, "key", "parent"), 0);
    assert_int_equal(rig_commit(rig, "child", "key"), 0);
    child = rig_id(rig, "child");
    keeper_work(rig->snapshots);
    assert_int_equal(unsealed(rig), 0);
    assert_false(memory_backend_ready(rig->backend, child));
    assert_false(memory_backend_ready(rig->backend, parent));
}

static struct timespec alarm_of(struct worker *worker)
{
    struct timespec alarm;

    pthread_mutex_lock(&worker->lock);
    assert_true(worker->alarm_set);
    alarm = worker->alarm;
    pthread_mutex_unlock(&worker->lock);
    return alarm;
}

static int64_t now_in_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

static void what_cannot_be_sealed_keeps_nothing_else_back(void **state)
{
    struct rig *rig = *state;
    uint64_t first = commit(rig, "first"), second = commit(rig, "second");

    for (int i = 0; i < 2; i++) { /* it is tried again, though nobody commits */
        memory_backend_refuse(rig->backend, first, i == 0 ? -EIO : CONDITION_EXHAUSTED);
        worker_alarm(&rig->snapshots->keeper, HOUR_MS);
        keeper_work(rig->snapshots);
        assert_false(memory_backend_sealed(rig->backend, first));
        assert_true(memory_backend_sealed(rig->backend, second));
        assert_int_equal(unsealed(rig), 1);
        assert_in_range(alarm_of(&rig->snapshots->keeper).tv_sec - now_in_seconds(), 50, 70);
    }
    memory_backend_refuse(rig->backend, first, 0);
    keeper_work(rig->snapshots);
    assert_int_equal(unsealed(rig), 0);
}

static void a_volume_in_use_has_another_round(void **state)
{
    struct rig *rig = *state;
    struct pin pin;
    uint64_t id = commit(rig, "n");
    struct timespec before, after;

    pins_take(&rig->snapshots->pins, &pin, id, PIN_READ, NULL);
    before = alarm_of(&rig->snapshots->keeper);
    keeper_work(rig->snapshots);
    after = alarm_of(&rig->snapshots->keeper);
    assert_false(memory_backend_sealed(rig->backend, id));
    assert_true(after.tv_sec > before.tv_sec || after.tv_nsec > before.tv_nsec);
    pins_drop(&rig->snapshots->pins, &pin);
    before = after;
    keeper_work(rig->snapshots);
    after = alarm_of(&rig->snapshots->keeper);
    assert_true(memory_backend_sealed(rig->backend, id));
    assert_memory_equal(&after, &before, sizeof(after)); /* and no more when all is done */
}

static void what_could_not_rest_in_time_is_put_to_rest(void **state)
{
    struct rig *rig = *state;
    struct pin pin;
    uint64_t id = commit(rig, "n");

    keeper_work(rig->snapshots);
    assert_int_equal(rig_view(rig, "v", "n"), 0);
    pins_take(&rig->snapshots->pins, &pin, id, PIN_READ, NULL);
    assert_int_equal(rig_remove(rig, "v"), 0);
    keeper_work(rig->snapshots);
    assert_true(memory_backend_ready(rig->backend, id)); /* somebody is at it */
    pins_drop(&rig->snapshots->pins, &pin);
    keeper_work(rig->snapshots);
    assert_false(memory_backend_ready(rig->backend, id));
}

static void what_a_killed_daemon_left_ready_is_put_to_rest(void **state)
{
    struct rig *rig = *state;
    struct volume volume;
    uint64_t id = commit(rig, "n"), viewed = commit(rig, "m");

    keeper_work(rig->snapshots);
    assert_int_equal(rig_view(rig, "v", "m"), 0);
    rig_stop(rig);
    assert_int_equal(backend_memory.locate(rig->backend, id, &volume, NULL), 0);
    rig_start(rig);
    keeper_work(rig->snapshots);
    assert_false(memory_backend_ready(rig->backend, id));
    assert_true(memory_backend_ready(rig->backend, viewed));
}

#define with_rig(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_rig(committed_volumes_are_sealed_and_no_others),
        with_rig(what_commit_could_not_count_is_counted),
        with_rig(what_was_made_ready_to_be_counted_is_put_to_rest),
        with_rig(what_cannot_be_sealed_keeps_nothing_else_back),
        with_rig(a_volume_in_use_has_another_round),
        with_rig(what_could_not_rest_in_time_is_put_to_rest),
        with_rig(what_a_killed_daemon_left_ready_is_put_to_rest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
