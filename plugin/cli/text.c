/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define NANO 1000000000

char *text_shown(struct bytes bytes)
{
    size_t room = QUOTE_ROOM(bytes.length);
    char *text = malloc(room);
    size_t length;

    if (!text)
        return NULL;
    bytes_quote(bytes, text, room);
    length = strlen(text);
    /* Nothing was escaped when there are just two quotes more; then they go. */
    if (bytes.length > 0 && length == bytes.length + 2) {
        memmove(text, text + 1, bytes.length);
        text[bytes.length] = '\0';
    }
    return text;
}

/* Whole seconds, rounded down, and what is left: also before the epoch. */
static time_t split(int64_t nanoseconds, long *rest)
{
    int64_t seconds = nanoseconds / NANO;

    *rest = (long)(nanoseconds % NANO);
    if (*rest < 0) {
        *rest += NANO;
        seconds--;
    }
    return (time_t)seconds;
}

const char *time_utc(int64_t nanoseconds, char buffer[TIME_ROOM])
{
    long rest;
    time_t seconds = split(nanoseconds, &rest);
    struct tm parts;
    size_t used;

    gmtime_r(&seconds, &parts);
    used = strftime(buffer, TIME_ROOM, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(buffer + used, TIME_ROOM - used, ".%09ldZ", rest);
    return buffer;
}

const char *time_local(int64_t nanoseconds, char buffer[TIME_ROOM])
{
    long rest;
    time_t seconds = split(nanoseconds, &rest);
    struct tm parts;

    localtime_r(&seconds, &parts);
    strftime(buffer, TIME_ROOM, "%Y-%m-%d %H:%M:%S", &parts);
    return buffer;
}

const char *time_span(uint64_t seconds, char buffer[TIME_ROOM])
{
    static const struct {
        uint64_t length;
        const char *name;
    } units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
    size_t i = 0;

    while (units[i].length > 1 && seconds < units[i].length)
        i++;
    if (units[i].length == 1)
        snprintf(buffer, TIME_ROOM, "%llu s", (unsigned long long)seconds);
    else
        snprintf(buffer, TIME_ROOM, "%llu %s %llu %s",
                 (unsigned long long)(seconds / units[i].length), units[i].name,
                 (unsigned long long)(seconds % units[i].length / units[i + 1].length),
                 units[i + 1].name);
    return buffer;
}
