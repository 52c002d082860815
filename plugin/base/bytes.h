/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_BASE_BYTES_H
#define COWSNAP_BASE_BYTES_H

/*
 * A borrowed run of bytes. Snapshot keys, names and labels come from the network and may hold any
 * byte, NUL and newline included; they are never C strings and never paths.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
    const uint8_t *data; /* may be NULL when length is 0 */
    size_t length;
};

/* Borrows a C string, without its NUL. NULL counts as empty. */
static inline struct bytes bytes_of(const char *text)
{
    return (struct bytes){(const uint8_t *)text, text ? strlen(text) : 0};
}

static inline struct bytes bytes_from(const void *data, size_t length)
{
    return (struct bytes){(const uint8_t *)data, length};
}

static inline bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.length == b.length && (a.length == 0 || memcmp(a.data, b.data, a.length) == 0);
}

/* Lexicographic by unsigned byte, a prefix before what it begins; <0, 0, >0. */
int bytes_compare(struct bytes a, struct bytes b);

bool bytes_start_with(struct bytes whole, struct bytes prefix);

/* Length of the well-formed UTF-8 sequence at the start of BYTES, 0 when there is none. Overlong
 * forms, surrogates and values past U+10FFFF are not well formed (Unicode 15, table 3-7). */
size_t bytes_utf8_sequence(struct bytes bytes);

/* Whether all of it is well-formed UTF-8, which a NUL is, too. */
bool bytes_are_utf8(struct bytes bytes);

/* A copy the caller frees, with a NUL after its end for convenience; NULL when memory is out. */
uint8_t *bytes_copy(struct bytes source);

/* Room that bytes_quote() needs for SHOWN bytes of text. */
#define QUOTE_ROOM(shown) ((shown)*4 + 8)

/* Writes BYTES into BUFFER for a message or a log line: between double quotes, with control
 * characters, quotes, backslashes and invalid UTF-8 as \xHH, cut with "…" when it does not fit in
 * SIZE (at least QUOTE_ROOM(0)). Returns BUFFER. */
const char *bytes_quote(struct bytes bytes, char *buffer, size_t size);

/* bytes_quote() into a buffer that lives to the end of the calling block. */
#define quoted(bytes) bytes_quote((bytes), (char[QUOTE_ROOM(48)]){0}, QUOTE_ROOM(48))

#endif
