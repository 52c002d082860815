/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/signals.h"

#include "unit/cmocka_setup.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

static void *stay(void *pipe_end)
{
    char byte;

    (void)!read(*(int *)pipe_end, &byte, 1);
    return NULL;
}

/* One that comes before anybody waits, and while other threads run, is kept for the waiter. */
static void an_ending_signal_waits_for_its_taker(void **state)
{
    int ends[2];
    pthread_t thread;

    (void)state;
    signal(SIGINT, SIG_IGN);
    signals_block();
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(pthread_create(&thread, NULL, stay, &ends[0]), 0);
    kill(getpid(), SIGTERM);
    assert_int_equal(signals_wait(), SIGTERM);
    kill(getpid(), SIGINT);
    assert_int_equal(signals_wait(), SIGINT);
    close(ends[1]);
    pthread_join(thread, NULL);
    close(ends[0]);
}

static void writing_to_a_peer_that_left_is_an_error(void **state)
{
    int ends[2];

    (void)state;
    signals_block();
    assert_int_equal(pipe(ends), 0);
    close(ends[0]);
    assert_int_equal(write(ends[1], "x", 1), -1);
    assert_int_equal(errno, EPIPE);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_ending_signal_waits_for_its_taker),
        cmocka_unit_test(writing_to_a_peer_that_left_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
