/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "base/bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static enum log_level least_level = LOG_LEVEL_INFO;
static enum log_format line_format = LOG_FORMAT_TEXT;

static const char *const level_names[] = {"debug", "info", "warn", "error"};
static const char *const format_names[] = {"text", "json"};

static int index_of(const char *name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(name, names[i]) == 0)
            return (int)i;
    return -1;
}

int log_level_from_name(const char *name)
{
    return index_of(name, level_names, sizeof(level_names) / sizeof(level_names[0]));
}

int log_format_from_name(const char *name)
{
    return index_of(name, format_names, sizeof(format_names) / sizeof(format_names[0]));
}

void log_setup(enum log_level least, enum log_format format)
{
    least_level = least;
    line_format = format;
}

/* Copies TEXT with control characters and what is no UTF-8 escaped, and quotes and backslashes too
 * when JSON. */
static size_t copy_escaped(char *target, size_t room, const char *text)
{
    struct bytes left = bytes_of(text);
    size_t used = 0;

    while (left.length > 0 && used + 7 < room) {
        size_t length = bytes_utf8_sequence(left);
        uint8_t byte = left.data[0];
        /* U+0080 to U+009F begin commands on some terminals */
        bool control =
            byte < 0x20 || byte == 0x7f || (length == 2 && byte == 0xc2 && left.data[1] < 0xa0);

        if (length == 0) {
            used += (size_t)snprintf(target + used, 7, "\\ufffd");
            length = 1;
        } else if (control) {
            used += (size_t)snprintf(target + used, 7, "\\u%04x", left.data[length - 1]);
        } else {
            if (line_format == LOG_FORMAT_JSON && (byte == '"' || byte == '\\'))
                target[used++] = '\\';
            memcpy(target + used, left.data, length);
            used += length;
        }
        left = bytes_from(left.data + length, left.length - length);
    }
    target[used] = '\0';
    return used;
}

void log_line(enum log_level level, const char *format, ...)
{
    char text[1024];
    char line[2300];
    char stamp[40];
    struct timespec now;
    struct tm parts;
    va_list arguments;
    size_t used;

    if (level < least_level)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    used = strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(stamp + used, sizeof(stamp) - used, ".%06ldZ", now.tv_nsec / 1000);

    if (line_format == LOG_FORMAT_JSON) {
        used = (size_t)snprintf(line, sizeof(line), "{\"time\":\"%s\",\"level\":\"%s\",\"msg\":\"",
                                stamp, level_names[level]);
        used += copy_escaped(line + used, sizeof(line) - used - 4, text);
        used += (size_t)snprintf(line + used, sizeof(line) - used, "\"}\n");
    } else {
        used = (size_t)snprintf(line, sizeof(line), "%s %-5s ", stamp, level_names[level]);
        used += copy_escaped(line + used, sizeof(line) - used - 2, text);
        line[used++] = '\n';
    }
    /* A log that cannot be written has nowhere to complain to. */
    if (write(STDERR_FILENO, line, used) < 0)
        return;
}
