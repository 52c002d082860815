/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/content_sum.h"

#include <isa-l/crc64.h>

/* ECMA-182, bit-reversed: the coefficient of x^0 is the highest bit, as in all polynomials here. */
#define POLYNOMIAL UINT64_C(0xc96c5795d7870f42)
#define ONE (UINT64_C(1) << 63)        /* x^0 */
#define BYTE (UINT64_C(1) << (63 - 8)) /* x^8 */

uint64_t content_sum_add(uint64_t sum, const uint8_t *data, size_t length)
{
    return crc64_ecma_refl(sum, data, length);
}

/* A times B, modulo POLYNOMIAL. */
static uint64_t multiply(uint64_t a, uint64_t b)
{
    uint64_t product = 0;

    for (; a; a <<= 1) {
        if (a & ONE)
            product ^= b;
        b = b & 1 ? b >> 1 ^ POLYNOMIAL : b >> 1;
    }
    return product;
}

uint64_t content_sum_zeros(uint64_t sum, uint64_t length)
{
    uint64_t shift = ONE, power = BYTE; /* x^(8 LENGTH), by squares */

    if (length == 0)
        return sum;
    for (; length; length >>= 1) {
        if (length & 1)
            shift = multiply(shift, power);
        power = multiply(power, power);
    }
    return ~multiply(~sum, shift); /* a CRC begins and ends inverted */
}
