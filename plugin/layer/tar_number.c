/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/tar_number.h"

#include "layer/cursor.h"

#define MOST_NEGATIVE ((uint64_t)INT64_MAX + 1) /* the magnitude of INT64_MIN */

static bool is_padding(uint8_t byte)
{
    return byte == ' ' || byte == '\0';
}

static struct bytes without_padding(struct bytes field)
{
    while (field.length > 0 && is_padding(field.data[field.length - 1]))
        field.length--;
    while (field.length > 0 && is_padding(*field.data)) {
        field.data++;
        field.length--;
    }
    return field;
}

bool tar_number_octal(struct bytes field, int64_t *value)
{
    struct cursor digits = cursor_over(without_padding(field));
    uint64_t number = 0;
    uint8_t digit;

    while (cursor_byte(&digits, &digit) && digit != '\0') {
        if (digit < '0' || digit > '7' || number > (uint64_t)INT64_MAX >> 3)
            return false;
        number = number << 3 | (uint64_t)(digit - '0');
    }
    *value = (int64_t)number;
    return true;
}

/* A negative number is read through its complement, so that the magnitude alone can overflow. */
static bool number_binary(struct cursor field, int64_t *value)
{
    uint64_t number = 0;
    uint8_t invert = 0;
    bool first = true;
    uint8_t byte;

    while (cursor_byte(&field, &byte)) {
        if (first) {
            invert = byte & 0x40 ? 0xff : 0;
            byte = (byte ^ invert) & 0x7f;
            first = false;
        } else {
            byte ^= invert;
        }
        if (number > (uint64_t)INT64_MAX >> 8)
            return false;
        number = number << 8 | byte;
    }
    *value = invert ? -(int64_t)number - 1 : (int64_t)number;
    return true;
}

bool tar_number_field(struct bytes field, int64_t *value)
{
    if (field.length > 0 && field.data[0] & 0x80)
        return number_binary(cursor_over(field), value);
    return tar_number_octal(field, value);
}

bool tar_decimal_push(struct tar_decimal *decimal, uint8_t byte)
{
    if (!decimal->started && (byte == '-' || byte == '+')) {
        decimal->started = true;
        decimal->negative = byte == '-';
        return true;
    }
    if (byte < '0' || byte > '9')
        return false;
    decimal->started = true;
    decimal->digits = true;
    /* MOST_NEGATIVE passes here and is judged with its sign, in tar_decimal_value(). */
    return !__builtin_mul_overflow(decimal->magnitude, 10, &decimal->magnitude) &&
           !__builtin_add_overflow(decimal->magnitude, (uint64_t)(byte - '0'),
                                   &decimal->magnitude) &&
           decimal->magnitude <= MOST_NEGATIVE;
}

bool tar_decimal_value(const struct tar_decimal *decimal, int64_t *value)
{
    if (!decimal->digits || (!decimal->negative && decimal->magnitude == MOST_NEGATIVE))
        return false;
    if (decimal->magnitude == MOST_NEGATIVE)
        *value = INT64_MIN;
    else
        *value = decimal->negative ? -(int64_t)decimal->magnitude : (int64_t)decimal->magnitude;
    return true;
}

bool tar_number_decimal(struct bytes text, int64_t *value)
{
    struct cursor digits = cursor_over(text);
    struct tar_decimal decimal = {0};
    uint8_t byte;

    while (cursor_byte(&digits, &byte))
        if (!tar_decimal_push(&decimal, byte))
            return false;
    return tar_decimal_value(&decimal, value);
}
