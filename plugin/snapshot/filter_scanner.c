/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/filter_scanner.h"

#include <errno.h>

#define END (-1)

static int peek(const struct filter_scanner *scanner)
{
    return scanner->at < scanner->input.length ? scanner->input.data[scanner->at] : END;
}

static bool is_field(int byte)
{
    return byte == '_' || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
           (byte >= '0' && byte <= '9');
}

static bool is_operator(int byte)
{
    return byte == '=' || byte == '!' || byte == '~';
}

static bool is_quote(int byte)
{
    return byte == '"' || byte == '/' || byte == '|';
}

/* ASCII white space. Other white space of Unicode counts as text here. */
static bool is_space(int byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

/* What a bare value may hold: anything printable but a comma; bytes past ASCII are text. */
static bool is_value(int byte)
{
    return byte > ' ' && byte != 0x7f && byte != ',';
}

int filter_refuse(const struct filter_scanner *scanner, size_t at, const char *message,
                  struct reason *why)
{
    return refuse(why, CONDITION_INVALID, "filter %s: at byte %zu: %s", quoted(scanner->input), at,
                  message);
}

static int hex_value(int byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    if (byte >= 'a' && byte <= 'f')
        return byte - 'a' + 10;
    if (byte >= 'A' && byte <= 'F')
        return byte - 'A' + 10;
    return 16;
}

/* COUNT digits of BASE from AT; false when there are fewer. */
static bool read_digits(struct bytes text, size_t at, size_t count, int base, uint32_t *value)
{
    *value = 0;
    if (text.length - at < count)
        return false;
    for (size_t i = 0; i < count; i++) {
        int digit = hex_value(text.data[at + i]);

        if (digit >= base)
            return false;
        *value = *value * (uint32_t)base + (uint32_t)digit;
    }
    return true;
}

struct escape {
    uint32_t value;
    bool is_rune; /* written as UTF-8; else one byte */
    size_t length;
};

/* The escape at AT, where TEXT holds a backslash; false when it is none of Go's. */
static bool read_escape(struct bytes text, size_t at, int quote, struct escape *escape)
{
    static const char letters[] = "abfnrtv\\";
    static const char values[] = "\a\b\f\n\r\t\v\\";
    const char *letter;
    size_t digits;

    if (at + 1 >= text.length)
        return false;
    *escape = (struct escape){.length = 2};
    if (text.data[at + 1] == quote) {
        escape->value = (uint32_t)quote;
        return true;
    }
    letter = memchr(letters, text.data[at + 1], sizeof(letters) - 1);
    if (letter) {
        escape->value = (unsigned char)values[letter - letters];
        return true;
    }
    switch (text.data[at + 1]) {
    case 'x':
        digits = 2;
        break;
    case 'u':
        digits = 4;
        break;
    case 'U':
        digits = 8;
        break;
    default: /* three octal digits, no letter before them */
        escape->length = 4;
        return read_digits(text, at + 1, 3, 8, &escape->value) && escape->value <= 0xff;
    }
    escape->is_rune = digits > 2;
    escape->length = 2 + digits;
    return read_digits(text, at + 2, digits, 16, &escape->value) && escape->value <= 0x10ffff;
}

static int scan_quoted(struct filter_scanner *scanner, int quote, struct reason *why)
{
    for (;;) {
        struct escape escape;
        int byte = peek(scanner);

        if (byte == END || byte == '\n')
            return filter_refuse(scanner, scanner->token_start, "the quoted text does not end",
                                 why);
        if (byte == quote) {
            scanner->at++;
            return 0;
        }
        if (byte != '\\') {
            scanner->at++;
            continue;
        }
        if (!read_escape(scanner->input, scanner->at, quote, &escape))
            return filter_refuse(scanner, scanner->at, "no such escape sequence", why);
        scanner->at += escape.length;
    }
}

static void skip_while(struct filter_scanner *scanner, bool (*belongs)(int))
{
    while (belongs(peek(scanner)))
        scanner->at++;
}

int filter_scan(struct filter_scanner *scanner, enum filter_token *token, struct bytes *text,
                struct reason *why)
{
    int result = 0;
    int byte;

    skip_while(scanner, is_space);
    scanner->token_start = scanner->at;
    byte = peek(scanner);
    if (byte == END) {
        *token = FILTER_END;
    } else if (is_quote(byte)) {
        *token = FILTER_QUOTED;
        scanner->at++;
        scanner->value_next = false;
        result = scan_quoted(scanner, byte, why);
    } else if (byte == ',' || (byte == '.' && !scanner->value_next)) {
        *token = byte == ',' ? FILTER_COMMA : FILTER_DOT;
        scanner->at++;
        scanner->value_next = false;
    } else if (is_operator(byte) && !scanner->value_next) {
        *token = FILTER_OPERATOR;
        skip_while(scanner, is_operator);
        scanner->value_next = true;
    } else if (scanner->value_next && is_value(byte)) {
        *token = FILTER_VALUE;
        skip_while(scanner, is_value);
        scanner->value_next = false;
    } else if (is_field(byte)) {
        *token = FILTER_FIELD;
        skip_while(scanner, is_field);
    } else {
        return filter_refuse(scanner, scanner->at, "expected a field, an operator or a quoted text",
                             why);
    }
    *text =
        bytes_from(scanner->input.data + scanner->token_start, scanner->at - scanner->token_start);
    return result;
}

static size_t write_utf8(uint8_t *target, uint32_t rune)
{
    if (rune < 0x80) {
        target[0] = (uint8_t)rune;
        return 1;
    }
    if (rune < 0x800) {
        target[0] = (uint8_t)(0xc0 | rune >> 6);
        target[1] = (uint8_t)(0x80 | (rune & 0x3f));
        return 2;
    }
    if (rune < 0x10000) {
        target[0] = (uint8_t)(0xe0 | rune >> 12);
        target[1] = (uint8_t)(0x80 | (rune >> 6 & 0x3f));
        target[2] = (uint8_t)(0x80 | (rune & 0x3f));
        return 3;
    }
    target[0] = (uint8_t)(0xf0 | rune >> 18);
    target[1] = (uint8_t)(0x80 | (rune >> 12 & 0x3f));
    target[2] = (uint8_t)(0x80 | (rune >> 6 & 0x3f));
    target[3] = (uint8_t)(0x80 | (rune & 0x3f));
    return 4;
}

int filter_unquote(struct arena *arena, struct bytes text, struct bytes *value, struct reason *why)
{
    int quote = text.data[0];
    struct bytes inner = bytes_from(text.data + 1, text.length - 2);
    uint8_t *target = arena_take(arena, inner.length + 1); /* no escape is longer than itself */
    size_t used = 0;

    if (!target)
        return failure(why, ENOMEM, "read a filter");
    for (size_t at = 0; at < inner.length;) {
        struct escape escape;

        if (inner.data[at] != '\\' || !read_escape(inner, at, quote, &escape)) {
            target[used++] = inner.data[at++];
            continue;
        }
        if (escape.is_rune)
            used += write_utf8(target + used, escape.value);
        else
            target[used++] = (uint8_t)escape.value;
        at += escape.length;
    }
    *value = bytes_from(target, used);
    return 0;
}
