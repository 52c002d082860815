/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_LAYER_CURSOR_H
#define COWSNAP_LAYER_CURSOR_H

/*
 * A place in a bounded run of bytes: the only way the parsers of an archive read. It never steps
 * past its end, whatever it is asked for. What it hands out is borrowed from the run.
 */

#include "base/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct cursor {
    const uint8_t *next;
    size_t left;
};

static inline struct cursor cursor_over(struct bytes bytes)
{
    return (struct cursor){bytes.data, bytes.length};
}

/* The next LENGTH bytes, or as many as are left: compare the length where it matters. */
static inline struct bytes cursor_take(struct cursor *cursor, size_t length)
{
    struct bytes taken;

    if (length > cursor->left)
        length = cursor->left;
    taken = (struct bytes){cursor->next, length};
    if (length > 0) /* next may be NULL when there is nothing */
        cursor->next += length;
    cursor->left -= length;
    return taken;
}

/* All that is left. */
static inline struct bytes cursor_rest(struct cursor *cursor)
{
    return cursor_take(cursor, cursor->left);
}

/* One byte; false at the end. */
static inline bool cursor_byte(struct cursor *cursor, uint8_t *byte)
{
    if (cursor->left == 0)
        return false;
    *byte = *cursor->next++;
    cursor->left--;
    return true;
}

/* What stands before the next DELIMITER, which is stepped over; false, and nothing is taken, when
 * there is none. */
static inline bool cursor_until(struct cursor *cursor, uint8_t delimiter, struct bytes *before)
{
    const uint8_t *found = cursor->left > 0 ? memchr(cursor->next, delimiter, cursor->left) : NULL;

    if (!found)
        return false;
    *before = cursor_take(cursor, (size_t)(found - cursor->next));
    cursor_take(cursor, 1);
    return true;
}

/* What stands before the next DELIMITER, or before the end; the delimiter is stepped over. */
static inline struct bytes cursor_field(struct cursor *cursor, uint8_t delimiter)
{
    struct bytes before;

    return cursor_until(cursor, delimiter, &before) ? before : cursor_rest(cursor);
}

#endif
