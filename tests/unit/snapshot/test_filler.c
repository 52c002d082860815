/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/service.h"
#include "unit/cmocka_setup.h"
#include "unit/snapshot/rig.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <time.h>

static uint64_t ready(struct rig *rig)
{
    struct snapshots_figures figures;

    assert_int_equal(snapshots_figures(rig->snapshots, &figures, &rig->why), 0);
    return figures.ready_clones;
}

/* Until COUNT volumes are in the pool and READY of them lie ready. */
static void wait_for(struct rig *rig, uint64_t count, uint64_t lying_ready)
{
    time_t deadline = time(NULL) + 20;

    while (ready(rig) != lying_ready || memory_backend_count(rig->backend) != count) {
        if (time(NULL) > deadline)
            fail_msg("%llu volumes, %llu ready",
                     (unsigned long long)memory_backend_count(rig->backend),
                     (unsigned long long)ready(rig));
        sched_yield();
    }
}

static int setup(void **state)
{
    struct rig *rig;

    if (rig_setup(state))
        return -1;
    rig = *state;
    rig->stock = 64;
    rig_restart(rig);
    assert_int_equal(rig_prepare(rig, "work", NULL), 0);
    assert_int_equal(rig_commit(rig, "image", "work"), 0);
    return 0;
}

/* Two containers of one image, and the stock that follows. */
static void bring_in_demand(struct rig *rig)
{
    assert_int_equal(rig_prepare(rig, "first", "image"), 0);
    assert_int_equal(ready(rig), 0);
    assert_int_equal(rig_prepare(rig, "second", "image"), 0);
    wait_for(rig, 3 + 8, 8);
}

static void a_parent_in_demand_is_cloned_in_advance(void **state)
{
    struct rig *rig = *state;

    bring_in_demand(rig);
    /* no clone is made while a Prepare takes one that lies ready */
    memory_backend_close_gate(rig->backend);
    assert_int_equal(rig_prepare(rig, "third", "image"), 0);
    assert_true(memory_backend_has(rig->backend, rig_id(rig, "third")));
    memory_backend_open_gate(rig->backend);
    assert_in_range(ready(rig), 7, 8); /* the filler may have been about to look once more */
    /* the one that lay ready may be older than the snapshot before it */
    assert_int_not_equal(rig_id(rig, "third"), rig_id(rig, "second"));
    assert_non_null(strstr(rig_list(rig), "third(active,image)"));
}

/* What the backend makes for mounts of a volume is there before somebody wants to mount it. */
static void ready_clones_can_be_mounted_at_once(void **state)
{
    struct rig *rig = *state;
    uint64_t image = rig_id(rig, "image");
    unsigned clones = 0;

    bring_in_demand(rig);
    for (uint64_t id = 1; id < 100; id++) {
        if (id == image || !memory_backend_has(rig->backend, id))
            continue;
        assert_true(memory_backend_ready(rig->backend, id));
        clones++;
    }
    assert_int_equal(clones, 2 + 8);
}

static void a_parent_that_has_no_clones_keeps_none_from_others(void **state)
{
    struct rig *rig = *state;
    time_t deadline = time(NULL) + 20;

    assert_int_equal(rig_prepare(rig, "work", NULL), 0);
    assert_int_equal(rig_commit(rig, "odd", "work"), 0);
    assert_int_equal(rig_prepare(rig, "first", "image"), 0);
    assert_int_equal(rig_prepare(rig, "second", "image"), 0);
    wait_for(rig, 4 + 8, 8);
    memory_backend_make_barren(rig->backend, rig_id(rig, "odd"));
    for (int i = 0; i < 2; i++)
        assert_int_equal(rig_prepare(rig, "third", "odd"), CONDITION_PRECONDITION);
    while (memory_backend_barren_tries(rig->backend) < 3 && time(NULL) < deadline)
        sched_yield();
    assert_true(memory_backend_barren_tries(rig->backend) >= 3); /* the filler's */
    worker_stop(&rig->snapshots->filler);
    assert_int_equal(ready(rig), 8);
}

static void a_number_that_the_backend_cannot_have_is_passed_over(void **state)
{
    struct rig *rig = *state;

    memory_backend_forbid(rig->backend, 5); /* one of those that the stock gets */
    bring_in_demand(rig);
    assert_false(memory_backend_has(rig->backend, 5));
}

