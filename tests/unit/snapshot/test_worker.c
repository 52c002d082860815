/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/worker.h"

#include "unit/cmocka_setup.h"

#include <signal.h>
#include <stdlib.h>

struct rig {
    struct worker worker;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned runs;
    bool stays;   /* each run waits until it is let go */
    bool to_stop; /* and this one until the worker is to end */
    sigset_t signals;
};

static void work(void *context)
{
    struct rig *rig = context;

    pthread_mutex_lock(&rig->lock);
    rig->runs++;
    pthread_sigmask(SIG_SETMASK, NULL, &rig->signals);
    pthread_cond_broadcast(&rig->changed);
    while (rig->stays)
        pthread_cond_wait(&rig->changed, &rig->lock);
    pthread_mutex_unlock(&rig->lock);
    while (rig->to_stop && !rig->worker.stopping)
        sched_yield();
}

static void wait_for_runs(struct rig *rig, unsigned runs)
{
    pthread_mutex_lock(&rig->lock);
    while (rig->runs < runs)
        pthread_cond_wait(&rig->changed, &rig->lock);
    pthread_mutex_unlock(&rig->lock);
}

static void stay(struct rig *rig, bool stays)
{
    pthread_mutex_lock(&rig->lock);
    rig->stays = stays;
    pthread_cond_broadcast(&rig->changed);
    pthread_mutex_unlock(&rig->lock);
}

static int setup(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));

    assert_non_null(rig);
    pthread_mutex_init(&rig->lock, NULL);
    pthread_cond_init(&rig->changed, NULL);
    assert_int_equal(worker_start(&rig->worker, "worker", work, rig, NULL), 0);
    *state = rig;
    return 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;

    stay(rig, false);
    worker_stop(&rig->worker);
    worker_stop(&rig->worker); /* once more is fine */
    pthread_cond_destroy(&rig->changed);
    pthread_mutex_destroy(&rig->lock);
    free(rig);
    return 0;
}

static void a_nudge_leads_to_a_run(void **state)
{
    struct rig *rig = *state;

    for (unsigned i = 1; i < 100; i++) {
        worker_nudge(&rig->worker);
        wait_for_runs(rig, i);
    }
    assert_true(sigismember(&rig->signals, SIGTERM));
}

static void nudges_during_a_run_lead_to_one_more(void **state)
{
    struct rig *rig = *state;

    stay(rig, true);
    worker_nudge(&rig->worker);
    wait_for_runs(rig, 1);
    for (int i = 0; i < 10; i++)
        worker_nudge(&rig->worker);
    stay(rig, false);
    wait_for_runs(rig, 2);
    worker_stop(&rig->worker);
    assert_int_equal(rig->runs, 2);
}

static void an_alarm_rings_by_itself(void **state)
{
    struct rig *rig = *state;

    worker_alarm(&rig->worker, 1);
    wait_for_runs(rig, 1);
    worker_alarm(&rig->worker, 3600 * 1000);
    worker_alarm(&rig->worker, 1); /* replaces it */
    wait_for_runs(rig, 2);
    worker_alarm(&rig->worker, 3600 * 1000);
    worker_within(&rig->worker, 1); /* comes before it */
    wait_for_runs(rig, 3);
}

static void what_is_put_off_again_and_again_comes_at_last(void **state)
{
    struct rig *rig = *state;

    worker_put_off(&rig->worker, 3600 * 1000, 1);
    worker_put_off(&rig->worker, 3600 * 1000, 3600 * 1000); /* the first time counts */
    wait_for_runs(rig, 1);
    worker_put_off(&rig->worker, 1, 3600 * 1000); /* and is over with the run */
    wait_for_runs(rig, 2);
}

static void within_does_not_put_an_alarm_off(void **state)
{
    struct rig *rig = *state;

    stay(rig, true);
    worker_nudge(&rig->worker);
    wait_for_runs(rig, 1);
    worker_alarm(&rig->worker, 1);
    worker_within(&rig->worker, 3600 * 1000);
    stay(rig, false);
    wait_for_runs(rig, 2);
}

static void an_end_does_not_wait_for_an_alarm(void **state)
{
    struct rig *rig = *state;

    worker_alarm(&rig->worker, 3600 * 1000);
    worker_stop(&rig->worker);
    assert_int_equal(rig->runs, 0);
}

static void long_work_is_told_of_the_end(void **state)
{
    struct rig *rig = *state;

    rig->to_stop = true;
    assert_false(rig->worker.stopping);
    worker_nudge(&rig->worker);
    wait_for_runs(rig, 1);
    worker_stop(&rig->worker);
}

#define with_rig(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_rig(a_nudge_leads_to_a_run),
        with_rig(nudges_during_a_run_lead_to_one_more),
        with_rig(an_alarm_rings_by_itself),
        with_rig(what_is_put_off_again_and_again_comes_at_last),
        with_rig(within_does_not_put_an_alarm_off),
        with_rig(an_end_does_not_wait_for_an_alarm),
        with_rig(long_work_is_told_of_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
