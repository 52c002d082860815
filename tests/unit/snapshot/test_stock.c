/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/stock.h"
#include "unit/cmocka_setup.h"

static struct stock stock;

static void start(unsigned limit)
{
    stock_init(&stock, limit);
}

static int teardown(void **state)
{
    (void)state;
    stock_deinit(&stock);
    return 0;
}

/* Makes what lacks, with ids from FIRST on; returns how many. */
static unsigned fill(uint64_t first)
{
    uint64_t parent, made = 0;
    unsigned lacking;

    while ((lacking = stock_lacks(&stock, &parent)) > 0)
        while (lacking-- > 0)
            assert_true(stock_put(&stock, first + made++, parent));
    return (unsigned)made;
}

static uint64_t take(uint64_t parent, int64_t now)
{
    bool low;

    return stock_take(&stock, parent, now, &low);
}

static void one_prepare_is_no_demand_and_two_are(void **state)
{
    uint64_t parent;
    bool low;

    (void)state;
    start(64);
    assert_int_equal(stock_take(&stock, 7, 1000, &low), 0);
    assert_false(low);
    assert_int_equal(stock_lacks(&stock, &parent), 0);
    assert_int_equal(stock_take(&stock, 7, 1001, &low), 0);
    assert_true(low);
    assert_int_equal(stock_lacks(&stock, &parent), STOCK_LEAST * 2);
    assert_int_equal(parent, 7);
}

static void a_stock_is_low_when_less_than_a_quarter_is_left(void **state)
{
    bool low;

    (void)state;
    start(64);
    take(7, 0);
    take(7, 0);
    assert_int_equal(fill(100), 8);
    for (unsigned left = 7; left >= 2; left--) {
        assert_int_not_equal(stock_take(&stock, 7, 0, &low), 0);
        assert_false(low);
    }
    assert_int_not_equal(stock_take(&stock, 7, 0, &low), 0);
    assert_true(low);
}

static void two_prepares_far_apart_are_none(void **state)
{
    uint64_t parent;

    (void)state;
    start(64);
    take(7, 0);
    take(7, STOCK_WINDOW_MS + 1);
    assert_int_equal(stock_lacks(&stock, &parent), 0);
}

static void a_clone_goes_to_one_and_to_its_parent_alone(void **state)
{
    (void)state;
    start(64);
    take(7, 0);
    take(7, 0);
    assert_int_equal(fill(100), 8);
    assert_int_equal(take(8, 0), 0);
    for (unsigned left = 8; left > 0; left--) {
        uint64_t id = take(7, 0);

        assert_in_range(id, 100, 107);
        assert_int_equal(stock_count(&stock), left - 1);
    }
    assert_int_equal(take(7, 0), 0);
}

static void who_runs_out_gets_more_up_to_half(void **state)
{
    unsigned made = 0;

    (void)state;
    start(64);
    for (int i = 0; i < 20; i++)
        take(7, 0);
    made = fill(100);
    assert_int_equal(made, 32);
}

static void no_stock_is_kept_when_it_is_off(void **state)
{
    uint64_t parent;

    (void)state;
    start(0);
    for (int i = 0; i < 20; i++)
        assert_int_equal(take(7, 0), 0);
    assert_int_equal(stock_lacks(&stock, &parent), 0);
}

static void what_is_forgotten_is_sorted_out(void **state)
{
    uint64_t ids[16];

    (void)state;
    start(64);
    assert_false(stock_forget(&stock, 7));
    take(7, 0);
    take(7, 0);
    assert_int_equal(fill(100), 8);
    assert_int_equal(stock_sort_out(&stock, 0, ids, 16), 0);
    assert_true(stock_forget(&stock, 7));
    assert_int_equal(take(7, 0), 0);
    assert_int_equal(stock_sort_out(&stock, 0, ids, 3), 3);
    assert_int_equal(stock_sort_out(&stock, 0, ids, 16), 5);
    assert_int_equal(stock_count(&stock), 0);
    /* made while its parent was forgotten */
    stock_forget(&stock, 7);
    assert_true(stock_put(&stock, 200, 7));
    assert_int_equal(stock_sort_out(&stock, 0, ids, 16), 1);
    assert_int_equal(ids[0], 200);
}

static void what_nobody_asks_for_goes(void **state)
{
    uint64_t ids[16], parent;

    (void)state;
    start(64);
    take(7, 0);
    take(7, 0);
    fill(100);
    assert_int_equal(stock_sort_out(&stock, STOCK_LIFE_MS - 1, ids, 16), 0);
    assert_int_equal(stock_sort_out(&stock, STOCK_LIFE_MS, ids, 16), 8);
    assert_int_equal(stock_lacks(&stock, &parent), 0);
}

static void what_is_in_demand_now_takes_the_place_of_what_was(void **state)
{
    uint64_t ids[64];

    (void)state;
    start(16);
    for (uint64_t parent = 1; parent <= 2; parent++) {
        take(parent, (int64_t)parent);
        take(parent, (int64_t)parent);
        assert_int_equal(fill(parent * 100), 8);
    }
    take(3, 3);
    take(3, 3);
    assert_int_equal(fill(300), 8);
    assert_int_equal(stock_sort_out(&stock, 4, ids, 64), 8);
    for (int i = 0; i < 8; i++)
        assert_in_range(ids[i], 100, 107); /* the oldest's */
    assert_int_equal(stock_count(&stock), 16);
}

static void more_parents_than_places_lose_the_oldest(void **state)
{
    uint64_t ids[64];

    (void)state;
    start(64);
    take(1, 0);
    take(1, 0);
    fill(100);
    for (uint64_t parent = 2; parent < STOCK_PARENTS + 2; parent++)
        take(parent, 1);
    assert_int_equal(stock_sort_out(&stock, 1, ids, 64), 8);
}

static void it_never_holds_more_than_its_places(void **state)
{
    (void)state;
    start(STOCK_MOST);
    for (uint64_t id = 1; id <= STOCK_MOST; id++)
        assert_true(stock_put(&stock, id, 1));
    assert_false(stock_put(&stock, 1000, 1));
    assert_int_equal(fill(2000), 0);
}

#define with_end(test) cmocka_unit_test_teardown(test, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_end(one_prepare_is_no_demand_and_two_are),
        with_end(a_stock_is_low_when_less_than_a_quarter_is_left),
        with_end(two_prepares_far_apart_are_none),
        with_end(a_clone_goes_to_one_and_to_its_parent_alone),
        with_end(who_runs_out_gets_more_up_to_half),
        with_end(no_stock_is_kept_when_it_is_off),
        with_end(what_is_forgotten_is_sorted_out),
        with_end(what_nobody_asks_for_goes),
        with_end(what_is_in_demand_now_takes_the_place_of_what_was),
        with_end(more_parents_than_places_lose_the_oldest),
        with_end(it_never_holds_more_than_its_places),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
