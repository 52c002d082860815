/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/btrfs/flush.h"
#include "unit/cmocka_setup.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

static atomic_uint flushes;
static atomic_int flush_error;
static sem_t entered, may_leave;

static int quick(int fd)
{
    (void)fd;
    atomic_fetch_add(&flushes, 1);
    errno = atomic_load(&flush_error);
    return errno == 0 ? 0 : -1;
}

/* Says that it runs, and waits to be let go on. */
static int held(int fd)
{
    sem_post(&entered);
    sem_wait(&may_leave);
    return quick(fd);
}

static int begin(void **state)
{
    static struct flush flush;

    atomic_store(&flushes, 0);
    atomic_store(&flush_error, 0);
    sem_init(&entered, 0, 0);
    sem_init(&may_leave, 0, 0);
    flush_init(&flush);
    *state = &flush;
    return 0;
}

static int end(void **state)
{
    flush_deinit(*state);
    return 0;
}

#define BORN 7 /* in that transaction */

static uint64_t transaction(int fd)
{
    (void)fd;
    return BORN + 2;
}

static void each_caller_alone_gets_a_flush(void **state)
{
    struct flush *flush = *state;

    flush->syncfs = quick;
    assert_int_equal(flush_wait(flush, -1, BORN), 0);
    assert_int_equal(flush_wait(flush, -1, BORN), 0);
    assert_int_equal(flushes, 2);
}

struct caller {
    pthread_t thread;
    struct flush *flush;
    uint64_t born;
    int result;
};

static void *call(void *context)
{
    struct caller *caller = context;

    caller->result = flush_wait(caller->flush, -1, caller->born);
    return NULL;
}

/* Lets COUNT flushes end, now or later. */
static void let_pass(unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        sem_post(&may_leave);
}

static void callers_during_a_flush_share_the_next(void **state)
{
    struct flush *flush = *state;
    struct caller callers[8];

    flush->syncfs = held;
    for (unsigned i = 0; i < 8; i++) {
        callers[i] = (struct caller){.flush = flush, .born = BORN};
        assert_int_equal(pthread_create(&callers[i].thread, NULL, call, &callers[i]), 0);
        if (i == 0)
            sem_wait(&entered); /* the others come while the first flush runs */
    }
    let_pass(16);
    for (unsigned i = 0; i < 8; i++) {
        pthread_join(callers[i].thread, NULL);
        assert_int_equal(callers[i].result, 0);
    }
    /* two when all seven arrived in time; never one, since none may use the flush it came during */
    assert_in_range(flushes, 2, 8);
}

static void a_caller_during_a_flush_waits_for_another(void **state)
{
    struct flush *flush = *state;
    struct caller first = {.flush = flush, .born = BORN}, second = first;

    flush->syncfs = held;
    assert_int_equal(pthread_create(&first.thread, NULL, call, &first), 0);
    sem_wait(&entered);
    assert_int_equal(pthread_create(&second.thread, NULL, call, &second), 0);
    sem_post(&may_leave);
    sem_wait(&entered); /* a second flush has begun: nothing else could satisfy the second caller */
    pthread_join(first.thread, NULL);
    sem_post(&may_leave);
    pthread_join(second.thread, NULL);
    assert_int_equal(flushes, 2);
}

static void an_error_is_seen_by_all_who_share_it(void **state)
{
    struct flush *flush = *state;
    struct caller callers[4];

    flush->syncfs = held;
    atomic_store(&flush_error, ENOSPC);
    for (unsigned i = 0; i < 4; i++) {
        callers[i] = (struct caller){.flush = flush, .born = BORN};
        assert_int_equal(pthread_create(&callers[i].thread, NULL, call, &callers[i]), 0);
    }
    let_pass(16);
    for (unsigned i = 0; i < 4; i++) {
        pthread_join(callers[i].thread, NULL);
        assert_int_equal(callers[i].result, ENOSPC);
    }
}

static void after_an_error_older_volumes_are_not_called_durable(void **state)
{
    struct flush *flush = *state;

    flush->syncfs = quick;
    flush->transaction = transaction;
    atomic_store(&flush_error, EIO);
    assert_int_equal(flush_wait(flush, -1, BORN), EIO);
    atomic_store(&flush_error, 0);
    assert_int_equal(flush_wait(flush, -1, BORN), EIO);
    assert_int_equal(flush_wait(flush, -1, BORN + 2), EIO);
    assert_int_equal(flush_wait(flush, -1, BORN + 3), 0);
}

/* Such a file system stays so, or was remounted by somebody. */
static void one_that_is_read_only_has_lost_nothing(void **state)
{
    struct flush *flush = *state;

    flush->syncfs = quick;
    flush->transaction = transaction;
    atomic_store(&flush_error, EROFS);
    assert_int_equal(flush_wait(flush, -1, BORN), EROFS);
    atomic_store(&flush_error, 0);
    assert_int_equal(flush_wait(flush, -1, BORN), 0);
}

#define fresh(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        fresh(each_caller_alone_gets_a_flush),
        fresh(callers_during_a_flush_share_the_next),
        fresh(a_caller_during_a_flush_waits_for_another),
        fresh(an_error_is_seen_by_all_who_share_it),
        fresh(after_an_error_older_volumes_are_not_called_durable),
        fresh(one_that_is_read_only_has_lost_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
