/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/pins.h"
#include "unit/cmocka_setup.h"

static struct pins pins;

static int setup(void **state)
{
    (void)state;
    pins_init(&pins);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    pins_deinit(&pins);
    return 0;
}

static void who_may_be_beside_whom(void **state)
{
    static const bool beside[4][4] = {
        /*             READ   WRITE  COMMIT ALONE */
        [PIN_READ] = {true, true, true, false},
        [PIN_WRITE] = {true, false, false, false},
        [PIN_COMMIT] = {true, false, false, false},
        [PIN_ALONE] = {false, false, false, false},
    };

    (void)state;
    for (enum pin_mode first = PIN_READ; first <= PIN_ALONE; first++) {
        for (enum pin_mode second = PIN_READ; second <= PIN_ALONE; second++) {
            struct pin one = {0}, two = {0}, other = {0};
            enum pin_mode blocker;

            pins_take(&pins, &one, 7, first, NULL);
            assert_int_equal(pins_try(&pins, &two, 7, second, NULL, &blocker),
                             beside[first][second]);
            if (!beside[first][second])
                assert_int_equal(blocker, first);
            /* a neighbour in the same bucket is nobody's business */
            assert_true(pins_try(&pins, &other, 7 + PIN_BUCKETS, PIN_ALONE, NULL, NULL));
            pins_drop(&pins, &one);
            pins_drop(&pins, &two);
            pins_drop(&pins, &other);
        }
    }
}

static void who_is_to_stop_does_not_wait(void **state)
{
    const atomic_bool stop = true;
    struct pin one = {0}, two = {0};

    (void)state;
    assert_true(
        pins_take_unless(&pins, &one, 7, PIN_ALONE, NULL, &stop)); /* nobody is in the way */
    assert_false(pins_take_unless(&pins, &two, 7, PIN_READ, NULL, &stop));
    assert_int_equal(two.id, 0);
    pins_drop(&pins, &one);
    assert_true(pins_take_unless(&pins, &two, 7, PIN_READ, NULL, NULL));
    pins_drop(&pins, &two);
    assert_int_equal(pins_count(&pins, PIN_READ), 0);
}

static void a_writer_can_be_cancelled(void **state)
{
    atomic_bool cancel = false;
    struct pin pin;

    (void)state;
    assert_true(pins_try(&pins, &pin, 3, PIN_WRITE, &cancel, NULL));
    pins_cancel(&pins, 4);
    assert_false(cancel);
    pins_cancel(&pins, 3);
    assert_true(cancel);
    assert_int_equal(pins_count(&pins, PIN_WRITE), 1);
    pins_drop(&pins, &pin);
    assert_int_equal(pins_count(&pins, PIN_WRITE), 0);
}

static unsigned
    guarded; /* only whoever is alone changes it: a race is the thread sanitizer's to see */

static void *take_turns(void *argument)
{
    (void)argument;
    for (int i = 0; i < 2000; i++) {
        struct pin pin;

        pins_take(&pins, &pin, 1, PIN_ALONE, NULL);
        guarded++;
        pins_drop(&pins, &pin);
    }
    return NULL;
}

static void being_alone_is_kept_by_waiting(void **state)
{
    pthread_t threads[4];

    (void)state;
    guarded = 0;
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, take_turns, NULL);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(guarded, 8000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(who_may_be_beside_whom, setup, teardown),
        cmocka_unit_test_setup_teardown(who_is_to_stop_does_not_wait, setup, teardown),
        cmocka_unit_test_setup_teardown(a_writer_can_be_cancelled, setup, teardown),
        cmocka_unit_test_setup_teardown(being_alone_is_kept_by_waiting, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
