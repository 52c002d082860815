/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_BACKENDS_TOOL_H
#define COWSNAP_BACKENDS_TOOL_H

/*
 * The only child processes of the daemon: makers of file systems, when a pool is set up, and what
 * examines a pool, when the operator asks for it.
 */

#include "base/result.h"

#include <stdatomic.h>

/* Where the program finds the file it is to work on. It has the file, not its name: one that
 * outlives its daemon cannot meddle with what the next makes under that name. */
#define TOOL_FILE "/proc/self/fd/3"

/* Runs the program ARGUMENTS[0], found in PATH or among the sbin folders, with FILE at TOOL_FILE,
 * and waits for its end. CONDITION_UNAVAILABLE when it is not installed, with ADVICE on what to do;
 * a failure cites what it printed last. */
int tool_run(char *const *arguments, int file, const char *advice, struct reason *why);

#define TOOL_WORDS 400

/* How a program ended. */
struct tool_end {
    int status;             /* its exit status, or minus the number of the signal that ended it */
    char words[TOOL_WORDS]; /* the last line it printed, quoted; "" when there was none */
};

/* The same for a program whose exit status is an answer: 0 whatever that is. When *CANCEL is set
 * (CANCEL may be NULL) the program is killed: CONDITION_CANCELLED. */
int tool_ask(char *const *arguments, int file, const char *advice, const atomic_bool *cancel,
             struct tool_end *end, struct reason *why);

#endif
