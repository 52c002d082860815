/* SPDX-License-Identifier: Apache-2.0 */
#include "base/result.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Marks a cut text, without leaving half of a UTF-8 sequence before the mark. */
static void mark_cut(char *text, size_t size)
{
    static const char mark[] = "…";
    size_t at = size - sizeof(mark);

    while (at > 0 && ((unsigned char)text[at] & 0xc0) == 0x80)
        at--;
    memcpy(text + at, mark, sizeof(mark));
}

static void write_text(struct reason *why, const char *format, va_list arguments)
{
    int length = vsnprintf(why->text, sizeof(why->text), format, arguments);

    if (length < 0)
        why->text[0] = '\0';
    else if ((size_t)length >= sizeof(why->text))
        mark_cut(why->text, sizeof(why->text));
}

static void append_text(struct reason *why, const char *text)
{
    size_t used = strlen(why->text);
    int length = snprintf(why->text + used, sizeof(why->text) - used, "%s", text);

    if (length > 0 && used + (size_t)length >= sizeof(why->text))
        mark_cut(why->text, sizeof(why->text));
}

int refuse(struct reason *why, enum condition condition, const char *format, ...)
{
    if (why) {
        va_list arguments;

        va_start(arguments, format);
        write_text(why, format, arguments);
        va_end(arguments);
    }
    return (int)condition;
}

int failure(struct reason *why, int error, const char *format, ...)
{
    if (error <= 0)
        error = EIO;
    if (why) {
        char buffer[128];
        va_list arguments;

        va_start(arguments, format);
        write_text(why, format, arguments);
        va_end(arguments);
        append_text(why, ": ");
        append_text(why, strerror_r(error, buffer, sizeof(buffer)));
    }
    return -error;
}

int amend(struct reason *why, int result, const char *format, ...)
{
    if (why) {
        struct reason before = *why;
        va_list arguments;

        va_start(arguments, format);
        write_text(why, format, arguments);
        va_end(arguments);
        append_text(why, ": ");
        append_text(why, before.text);
    }
    return result;
}

const char *condition_name(enum condition condition)
{
    switch (condition) {
    case CONDITION_NOT_FOUND:
        return "not found";
    case CONDITION_EXISTS:
        return "already exists";
    case CONDITION_INVALID:
        return "invalid argument";
    case CONDITION_PRECONDITION:
        return "failed precondition";
    case CONDITION_EXHAUSTED:
        return "resource exhausted";
    case CONDITION_UNIMPLEMENTED:
        return "not implemented";
    case CONDITION_UNAVAILABLE:
        return "unavailable";
    case CONDITION_CANCELLED:
        return "cancelled";
    case CONDITION_DEADLINE:
        return "deadline exceeded";
    }
    return "unknown condition";
}
