/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_CLI_POOL_ACCESS_H
#define COWSNAP_CLI_POOL_ACCESS_H

/*
 * How the pool commands reach the pool: through the daemon that serves it, or, when none runs, by
 * themselves, with the daemon's own lock on its root, so that neither disturbs the other.
 */

#include "backends/backend.h"
#include "cli/command.h"
#include "cli/daemon.h"
#include "config/config.h"
#include "daemon/root.h"

#include <stdbool.h>

struct pool_access {
    struct config config; /* as the daemon would have it */
    struct daemon daemon;
    bool served;                                  /* it answers, and the pool is its */
    Cowsnap__Control__V1__StatusResponse *status; /* of the daemon, when served */
    struct root root;                             /* locked, once asked for */
    const struct backend_ops *ops;
    struct backend *backend; /* open, once asked for */
};

/* The first flags of every pool command, in this order. */
#define POOL_ACCESS_FLAGS                                                                          \
    {"config", true}, {"root", true},                                                              \
    {                                                                                              \
        "backend", true                                                                            \
    }
enum { POOL_FLAG_CONFIG, POOL_FLAG_ROOT, POOL_FLAG_BACKEND, POOL_FLAGS };

/* Their help, for a command's details. */
#define POOL_ACCESS_HELP                                                                           \
    "      --config FILE     read cowsnapd's settings from FILE (" CONFIG_FILE ")\n"               \
    "      --root DIR        the daemon's root, whatever FILE says\n"                              \
    "      --backend NAME    btrfs or dm-thin, whatever FILE says\n"

/* Reads the settings and asks the daemon. A daemon of another root than --root names is not ours.
 * CONDITION_PRECONDITION: one that is has another backend than --backend names. ACCESS is to be
 * ended by pool_access_end(), also after a failure. */
int pool_access_begin(struct pool_access *access, const struct arguments *arguments,
                      struct reason *why);
void pool_access_end(struct pool_access *access);

/* Takes the lock of a pool that no daemon serves. CONDITION_NOT_FOUND: there is no root folder, and
 * it is not to be MADE; CONDITION_UNAVAILABLE: a daemon has it after all, and listens elsewhere. */
int pool_access_lock(struct pool_access *access, bool make, struct reason *why);

/* What the pool's functions want to know, for a pool that is locked. */
struct backend_options pool_access_options(const struct pool_access *access,
                                           enum pool_presence presence);

/* Opens a pool that is locked. Results as backend_ops.open. */
int pool_access_open(struct pool_access *access, enum pool_presence presence, struct reason *why);

/* Explains the RESULT of a call to the daemon as the pool's own function would have. */
int pool_access_explain(const struct pool_access *access, int result, struct reason *why);

#endif
