/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_TESTS_INJECT_TURNS_H
#define COWSNAP_TESTS_INJECT_TURNS_H

/*
 * One call over and over, from the same state, while each thing that it takes (an allocation, a
 * system call) fails in turn. It must end in an error or in its effect, leave the state as it was
 * or as it shall be, keep no descriptor and no thread, and work when it is made again.
 */

#include "base/result.h"
#include "inject/shim.h"

#include <stdbool.h>
#include <stddef.h>

struct turn_call {
    const char *name;
    /* Any value that ACT and DESCRIBE take; from END's last on nothing of it may be left. */
    void *(*begin)(void);
    int (*act)(void *state, struct reason *why);
    /* The state as text, into ROOM bytes. NULL: the call changes nothing that could be told. */
    void (*describe)(void *state, char *text, size_t room);
    void (*end)(void *state);
    /* What a call that failed had begun may stay, and must be taken away by whoever asked: ACT is
     * made again on a new state. */
    bool may_leave_parts;
    bool is_remote; /* what fails may be a server's: any error will do */
    /* A call that failed may have got part of the way, and goes on from there when it is made
     * again.
     */
    bool goes_on;
};

struct turns {
    unsigned made;   /* turns in which something failed */
    unsigned errors; /* of them, calls that ended in an error */
    unsigned wrong;  /* what should not be; each is printed */
};

/* Adds to TURNS. ERROR as shim_arm(). */
void turns_take(struct turns *turns, const struct turn_call *call, enum shim_kind kind, int error);

/* Prints what there was as "count: MADE", for run.sh; returns the exit status. */
int turns_end(const struct turns *turns, const char *what);

#endif
