/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_TESTS_CRASH_DAEMON_H
#define COWSNAP_TESTS_CRASH_DAEMON_H

/*
 * The daemon under test as a process. Its mounts are in a mount namespace of this program's, so
 * none stays however it ends.
 */

#include "rpc/client.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define DAEMON_START_MOST_MS 10000

struct storage;

/* What all daemons of a run have in common. */
struct daemon_setup {
    const char *program, *folder;
    const struct storage *storage;
    char content[256];
    unsigned slow; /* how many times as long as usual things take: the machine is emulated */
};

struct daemon {
    const struct daemon_setup *setup;
    char root[256], socket[256], settings[256], log[256];
    char mounts[256]; /* a folder for mounts of what it hands out */
    pid_t pid;        /* 0: it is not running */
    int status;       /* that it ended with */
};

/* A daemon for the state in the setup's folder/ROOT, which is made; socket, configuration, log and
 * mounts are in the setup's folder. */
void daemon_init(struct daemon *daemon, const struct daemon_setup *setup, const char *root);

/* Starts it with STEP for its COWSNAP_STEP (NULL: none) and waits until it takes connections, then
 * opens *CLIENT. False when it ended before that; *TOOK_MS is how long it took. A start that takes
 * too long is told, and then ends this program. */
bool daemon_start(struct daemon *daemon, const char *step, struct client **client,
                  int64_t *took_ms);

/* Starts it and waits for nothing. */
void daemon_spawn(struct daemon *daemon, const char *step);

/* Whether it runs still. */
bool daemon_runs(struct daemon *daemon);
/* Whether it has ended by SIGKILL. */
bool daemon_was_killed(const struct daemon *daemon);
/* Sends the signal and waits for its end. */
void daemon_end(struct daemon *daemon, int signal_number);

/* The names of all its steps, one a line, in memory that is the caller's to free. */
char *daemon_steps(const char *program);

/* Takes its pool out of the kernel and removes all of its state; false when an unfinished pool was
 * in it. */
bool daemon_forget(const struct daemon *daemon);

#endif
