/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/status.h"

#include "unit/cmocka_setup.h"

#include <errno.h>
#include <grpc/status.h>
#include <string.h>

static char message[STATUS_MESSAGE_ROOM];

static const char *message_of(int result, const char *text)
{
    struct reason why = {0};

    refuse(&why, CONDITION_INVALID, "%s", text);
    return status_message(result, &why, message);
}

static void each_condition_has_its_own_status(void **state)
{
    (void)state;
    assert_int_equal(status_of(0), GRPC_STATUS_OK);
    assert_int_equal(status_of(CONDITION_NOT_FOUND), GRPC_STATUS_NOT_FOUND);
    assert_int_equal(status_of(CONDITION_EXISTS), GRPC_STATUS_ALREADY_EXISTS);
    assert_int_equal(status_of(CONDITION_INVALID), GRPC_STATUS_INVALID_ARGUMENT);
    assert_int_equal(status_of(CONDITION_PRECONDITION), GRPC_STATUS_FAILED_PRECONDITION);
    assert_int_equal(status_of(CONDITION_EXHAUSTED), GRPC_STATUS_RESOURCE_EXHAUSTED);
    assert_int_equal(status_of(CONDITION_UNIMPLEMENTED), GRPC_STATUS_UNIMPLEMENTED);
    assert_int_equal(status_of(CONDITION_UNAVAILABLE), GRPC_STATUS_UNAVAILABLE);
    assert_int_equal(status_of(CONDITION_CANCELLED), GRPC_STATUS_CANCELLED);
    assert_int_equal(status_of(CONDITION_DEADLINE), GRPC_STATUS_DEADLINE_EXCEEDED);
    assert_int_equal(status_of(1000), GRPC_STATUS_UNKNOWN);
}

static void a_failure_is_internal(void **state)
{
    (void)state;
    assert_int_equal(status_of(-EIO), GRPC_STATUS_INTERNAL);
    assert_int_equal(status_of(-ENOSPC), GRPC_STATUS_INTERNAL);
    assert_string_equal(message_of(-EIO, "read x: Input/output error"),
                        "read x: Input/output error");
}

static void a_message_ends_as_clients_expect(void **state)
{
    (void)state;
    assert_string_equal(message_of(CONDITION_NOT_FOUND, "snapshot x"), "snapshot x: not found");
    assert_string_equal(message_of(CONDITION_EXISTS, "snapshot x"), "snapshot x: already exists");
    assert_string_equal(message_of(CONDITION_PRECONDITION, "x has children"),
                        "x has children: failed precondition");
    assert_string_equal(message_of(CONDITION_INVALID, "bad"), "bad: invalid argument");
    assert_string_equal(message_of(CONDITION_CANCELLED, "apply: cancelled"), "apply: cancelled");
}

static void an_ending_is_not_added_twice(void **state)
{
    (void)state;
    assert_string_equal(message_of(CONDITION_NOT_FOUND, "x: not found"), "x: not found");
    assert_string_equal(message_of(CONDITION_EXISTS, "already exists"), "already exists");
}

static void an_empty_sentence_still_says_something(void **state)
{
    struct reason why = {0};

    (void)state;
    assert_string_equal(status_message(CONDITION_NOT_FOUND, &why, message), "not found");
    assert_string_equal(status_message(CONDITION_NOT_FOUND, NULL, message), "not found");
    assert_string_equal(status_message(-EIO, &why, message), "the request failed");
    assert_string_equal(status_message(0, &why, message), "");
}

static void the_longest_sentence_fits_with_its_ending(void **state)
{
    struct reason why;
    size_t length;

    (void)state;
    memset(why.text, 'x', sizeof(why.text) - 1);
    why.text[sizeof(why.text) - 1] = '\0';
    status_message(CONDITION_PRECONDITION, &why, message);
    length = strlen(message);
    assert_string_equal(message + length - strlen(": failed precondition"),
                        ": failed precondition");
    assert_true(length < 4096);
}

static void a_status_becomes_the_result_it_came_from(void **state)
{
    (void)state;
    for (int condition = CONDITION_NOT_FOUND; condition <= CONDITION_DEADLINE; condition++)
        assert_int_equal(status_result((int)status_of(condition)), condition);
    assert_int_equal(status_result(STATUS_OK), 0);
    assert_int_equal(status_result(STATUS_INTERNAL), -EIO);
    assert_int_equal(status_result(STATUS_DATA_LOSS), -EPROTO);
    assert_int_equal(status_result(99), -EPROTO);
}

static void a_status_has_a_name(void **state)
{
    (void)state;
    assert_string_equal(status_name(STATUS_UNAUTHENTICATED), "UNAUTHENTICATED");
    assert_string_equal(status_name(STATUS_NOT_FOUND), "NOT_FOUND");
    assert_string_equal(status_name(17), "UNKNOWN");
    assert_string_equal(status_name(-1), "UNKNOWN");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_condition_has_its_own_status),
        cmocka_unit_test(a_failure_is_internal),
        cmocka_unit_test(a_message_ends_as_clients_expect),
        cmocka_unit_test(an_ending_is_not_added_twice),
        cmocka_unit_test(an_empty_sentence_still_says_something),
        cmocka_unit_test(the_longest_sentence_fits_with_its_ending),
        cmocka_unit_test(a_status_becomes_the_result_it_came_from),
        cmocka_unit_test(a_status_has_a_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
