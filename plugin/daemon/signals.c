/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/signals.h"

#include <pthread.h>
#include <signal.h>

static sigset_t ending_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    return set;
}

void signals_block(void)
{
    sigset_t set = ending_signals();

    /* Started in the background of a shell without job control, SIGINT comes ignored, and an
     * ignored signal is never seen by sigwait(). */
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN); /* of a terminal, or of who thinks that it reloads the settings */
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

int signals_wait(void)
{
    sigset_t set = ending_signals();
    int signal_number;

    while (sigwait(&set, &signal_number) != 0)
        ;
    return signal_number;
}
