/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/status.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum status_code status_of(int result)
{
    if (result == 0)
        return STATUS_OK;
    if (result < 0)
        return STATUS_INTERNAL;
    switch ((enum condition)result) {
    case CONDITION_NOT_FOUND:
        return STATUS_NOT_FOUND;
    case CONDITION_EXISTS:
        return STATUS_ALREADY_EXISTS;
    case CONDITION_INVALID:
        return STATUS_INVALID_ARGUMENT;
    case CONDITION_PRECONDITION:
        return STATUS_FAILED_PRECONDITION;
    case CONDITION_EXHAUSTED:
        return STATUS_RESOURCE_EXHAUSTED;
    case CONDITION_UNIMPLEMENTED:
        return STATUS_UNIMPLEMENTED;
    case CONDITION_UNAVAILABLE:
        return STATUS_UNAVAILABLE;
    case CONDITION_CANCELLED:
        return STATUS_CANCELLED;
    case CONDITION_DEADLINE:
        return STATUS_DEADLINE_EXCEEDED;
    }
    return STATUS_UNKNOWN;
}

/* The words that containerd's errdefs put at the end of a message, and take off again. For a call
 * that was cancelled they are Go's own and nobody trims them: none. */
static const char *ending_of(int result)
{
    if (result < 0 || result == CONDITION_CANCELLED || result == CONDITION_DEADLINE)
        return "";
    return condition_name((enum condition)result);
}

static bool ends_with(const char *text, const char *ending)
{
    size_t length = strlen(text), tail = strlen(ending);

    return length >= tail && memcmp(text + length - tail, ending, tail) == 0;
}

const char *status_message(int result, const struct reason *why, char *message)
{
    const char *text = why ? why->text : "";
    const char *ending;

    message[0] = '\0';
    if (result == 0)
        return message;
    ending = ending_of(result);
    if (text[0] == '\0')
        text = result < 0 ? "the request failed" : condition_name((enum condition)result);
    if (ends_with(text, ending))
        snprintf(message, STATUS_MESSAGE_ROOM, "%s", text);
    else
        snprintf(message, STATUS_MESSAGE_ROOM, "%s: %s", text, ending);
    return message;
}

int status_result(int code)
{
    switch (code) {
    case STATUS_OK:
        return 0;
    case STATUS_INTERNAL:
        return -EIO;
    default:
        for (int condition = CONDITION_NOT_FOUND; condition <= CONDITION_DEADLINE; condition++)
            if ((int)status_of(condition) == code)
                return condition;
        return -EPROTO;
    }
}

const char *status_name(int code)
{
    static const char *const names[] = {
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    };

    if (code < 0 || (size_t)code >= sizeof(names) / sizeof(names[0]))
        return "UNKNOWN";
    return names[code];
}
