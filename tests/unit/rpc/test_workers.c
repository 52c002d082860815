/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/workers.h"

#include "unit/cmocka_setup.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

/* Jobs that say when they run and wait until they may end. */
struct scene {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned running, most, ended;
    bool open;
    int order[64];
};

struct act {
    struct job job;
    struct scene *scene;
    int number;
};

static void act_run(struct job *job)
{
    struct act *act = (struct act *)job;
    struct scene *scene = act->scene;

    pthread_mutex_lock(&scene->lock);
    scene->running++;
    if (scene->running > scene->most)
        scene->most = scene->running;
    pthread_cond_broadcast(&scene->changed);
    while (!scene->open)
        pthread_cond_wait(&scene->changed, &scene->lock);
    scene->running--;
    scene->order[scene->ended++] = act->number;
    pthread_cond_broadcast(&scene->changed);
    pthread_mutex_unlock(&scene->lock);
}

static void scene_init(struct scene *scene, struct act *acts, int count)
{
    *scene = (struct scene){.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    for (int i = 0; i < count; i++)
        acts[i] = (struct act){.job = {.run = act_run}, .scene = scene, .number = i};
}

static void scene_await(struct scene *scene, const unsigned *counter, unsigned count)
{
    pthread_mutex_lock(&scene->lock);
    while (*counter < count)
        pthread_cond_wait(&scene->changed, &scene->lock);
    pthread_mutex_unlock(&scene->lock);
}

static void scene_open(struct scene *scene)
{
    pthread_mutex_lock(&scene->lock);
    scene->open = true;
    pthread_cond_broadcast(&scene->changed);
    pthread_mutex_unlock(&scene->lock);
}

static void jobs_begin_in_the_order_they_came(void **state)
{
    struct scene scene;
    struct act acts[10];
    struct workers *workers;

    (void)state;
    scene_init(&scene, acts, 10);
    assert_int_equal(workers_open(&workers, "test", 1, 10, NULL), 0);
    for (int i = 0; i < 10; i++)
        assert_int_equal(workers_submit(workers, &acts[i].job, NULL), 0);
    scene_open(&scene);
    assert_null(workers_close(workers));
    assert_int_equal(scene.ended, 10);
    for (int i = 0; i < 10; i++)
        assert_int_equal(scene.order[i], i);
}

static void a_full_queue_refuses_and_says_so(void **state)
{
    struct scene scene;
    struct act acts[5];
    struct workers *workers;
    struct reason why = {0};

    (void)state;
    scene_init(&scene, acts, 5);
    assert_int_equal(workers_open(&workers, "test", 2, 2, NULL), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(workers_submit(workers, &acts[i].job, NULL), 0);
    assert_int_equal(workers_submit(workers, &acts[4].job, &why), CONDITION_EXHAUSTED);
    assert_string_equal(why.text, "the daemon is busy: 2 requests wait already; try again later");
    scene_open(&scene);
    scene_await(&scene, &scene.ended, 4);
    workers_close(workers);
    assert_int_equal(scene.ended, 4);
}

static void room_is_there_again_when_a_job_has_ended(void **state)
{
    struct scene first, second;
    struct act one[1], other[1];
    struct workers *workers;

    (void)state;
    scene_init(&first, one, 1);
    scene_init(&second, other, 1);
    assert_int_equal(workers_open(&workers, "test", 1, 0, NULL), 0);
    assert_int_equal(workers_submit(workers, &one[0].job, NULL), 0);
    scene_await(&first, &first.running, 1);
    assert_int_equal(workers_submit(workers, &other[0].job, NULL), CONDITION_EXHAUSTED);
    scene_open(&first);
    scene_open(&second);
    /* the job has ended a moment before its thread is free */
    while (workers_submit(workers, &other[0].job, NULL))
        sched_yield();
    workers_close(workers);
    assert_int_equal(second.ended, 1);
}

static void as_many_run_at_once_as_there_are_threads(void **state)
{
    struct scene scene;
    struct act acts[8];
    struct workers *workers;

    (void)state;
    scene_init(&scene, acts, 8);
    assert_int_equal(workers_open(&workers, "test", 3, 100, NULL), 0);
    for (int i = 0; i < 8; i++)
        assert_int_equal(workers_submit(workers, &acts[i].job, NULL), 0);
    scene_await(&scene, &scene.running, 3);
    scene_open(&scene);
    workers_close(workers);
    assert_int_equal(scene.most, 3);
    assert_int_equal(scene.ended, 8);
}

static void closing_an_idle_pool_or_none_is_quiet(void **state)
{
    struct workers *workers;

    (void)state;
    assert_null(workers_close(NULL));
    assert_int_equal(workers_open(&workers, "a name that is far too long", 4, 0, NULL), 0);
    assert_null(workers_close(workers));
}

static atomic_uint counted;

static void count_run(struct job *job)
{
    atomic_fetch_add(&counted, 1);
    free(job);
}

static void *submit_many(void *context)
{
    for (int i = 0; i < 5000; i++) {
        struct job *job = malloc(sizeof(*job));

        job->run = count_run;
        while (workers_submit(context, job, NULL))
            sched_yield();
    }
    return NULL;
}

static void many_threads_may_submit(void **state)
{
    struct workers *workers;
    pthread_t threads[4];

    (void)state;
    atomic_store(&counted, 0);
    assert_int_equal(workers_open(&workers, "test", 4, 16, NULL), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, submit_many, workers), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    workers_close(workers);
    assert_int_equal(atomic_load(&counted), 20000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_begin_in_the_order_they_came),
        cmocka_unit_test(a_full_queue_refuses_and_says_so),
        cmocka_unit_test(room_is_there_again_when_a_job_has_ended),
        cmocka_unit_test(as_many_run_at_once_as_there_are_threads),
        cmocka_unit_test(closing_an_idle_pool_or_none_is_quiet),
        cmocka_unit_test(many_threads_may_submit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
