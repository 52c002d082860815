/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/fault/fault.h"
#include "unit/cmocka_setup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* A backend that only counts its calls. */
static unsigned calls;

static int plain_create(struct backend *backend, uint64_t id, struct reason *why)
{
    (void)backend;
    (void)why;
    calls++;
    return id == 99 ? CONDITION_EXHAUSTED : 0;
}

static int last_opened = -1;

static int plain_open_root(struct backend *backend, uint64_t id, int *directory, struct reason *why)
{
    (void)backend;
    (void)id;
    (void)why;
    calls++;
    *directory = last_opened = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return 0;
}

static const struct backend_ops plain = {
    .name = "plain",
    .create = plain_create,
    .open_root = plain_open_root,
};

static int wrap(void **state)
{
    calls = 0;
    *state = fault_wrap(&plain, NULL);
    return *state ? 0 : -1;
}

static int unwrap(void **state)
{
    backend_fault.close(*state);
    return 0;
}

static void without_a_plan_calls_pass_through(void **state)
{
    struct backend *fault = *state;

    assert_int_equal(backend_fault.create(fault, 1, NULL), 0);
    assert_int_equal(backend_fault.create(fault, 99, NULL), CONDITION_EXHAUSTED);
    assert_int_equal(fault_count(fault, FAULT_CREATE), 2);
    assert_int_equal(fault_count(fault, FAULT_CLONE), 0);
    assert_int_equal(calls, 2);
    assert_int_equal(backend_check(&backend_fault, NULL), 0);
}

static void the_counted_call_fails_once_before_it_runs(void **state)
{
    struct backend *fault = *state;
    struct reason why = {0};

    assert_int_equal(backend_fault.create(fault, 1, NULL), 0);
    fault_plan(fault, FAULT_CREATE, 2, FAULT_BEFORE, -EIO);
    assert_int_equal(backend_fault.create(fault, 2, &why), 0);
    assert_false(fault_struck(fault, FAULT_CREATE));
    assert_int_equal(backend_fault.create(fault, 3, &why), -EIO);
    assert_true(fault_struck(fault, FAULT_CREATE));
    assert_non_null(strstr(why.text, "create"));
    assert_int_equal(calls, 2);
    assert_int_equal(backend_fault.create(fault, 4, &why), 0);
    assert_int_equal(calls, 3);
}

static void a_fault_after_the_call_hides_what_was_done(void **state)
{
    struct backend *fault = *state;

    fault_plan(fault, FAULT_CREATE, 1, FAULT_AFTER, CONDITION_UNAVAILABLE);
    assert_int_equal(backend_fault.create(fault, 1, NULL), CONDITION_UNAVAILABLE);
    assert_int_equal(calls, 1);
}

static void a_root_opened_in_vain_is_closed(void **state)
{
    struct backend *fault = *state;
    int fd = -1;

    fault_plan(fault, FAULT_OPEN_ROOT, 1, FAULT_AFTER, -EMFILE);
    assert_int_equal(backend_fault.open_root(fault, 1, &fd, NULL), -EMFILE);
    assert_int_equal(fd, -1);
    assert_int_equal(fcntl(last_opened, F_GETFD), -1);
    fault_plan(fault, FAULT_OPEN_ROOT, 1, FAULT_BEFORE, -EMFILE);
    assert_int_equal(backend_fault.open_root(fault, 1, &fd, NULL), -EMFILE);
    assert_int_equal(calls, 1);
    assert_int_equal(backend_fault.open_root(fault, 1, &fd, NULL), 0);
    close(fd);
}

static void a_plan_can_be_taken_back(void **state)
{
    struct backend *fault = *state;

    fault_plan(fault, FAULT_CREATE, 1, FAULT_BEFORE, -EIO);
    fault_plan(fault, FAULT_CREATE, 0, FAULT_BEFORE, 0);
    assert_int_equal(backend_fault.create(fault, 1, NULL), 0);
    fault_plan(fault, FAULT_CREATE, 1, FAULT_BEFORE, -EIO);
    fault_plan(fault, FAULT_CREATE, 1, FAULT_BEFORE, 0);
    assert_int_equal(backend_fault.create(fault, 1, NULL), 0);
    assert_false(fault_struck(fault, FAULT_CREATE));
}

static void what_the_wrapped_one_lacks_does_nothing(void **state)
{
    struct backend *fault = *state;

    assert_int_equal(backend_fault.seal(fault, 1, NULL), 0);
    assert_int_equal(backend_fault.settle(fault, NULL, NULL), 0);
    fault_plan(fault, FAULT_SEAL, 1, FAULT_BEFORE, -EIO);
    assert_int_equal(backend_fault.seal(fault, 1, NULL), -EIO);
}

#define wrapped(test) cmocka_unit_test_setup_teardown(test, wrap, unwrap)

int main(void)
{
    const struct CMUnitTest tests[] = {
        wrapped(without_a_plan_calls_pass_through),
        wrapped(the_counted_call_fails_once_before_it_runs),
        wrapped(a_fault_after_the_call_hides_what_was_done),
        wrapped(a_root_opened_in_vain_is_closed),
        wrapped(a_plan_can_be_taken_back),
        wrapped(what_the_wrapped_one_lacks_does_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
