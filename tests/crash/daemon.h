/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_TESTS_CRASH_DAEMON_H
#define COWSNAP_TESTS_CRASH_DAEMON_H

/*
 * The daemon under test as a process, and what it leaves in the system. All of it is in a mount
 * namespace of this program's, so nothing stays however it ends.
 */

#include "rpc/client.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define DAEMON_START_MOST_MS 10000

struct daemon {
    const char *program;
    char root[256], socket[256], content[256], log[256];
    pid_t pid;  /* 0: it is not running */
    int status; /* that it ended with */
};

int64_t daemon_now_ms(void);
/* Waits a little before something is looked at again. */
void daemon_pause(void);

/* A daemon for the state in FOLDER/ROOT, which is made; socket and log are in FOLDER. */
void daemon_init(struct daemon *daemon, const char *program, const char *folder, const char *root,
                 const char *content);

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

/* Takes the pool's mount away and removes all of its state; false when an unfinished pool was in
 * it.
 */
bool daemon_forget(const struct daemon *daemon);

/* Unmounts what is mounted at POINT, if anything is. */
void daemon_unmount(const char *point);
/* Takes the pool's mount away, as a reboot does, and waits for the end of its loop device. */
void daemon_unmount_pool(const struct daemon *daemon);
void daemon_pool_path(const struct daemon *daemon, char path[512]);
void daemon_volume_path(const struct daemon *daemon, uint64_t id, char path[512]);
/* The volumes in the pool, which is mounted; memory is the caller's. */
uint64_t *daemon_volumes(const struct daemon *daemon, size_t *count);
/* Mounts below its root, and loop devices on its pool's file. */
unsigned daemon_mounts(const struct daemon *daemon);
unsigned daemon_loops(const struct daemon *daemon);

#endif
