/* SPDX-License-Identifier: Apache-2.0 */
/* What a person reads when the daemon cannot be asked. No daemon is there: what it would answer is
 * planned here (the linker's --wrap in CMakeLists.txt). */
#include "cli/daemon.h"

#include "rpc/snapshots_client.h"
#include "unit/cmocka_setup.h"

#include <errno.h>
#include <stdlib.h>

#define ADDRESS "/run/test/cowsnap.sock"
#define SILENT                                                                                     \
    "cowsnapd at " ADDRESS " did not answer within 30 seconds: look into its log for the reason, " \
    "or ask again when its disk is less busy"

static struct {
    int open, status, snapshots, usage; /* results */
    unsigned asked_for_usage;
} plan;

static struct reason why;

static int planned(int result, const char *what, struct reason *reason)
{
    if (result < 0)
        return failure(reason, -result, "%s", what);
    return result ? refuse(reason, (enum condition)result, "%s", what) : 0;
}

int __wrap_client_open(struct client **client, const char *address, struct reason *reason);
int __wrap_control_client_status(struct client *client,
                                 Cowsnap__Control__V1__StatusResponse **status,
                                 struct reason *reason);
int __wrap_control_client_snapshots(struct client *client, snapshot_visit *visit, void *context,
                                    struct reason *reason);
int __wrap_snapshots_client_usage(struct client *client, struct bytes key,
                                  struct volume_usage *usage, struct reason *reason);

int __wrap_client_open(struct client **client, const char *address, struct reason *reason)
{
    assert_string_equal(address, ADDRESS);
    *client = NULL;
    return planned(plan.open, "connect", reason);
}

int __wrap_control_client_status(struct client *client,
                                 Cowsnap__Control__V1__StatusResponse **status,
                                 struct reason *reason)
{
    (void)client;
    (void)status;
    return planned(plan.status, "status", reason);
}

int __wrap_control_client_snapshots(struct client *client, snapshot_visit *visit, void *context,
                                    struct reason *reason)
{
    const struct snapshot_info info = {
        .key = bytes_of("k"), .kind = SNAPSHOT_ACTIVE, .id = 1, .usage_known = false};

    (void)client;
    if (plan.snapshots)
        return planned(plan.snapshots, "snapshots", reason);
    return visit(context, &info, reason);
}

int __wrap_snapshots_client_usage(struct client *client, struct bytes key,
                                  struct volume_usage *usage, struct reason *reason)
{
    (void)client;
    (void)usage;
    assert_true(bytes_equal(key, bytes_of("k")));
    plan.asked_for_usage++;
    return planned(plan.usage, "usage", reason);
}

static int setup(void **state)
{
    (void)state;
    plan = (typeof(plan)){0};
    why = (struct reason){0};
    return 0;
}

/* Runs a command with the word "k". */
static int run(const struct command *command)
{
    char *words[] = {"k"};
    const struct arguments arguments = {
        .command = command, .address = ADDRESS, .words = words, .word_count = 1};

    why = (struct reason){0};
    return command->run(&arguments, &why);
}

static void a_daemon_that_hangs_is_told_with_its_socket_and_what_to_do(void **state)
{
    (void)state;
    plan.usage = CONDITION_DEADLINE;
    assert_int_equal(run(&command_usage), CONDITION_DEADLINE);
    assert_string_equal(why.text, SILENT);
    assert_int_equal(run(&command_ls), CONDITION_DEADLINE);
    assert_string_equal(why.text, SILENT);
    assert_int_equal(plan.asked_for_usage, 2);
    plan.snapshots = CONDITION_DEADLINE;
    assert_int_equal(run(&command_usage), CONDITION_DEADLINE);
    assert_string_equal(why.text, SILENT);
    assert_int_equal(plan.asked_for_usage, 2); /* once is enough */
    plan.status = CONDITION_DEADLINE;
    assert_int_equal(run(&command_status), CONDITION_DEADLINE);
    assert_string_equal(why.text, SILENT);
}

static void another_failure_names_the_socket(void **state)
{
    (void)state;
    plan.usage = -EIO;
    assert_int_equal(run(&command_usage), -EIO);
    assert_string_equal(why.text, "ask cowsnapd at " ADDRESS ": usage: Input/output error");
    plan.status = CONDITION_UNAVAILABLE;
    assert_int_equal(run(&command_status), CONDITION_UNAVAILABLE);
    assert_string_equal(why.text, "ask cowsnapd at " ADDRESS ": status");
}

static void something_else_that_listens_there_is_told(void **state)
{
    (void)state;
    plan.status = CONDITION_UNIMPLEMENTED;
    assert_int_equal(run(&command_status), CONDITION_UNIMPLEMENTED);
    assert_string_equal(why.text, "what listens on " ADDRESS
                                  " is not cowsnapd, or an older one than this tool: status");
}

static void who_cannot_connect_is_told_why(void **state)
{
    (void)state;
    plan.open = -EACCES;
    assert_int_equal(run(&command_status), -EACCES);
    assert_string_equal(why.text, "only root may talk to cowsnapd at " ADDRESS
                                  ": run this as root: Permission denied");
    plan.open = CONDITION_UNAVAILABLE;
    assert_int_equal(run(&command_status), CONDITION_UNAVAILABLE);
    assert_string_equal(why.text,
                        "nobody listens on " ADDRESS ": is cowsnapd running, with this --address?");
}

int main(void)
{
#define planned_anew(test) cmocka_unit_test_setup(test, setup)
    const struct CMUnitTest tests[] = {
        planned_anew(a_daemon_that_hangs_is_told_with_its_socket_and_what_to_do),
        planned_anew(another_failure_names_the_socket),
        planned_anew(something_else_that_listens_there_is_told),
        planned_anew(who_cannot_connect_is_told_why),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
