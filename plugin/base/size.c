/* SPDX-License-Identifier: Apache-2.0 */
#include "base/size.h"

#include <stdio.h>
#include <strings.h>

static const char units[] = "KMGTP";

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

/* The factor that SUFFIX stands for, 0 for one that is none. */
static uint64_t factor_of(struct bytes suffix)
{
    char text[4] = {0};
    uint64_t base;
    uint64_t factor = 1;
    const char *unit;

    if (suffix.length == 0)
        return 1;
    if (suffix.length >= sizeof(text))
        return 0;
    memcpy(text, suffix.data, suffix.length);
    if (strcasecmp(text, "b") == 0)
        return 1;
    /* A NUL would match the end of the list. */
    unit = text[0] ? strchr(units, text[0] & ~0x20) : NULL;
    if (!unit || *unit == '\0')
        return 0;
    if (suffix.length == 1 || (suffix.length == 3 && strcasecmp(text + 1, "ib") == 0))
        base = 1024;
    else if (suffix.length == 2 && strcasecmp(text + 1, "b") == 0)
        base = 1000;
    else
        return 0;
    for (long i = unit - units; i >= 0; i--)
        factor *= base;
    return factor;
}

int size_parse(struct bytes text, uint64_t *size, struct reason *why)
{
    uint64_t number = 0;
    uint64_t factor;
    size_t at = 0;

    for (; at < text.length && is_digit(text.data[at]); at++)
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, text.data[at] - '0', &number))
            goto too_large;
    if (at == 0)
        goto no_size;
    if (at < text.length && text.data[at] == ' ')
        at++;
    factor = factor_of(bytes_from(text.data + at, text.length - at));
    if (factor == 0 || (at == text.length && text.data[at - 1] == ' '))
        goto no_size;
    if (__builtin_mul_overflow(number, factor, &number))
        goto too_large;
    *size = number;
    return 0;

no_size:
    return refuse(why, CONDITION_INVALID,
                  "%s is no size; write a whole number with a unit, such as \"20GiB\" or \"512M\"",
                  quoted(text));
too_large:
    return refuse(why, CONDITION_INVALID, "%s is more bytes than a 64-bit number holds",
                  quoted(text));
}

const char *size_format(uint64_t size, char buffer[SIZE_ROOM])
{
    static const char names[] = "KMGTPE";
    unsigned __int128 unit = 1024;
    size_t index = 0;

    if (size < 1000) {
        snprintf(buffer, SIZE_ROOM, "%u B", (unsigned)size);
        return buffer;
    }
    /* The next unit as soon as four digits would show: "0.98 GiB" rather than "1000 MiB". */
    while (index + 1 < sizeof(names) - 1 && (unsigned __int128)size * 2 >= unit * 1999) {
        unit *= 1024;
        index++;
    }

    /* Rounded half up to hundredths, then to fewer places as the figure grows. */
    uint64_t hundredths = (uint64_t)(((unsigned __int128)size * 100 + unit / 2) / unit);

    if (hundredths < 1000)
        snprintf(buffer, SIZE_ROOM, "%u.%02u %ciB", (unsigned)(hundredths / 100),
                 (unsigned)(hundredths % 100), names[index]);
    else if ((hundredths + 5) / 10 < 1000)
        snprintf(buffer, SIZE_ROOM, "%u.%u %ciB", (unsigned)((hundredths + 5) / 10 / 10),
                 (unsigned)((hundredths + 5) / 10 % 10), names[index]);
    else
        snprintf(buffer, SIZE_ROOM, "%u %ciB", (unsigned)((hundredths + 50) / 100), names[index]);
    return buffer;
}
