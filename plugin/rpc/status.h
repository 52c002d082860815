/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_RPC_STATUS_H
#define COWSNAP_RPC_STATUS_H

/*
 * The one place that knows which gRPC status a result becomes, and back. Numbers are those of
 * gRPC's specification (doc/statuscodes.md of grpc), so that no other file needs grpc/status.h.
 */

#include "base/result.h"

#include <stddef.h>

enum status_code {
    STATUS_OK = 0,
    STATUS_CANCELLED = 1,
    STATUS_UNKNOWN = 2,
    STATUS_INVALID_ARGUMENT = 3,
    STATUS_DEADLINE_EXCEEDED = 4,
    STATUS_NOT_FOUND = 5,
    STATUS_ALREADY_EXISTS = 6,
    STATUS_PERMISSION_DENIED = 7,
    STATUS_RESOURCE_EXHAUSTED = 8,
    STATUS_FAILED_PRECONDITION = 9,
    STATUS_ABORTED = 10,
    STATUS_OUT_OF_RANGE = 11,
    STATUS_UNIMPLEMENTED = 12,
    STATUS_INTERNAL = 13,
    STATUS_UNAVAILABLE = 14,
    STATUS_DATA_LOSS = 15,
    STATUS_UNAUTHENTICATED = 16,
};

/* Room for any message of status_message(), its NUL included: a reason, and an ending. */
#define STATUS_MESSAGE_ROOM (sizeof(((struct reason *)0)->text) + 32)

/* The status of a RESULT in either lane (base/result.h). */
enum status_code status_of(int result);

/* Writes the message that goes with it into MESSAGE, of STATUS_MESSAGE_ROOM bytes: the sentence of
 * WHY with the ending that containerd's clients trim (": not found") when it is not there already.
 * Empty for a RESULT of 0. Returns MESSAGE. */
const char *status_message(int result, const struct reason *why, char *message);

/* What a status means to the caller of a service: the inverse of status_of(). Codes that this
 * daemon never sends are failures (-EPROTO; INTERNAL is -EIO). */
int status_result(int code);

/* "NOT_FOUND" and the like; "UNKNOWN" for a number that is none. */
const char *status_name(int code);

#endif
