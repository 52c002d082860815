/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"

#include <stdio.h>
#include <stdlib.h>

int bytes_compare(struct bytes a, struct bytes b)
{
    size_t common = a.length < b.length ? a.length : b.length;
    int order = common ? memcmp(a.data, b.data, common) : 0;

    if (order)
        return order;
    return (a.length > b.length) - (a.length < b.length);
}

bool bytes_start_with(struct bytes whole, struct bytes prefix)
{
    return whole.length >= prefix.length &&
           (prefix.length == 0 || memcmp(whole.data, prefix.data, prefix.length) == 0);
}

bool bytes_are_utf8(struct bytes bytes)
{
    while (bytes.length > 0) {
        size_t length = bytes_utf8_sequence(bytes);

        if (length == 0)
            return false;
        bytes = bytes_from(bytes.data + length, bytes.length - length);
    }
    return true;
}

uint8_t *bytes_copy(struct bytes source)
{
    uint8_t *copy = malloc(source.length + 1);

    if (!copy)
        return NULL;
    if (source.length)
        memcpy(copy, source.data, source.length);
    copy[source.length] = '\0';
    return copy;
}

size_t bytes_utf8_sequence(struct bytes bytes)
{
    const uint8_t *at = bytes.data;
    size_t length;

    if (bytes.length == 0)
        return 0;
    if (at[0] < 0x80)
        return 1;
    if (at[0] >= 0xc2 && at[0] <= 0xdf)
        length = 2;
    else if (at[0] >= 0xe0 && at[0] <= 0xef)
        length = 3;
    else if (at[0] >= 0xf0 && at[0] <= 0xf4)
        length = 4;
    else
        return 0;
    if (bytes.length < length)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) ||
        (at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] > 0x8f))
        return 0;
    return length;
}

/* Whether the sequence at AT may stand between quotes as it is. U+0080 … U+009F are controls, too:
 * some terminals take U+009B for the start of a command. */
static bool is_plain(const uint8_t *at, size_t sequence)
{
    if (sequence == 1)
        return *at >= 0x20 && *at != 0x7f && *at != '"' && *at != '\\';
    return sequence > 2 || (sequence == 2 && !(at[0] == 0xc2 && at[1] < 0xa0));
}

const char *bytes_quote(struct bytes bytes, char *buffer, size_t size)
{
    static const char cut[] = "…\"";
    size_t used = 0;
    size_t at = 0;

    buffer[used++] = '"';
    while (at < bytes.length) {
        size_t sequence = bytes_utf8_sequence(bytes_from(bytes.data + at, bytes.length - at));
        bool plain = is_plain(bytes.data + at, sequence);
        size_t need = plain ? sequence : 4;

        if (used + need + sizeof(cut) > size) {
            memcpy(buffer + used, cut, sizeof(cut));
            return buffer;
        }
        if (plain) {
            memcpy(buffer + used, bytes.data + at, sequence);
            at += sequence;
        } else {
            snprintf(buffer + used, 5, "\\x%02x", bytes.data[at]);
            at++;
        }
        used += need;
    }
    buffer[used++] = '"';
    buffer[used] = '\0';
    return buffer;
}
