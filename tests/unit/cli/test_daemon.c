/* SPDX-License-Identifier: Apache-2.0 */
/* What a person reads when the daemon cannot be asked. No daemon is there: what it would answer is
 * planned here (the linker's --wrap in CMakeLists.txt). */
#include "cli/daemon.h"

#include "rpc/snapshots_client.h"
#include "unit/cmocka_setup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ADDRESS "/run/test/cowsnap.sock"
#define SILENT                                                                                     \
    "cowsnapd at " ADDRESS " did not answer within 30 seconds: look into its log for the reason, " \
    "or ask again when its disk is less busy"

static struct {
    int open, status, snapshots, usage, settings; /* results */
    const char *address;                          /* that the settings say */
    unsigned asked_for_usage;
} plan;

static struct reason why;
static char opened[128]; /* the address that was connected to */

static int planned(int result, const char *what, struct reason *reason)
{
    if (result < 0)
        return failure(reason, -result, "%s", what);
    return result ? refuse(reason, (enum condition)result, "%s", what) : 0;
}

int __wrap_client_open(struct client **client, const char *address, struct reason *reason);
int __wrap_config_read_file(struct config *config, const char *path, bool may_miss,
                            struct reason *reason);
int __wrap_control_client_status(struct client *client,
                                 Cowsnap__Control__V1__StatusResponse **status,
                                 struct reason *reason);
int __wrap_control_client_snapshots(struct client *client, snapshot_visit *visit, void *context,
                                    struct reason *reason);
int __wrap_snapshots_client_usage(struct client *client, struct bytes key,
                                  struct volume_usage *usage, struct reason *reason);

int __wrap_client_open(struct client **client, const char *address, struct reason *reason)
{
    snprintf(opened, sizeof(opened), "%s", address);
    *client = NULL;
    return planned(plan.open, "connect", reason);
}

int __wrap_config_read_file(struct config *config, const char *path, bool may_miss,
                            struct reason *reason)
{
    assert_string_equal(path, "/etc/cowsnap/config.toml");
    assert_true(may_miss);
    if (plan.address) {
        free(config->address);
        config->address = strdup(plan.address);
    }
    return planned(plan.settings, "settings", reason);
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
    opened[0] = '\0';
    return 0;
}

/* Runs a command with the word "k"; ADDRESS may be NULL. */
static int run_at(const struct command *command, const char *address)
{
    char *words[] = {"k"};
    const struct arguments arguments = {
        .command = command, .address = address, .words = words, .word_count = 1};

    why = (struct reason){0};
    return command->run(&arguments, &why);
}

static int run(const struct command *command)
{
    return run_at(command, ADDRESS);
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

static void the_settings_say_where_it_listens(void **state)
{
    static const struct command *const asking[] = {&command_status, &command_ls,
                                                   &command_tree,   &command_usage,
                                                   &command_stages, &command_check};

    (void)state;
    plan.open = CONDITION_UNAVAILABLE;
    plan.address = "/run/test/elsewhere.sock";
    for (size_t i = 0; i < sizeof(asking) / sizeof(asking[0]); i++) {
        struct arguments arguments = {.command = asking[i]};
        char *words[] = {"k"};

        if (asking[i] == &command_usage) {
            arguments.words = words;
            arguments.word_count = 1;
        }
        opened[0] = '\0';
        assert_int_equal(asking[i]->run(&arguments, &why), CONDITION_UNAVAILABLE);
        assert_string_equal(opened, "/run/test/elsewhere.sock");
    }
    run(&command_status); /* --address wins */
    assert_string_equal(opened, ADDRESS);
}

static void settings_that_are_not_there_or_hidden_mean_the_default(void **state)
{
    (void)state;
    plan.open = CONDITION_UNAVAILABLE;
    for (int hidden = 0; hidden < 2; hidden++) {
        plan.settings = hidden ? -EACCES : 0;
        assert_int_equal(run_at(&command_status, NULL), CONDITION_UNAVAILABLE);
        assert_string_equal(opened, "/run/cowsnap/cowsnap.sock");
    }
}

static void settings_that_are_wrong_are_told_unless_they_do_not_matter(void **state)
{
    (void)state;
    plan.open = CONDITION_UNAVAILABLE;
    plan.settings = CONDITION_INVALID;
    assert_int_equal(run_at(&command_status, NULL), CONDITION_INVALID);
    assert_string_equal(opened, "");
    assert_string_equal(why.text, "cannot tell cowsnapd's address (--address gives it): settings");
    assert_int_equal(run(&command_status), CONDITION_UNAVAILABLE);
}

int main(void)
{
#define planned_anew(test) cmocka_unit_test_setup(test, setup)
    const struct CMUnitTest tests[] = {
        planned_anew(a_daemon_that_hangs_is_told_with_its_socket_and_what_to_do),
        planned_anew(another_failure_names_the_socket),
        planned_anew(something_else_that_listens_there_is_told),
        planned_anew(who_cannot_connect_is_told_why),
        planned_anew(the_settings_say_where_it_listens),
        planned_anew(settings_that_are_not_there_or_hidden_mean_the_default),
        planned_anew(settings_that_are_wrong_are_told_unless_they_do_not_matter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