static void it_is_filled_again_when_less_than_a_quarter_is_left(void **state)
{
    struct rig *rig = *state;
    time_t deadline = time(NULL) + 20;

    bring_in_demand(rig);
    for (int i = 0; i < 20; i++) {
        char key[16];

        snprintf(key, sizeof(key), "k%d", i);
        assert_int_equal(rig_prepare(rig, key, "image"), 0);
    }
    /* How much is there depends on when the filler came; a quarter is there in the end. */
    while (ready(rig) < 2)
        assert_true(time(NULL) <= deadline && sched_yield() == 0);
}

static void a_refused_prepare_takes_nothing(void **state)
{
    struct rig *rig = *state;

    bring_in_demand(rig);
    assert_int_equal(rig_prepare(rig, "first", "image"), CONDITION_EXISTS);
    assert_int_equal(ready(rig), 8);
}

static void the_stock_goes_with_its_parent(void **state)
{
    struct rig *rig = *state;

    bring_in_demand(rig);
    assert_int_equal(rig_remove(rig, "first"), 0);
    assert_int_equal(rig_remove(rig, "second"), 0);
    assert_int_equal(rig_remove(rig, "image"), 0);
    wait_for(rig, 0, 0);
    assert_int_equal(rig_prepare(rig, "late", "image"), CONDITION_NOT_FOUND);
}

static void a_stock_of_the_daemon_before_is_ended(void **state)
{
    struct rig *rig = *state;

    bring_in_demand(rig);
    rig_restart(rig);
    wait_for(rig, 3, 0);
    assert_int_equal(rig_prepare(rig, "third", "image"), 0);
    assert_int_equal(rig_list(rig)[0], 'i');
}

static void a_lost_clone_is_no_snapshot(void **state)
{
    struct rig *rig = *state;
    int found = 0;

    bring_in_demand(rig);
    for (uint64_t id = 1; id < 64; id++)
        if (id != rig_id(rig, "image") && id != rig_id(rig, "first") && id != rig_id(rig, "second"))
            memory_backend_lose(rig->backend, id);
    for (int i = 0; i < 9; i++) {
        char key[16];

        snprintf(key, sizeof(key), "k%d", i);
        found += rig_prepare(rig, key, "image") == CONDITION_NOT_FOUND;
    }
    assert_true(found > 0 && found <= 8); /* each lost one is handed to the reaper, not kept */
}

struct client {
    struct rig *rig;
    int number;
    pthread_t thread;
};

static void *prepare_and_remove(void *context)
{
    struct client *client = context;

    for (int i = 0; i < 100; i++) {
        struct mounts mounts = {0};
        struct reason why = {0};
        char key[32];

        snprintf(key, sizeof(key), "%d-%d", client->number, i);
        assert_int_equal(snapshots_prepare(client->rig->snapshots, bytes_of(key), bytes_of("image"),
                                           NULL, 0, &mounts, &why),
                         0);
        mounts_clear(&mounts);
        assert_int_equal(snapshots_remove(client->rig->snapshots, bytes_of(key), &why), 0);
    }
    return NULL;
}

/* Every snapshot has a volume of its own, and none is left. */
static void many_clients_empty_and_fill_it(void **state)
{
    struct rig *rig = *state;
    struct client clients[8];

    for (int i = 0; i < 8; i++) {
        clients[i] = (struct client){.rig = rig, .number = i};
        assert_int_equal(pthread_create(&clients[i].thread, NULL, prepare_and_remove, &clients[i]),
                         0);
    }
    for (int i = 0; i < 8; i++)
        pthread_join(clients[i].thread, NULL);
    assert_int_equal(rig_remove(rig, "image"), 0);
    wait_for(rig, 0, 0);
}

#define with_rig(test) cmocka_unit_test_setup_teardown(test, setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_rig(a_parent_in_demand_is_cloned_in_advance),
        with_rig(ready_clones_can_be_mounted_at_once),
        with_rig(a_parent_that_has_no_clones_keeps_none_from_others),
        with_rig(a_number_that_the_backend_cannot_have_is_passed_over),
        with_rig(it_is_filled_again_when_less_than_a_quarter_is_left),
        with_rig(a_refused_prepare_takes_nothing),
        with_rig(the_stock_goes_with_its_parent),
        with_rig(a_stock_of_the_daemon_before_is_ended),
        with_rig(a_lost_clone_is_no_snapshot),
        with_rig(many_clients_empty_and_fill_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
