/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_BASE_RESULT_H
#define COWSNAP_BASE_RESULT_H

/*
 * Results have two lanes, and every fallible function of this tree returns an int that tells them
 * apart:
 *
 *     0   done
 *   > 0   a condition: something the caller asked for cannot be, and the caller can act on it
 *         (enum condition). Nothing is broken. Each condition maps to exactly one gRPC status, in
 *         plugin/rpc/status.c and nowhere else.
 *   < 0   a failure: minus the errno of an operation that should have worked. It ends the request,
 *         never the daemon.
 *
 * The sentence for people travels beside the number in a struct reason. It is written once, where
 * the thing went wrong, and names the thing, what is wrong and what to do. The endings that
 * containerd's clients look for (": not found") are added by plugin/rpc/status.c, not here.
 */

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

enum condition {
    CONDITION_NOT_FOUND = 1,
    CONDITION_EXISTS,
    CONDITION_INVALID,      /* the request can never succeed as it stands */
    CONDITION_PRECONDITION, /* right request, wrong state: has children, is not active, … */
    CONDITION_EXHAUSTED,    /* a pool, a disk, a queue or a limit is full */
    CONDITION_UNIMPLEMENTED,
    CONDITION_UNAVAILABLE, /* the daemon is stopping, or the pool serves reads only */
    CONDITION_CANCELLED,
    CONDITION_DEADLINE,
};

/* What went wrong, for a person. Empty while nothing has. */
struct reason {
    char text[768];
};

/* Writes the sentence and returns CONDITION, so that a refusal is one line:
 *     return refuse(why, CONDITION_NOT_FOUND, "snapshot %s", name);
 * WHY may be NULL. A text too long is cut at a character boundary and ends in "…". */
int refuse(struct reason *why, enum condition condition, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Writes "<what was tried>: <text of the errno>" and returns -ERROR. ERROR is a positive errno; 0
 * counts as EIO, so that a forgotten errno never becomes success. WHY may be NULL. */
int failure(struct reason *why, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "<context>: " before the sentence that WHY already holds, and returns RESULT unchanged. */
int amend(struct reason *why, int result, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The condition's name in words ("not found"); for logs. */
const char *condition_name(enum condition condition);

#endif
