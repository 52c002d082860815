/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/dm-thin/event.h"
#include "base/scoped.h"
#include "unit/cmocka_setup.h"
#include "unit/dm-thin/rig.h"

#include <poll.h>
#include <stdio.h>

#define LONG_MS 60000

static bool told(int events, int milliseconds)
{
    struct pollfd wait = {.fd = events, .events = POLLIN};

    return poll(&wait, 1, milliseconds) == 1;
}

/* Others may use device-mapper at the same time: what they do tells as well, but not without end.
 */
static void arm(int events)
{
    double until = rig_seconds() + 60;

    do {
        assert_int_equal(event_arm(events), 0);
        assert_true(rig_seconds() < until);
    } while (told(events, 0));
}

static void what_happens_to_a_device_is_told_once_until_armed_again(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};
    struct volume volume;
    scoped_fd int events = event_open();

    assert_true(events >= 0);
    arm(events);
    rig_must(backend_dm_thin.create(rig->backend, 1, &why));
    rig_must(backend_dm_thin.locate(rig->backend, 1, &volume, &why));
    assert_true(told(events, LONG_MS));
    assert_true(told(events, 0)); /* until somebody says that he knows */
    arm(events);
    rig_must(backend_dm_thin.remove(rig->backend, 1, NULL, &why));
    assert_true(told(events, LONG_MS));
}

/* An event of the target itself: writes to a volume bring the pool to its low water. */
static void a_pool_that_gets_low_is_told(void **state)
{
    struct rig *rig = *state;
    struct pool_status status = {0};
    struct reason why = {0};
    scoped_fd int events = event_open();
    char name[16];

    rig_must(backend_dm_thin.create(rig->backend, 1, &why));
    scoped_fd int root = rig_root(rig, 1);
    arm(events);
    for (unsigned i = 0; !told(events, 0); i++) {
        snprintf(name, sizeof(name), "%u", i);
        assert_true(i < RIG_POOL_SIZE / (8 << 20));
        assert_int_equal(rig_write(root, name, 8 << 20), 0);
        assert_int_equal(syncfs(root), 0);
    }
    /* which the watch takes for what it is */
    for (double until = rig_seconds() + 60; status.times_low == 0;) {
        assert_true(rig_seconds() < until);
        rig_must(backend_dm_thin.status(rig->backend, &status, &why));
    }
    assert_int_equal(status.times_low, 1);
    assert_int_equal(status.state, POOL_STATE_LOW);
    assert_true(status.available > 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_open, rig_close)
    const struct CMUnitTest tests[] = {
        TEST(what_happens_to_a_device_is_told_once_until_armed_again),
        TEST(a_pool_that_gets_low_is_told),
    };

    if (!rig_can_run())
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
