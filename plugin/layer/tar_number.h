/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_LAYER_TAR_NUMBER_H
#define COWSNAP_LAYER_TAR_NUMBER_H

/*
 * The three ways in which an archive writes numbers: octal text and GNU's base-256 in the fields of
 * a header, decimal text in PAX records and sparse maps. Every function is false for a text that is
 * no such number, or one outside int64_t, and leaves *VALUE alone then.
 */

#include "base/bytes.h"

#include <stdbool.h>
#include <stdint.h>

/* Octal, with any padding of spaces and NULs; what follows a NUL inside is not looked at. An empty
 * field is 0. */
bool tar_number_octal(struct bytes field, int64_t *value);

/* Base-256 when the first bit is set (two's complement, big-endian, the sign in the second bit),
 * octal else. */
bool tar_number_field(struct bytes field, int64_t *value);

/* Decimal with an optional sign; an empty text is no number. */
bool tar_number_decimal(struct bytes text, int64_t *value);

/* A decimal whose digits come one by one: starts as {0}. */
struct tar_decimal {
    uint64_t magnitude;
    bool negative;
    bool started; /* a sign or a digit was seen */
    bool digits;  /* a digit was seen */
};

bool tar_decimal_push(struct tar_decimal *decimal, uint8_t byte);
bool tar_decimal_value(const struct tar_decimal *decimal, int64_t *value);

#endif
