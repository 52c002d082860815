/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/tar_input.h"

#include "unit/cmocka_setup.h"
#include "unit/layer/tar_builder.h"

#include <errno.h>
#include <string.h>

static uint8_t bytes[1000];

/* An input over BYTES, STEP at a time; of one chunk, so that holding it while asking stands still.
 */
static struct tar_input input_over(struct tar_feed *feed, size_t step)
{
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 7);
    *feed = (struct tar_feed){
        .data = bytes, .length = sizeof(bytes), .step = step, .pool = chunk_pool_new(1)};
    return (struct tar_input){.source = tar_feed_next, .context = feed};
}

static void end(struct tar_feed *feed, struct tar_input *input)
{
    tar_input_deinit(input);
    assert_null(input->chunk);
    chunk_pool_free(feed->pool);
}

static void copies_cross_chunks(void **state)
{
    (void)state;
    for (size_t step = 1; step < 1200; step += 37) {
        struct tar_feed feed;
        struct tar_input input = input_over(&feed, step);
        uint8_t copy[sizeof(bytes)];
        size_t got;

        assert_int_equal(tar_input_copy(&input, copy, 333, &got, NULL), 0);
        assert_int_equal(got, 333);
        assert_memory_equal(copy, bytes, 333);
        assert_int_equal(input.offset, 333);
        assert_int_equal(tar_input_copy(&input, copy, sizeof(copy), &got, NULL), 0);
        assert_int_equal(got, 667);
        assert_memory_equal(copy, bytes + 333, 667);
        assert_int_equal(tar_input_copy(&input, copy, 1, &got, NULL), 0);
        assert_int_equal(got, 0);
        assert_int_equal(input.offset, 1000);
        end(&feed, &input);
    }
}

static void skips_count_what_is_there(void **state)
{
    struct tar_feed feed;
    struct tar_input input = input_over(&feed, 64);
    uint64_t skipped;
    uint8_t byte;
    size_t got;

    (void)state;
    assert_int_equal(tar_input_skip(&input, 500, &skipped, NULL), 0);
    assert_int_equal(skipped, 500);
    assert_int_equal(tar_input_copy(&input, &byte, 1, &got, NULL), 0);
    assert_int_equal(byte, bytes[500]);
    assert_int_equal(tar_input_skip(&input, UINT64_MAX, &skipped, NULL), 0);
    assert_int_equal(skipped, 499);
    end(&feed, &input);
}

static void a_run_ends_with_its_chunk_or_its_limit(void **state)
{
    struct tar_feed feed;
    struct tar_input input = input_over(&feed, 64);
    const uint8_t *data;
    size_t length;

    (void)state;
    assert_int_equal(tar_input_run(&input, 10, &data, &length, NULL), 0);
    assert_int_equal(length, 10);
    assert_int_equal(tar_input_run(&input, 1000, &data, &length, NULL), 0);
    assert_int_equal(length, 54);
    assert_memory_equal(data, bytes + 10, 54);
    end(&feed, &input);
}

static void the_end_is_asked_for_once(void **state)
{
    struct tar_feed feed;
    struct tar_input input = input_over(&feed, 1000);
    const uint8_t *data;
    uint64_t skipped;
    size_t length, asked;

    (void)state;
    assert_int_equal(tar_input_skip(&input, 1001, &skipped, NULL), 0);
    asked = feed.asked;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(tar_input_run(&input, 1, &data, &length, NULL), 0);
        assert_int_equal(length, 0);
        assert_null(data);
    }
    assert_int_equal(feed.asked, asked);
    end(&feed, &input);
}

static void an_error_of_the_source_is_handed_on(void **state)
{
    struct tar_feed feed;
    struct tar_input input = input_over(&feed, 64);
    uint8_t copy[500];
    uint64_t skipped;
    size_t got;

    (void)state;
    feed.broken = 200;
    assert_int_equal(tar_input_copy(&input, copy, sizeof(copy), &got, NULL), -EIO);
    assert_true(got < 320);
    assert_int_equal(tar_input_skip(&input, 1, &skipped, NULL), -EIO);
    end(&feed, &input);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_cross_chunks),
        cmocka_unit_test(skips_count_what_is_there),
        cmocka_unit_test(a_run_ends_with_its_chunk_or_its_limit),
        cmocka_unit_test(the_end_is_asked_for_once),
        cmocka_unit_test(an_error_of_the_source_is_handed_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
