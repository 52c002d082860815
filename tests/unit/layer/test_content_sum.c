/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/content_sum.h"

#include "unit/cmocka_setup.h"

#include <stdlib.h>
#include <string.h>

/* The check value of CRC-64/XZ (the same polynomial, reflected, inverted at both ends). */
static void the_sum_is_the_known_one(void **state)
{
    (void)state;
    assert_int_equal(content_sum_add(CONTENT_SUM_EMPTY, (const uint8_t *)"123456789", 9),
                     UINT64_C(0x995dc9bbdf1939fa));
}

static void it_goes_on_over_pieces(void **state)
{
    uint8_t bytes[1000];
    uint64_t whole;

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 7 + i / 256);
    whole = content_sum_add(CONTENT_SUM_EMPTY, bytes, sizeof(bytes));
    for (size_t at = 0; at <= sizeof(bytes); at++) {
        uint64_t sum = content_sum_add(CONTENT_SUM_EMPTY, bytes, at);

        assert_int_equal(content_sum_add(sum, bytes + at, sizeof(bytes) - at), whole);
    }
}

static void zeros_count_as_if_they_were_read(void **state)
{
    static const size_t lengths[] = {0, 1, 2, 7, 8, 255, 4096, 65537, 1 << 20};
    uint8_t *zeros = calloc(1, 1 << 20);

    (void)state;
    assert_non_null(zeros);
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
        for (int started = 0; started < 2; started++) {
            uint64_t sum = started ? content_sum_add(CONTENT_SUM_EMPTY, (const uint8_t *)"x", 1)
                                   : CONTENT_SUM_EMPTY;

            assert_int_equal(content_sum_zeros(sum, lengths[i]),
                             content_sum_add(sum, zeros, lengths[i]));
        }
    free(zeros);
    /* parts of any size are the whole, also of what nobody could read */
    assert_int_equal(content_sum_zeros(content_sum_zeros(5, UINT64_C(1) << 61), 12345),
                     content_sum_zeros(5, (UINT64_C(1) << 61) + 12345));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sum_is_the_known_one),
        cmocka_unit_test(it_goes_on_over_pieces),
        cmocka_unit_test(zeros_count_as_if_they_were_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
