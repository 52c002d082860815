/* SPDX-License-Identifier: Apache-2.0 */
/* What `cowsnap check` tells when it cannot be done to its end. No daemon and no containerd are
 * there: what they would answer is planned here (the linker's --wrap in CMakeLists.txt). */
#include "cli/command.h"
#include "rpc/containerd_client.h"
#include "rpc/control_client.h"
#include "unit/cmocka_setup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ADDRESS "/run/test/cowsnap.sock"
#define CONTAINERD "/run/test/containerd.sock"

static struct {
    int containerd, check, content; /* results */
    unsigned findings;              /* of the check, before its result */
} plan;

static char order[256]; /* of what was asked */
static char printed[4096];
static struct reason why;

static int planned(int result, const char *what, struct reason *reason)
{
    strcat(order, what);
    strcat(order, " ");
    if (result < 0)
        return failure(reason, -result, "%s", what);
    return result ? refuse(reason, (enum condition)result, "%s", what) : 0;
}

int __wrap_client_open(struct client **client, const char *address, struct reason *reason);
int __wrap_control_client_check(struct client *client, bool repair, check_visit *visit,
                                void *context, struct reason *reason);
int __wrap_control_client_check_content(struct client *client, const struct bytes *keys,
                                        size_t key_count, check_visit *visit, void *context,
                                        struct check_tally *tally, struct reason *reason);
int __wrap_control_client_snapshots(struct client *client, snapshot_visit *visit, void *context,
                                    struct reason *reason);
int __wrap_containerd_client_snapshots(struct client *client, const char *snapshotter,
                                       containerd_visit *visit, void *context,
                                       struct reason *reason);
int __wrap_containerd_client_needs(struct client *client, const char *snapshotter,
                                   containerd_visit *visit, void *context, struct reason *reason);

int __wrap_client_open(struct client **client, const char *address, struct reason *reason)
{
    *client = NULL;
    if (strcmp(address, ADDRESS) == 0)
        return 0;
    assert_string_equal(address, CONTAINERD);
    return planned(plan.containerd, "containerd", reason);
}

int __wrap_control_client_check(struct client *client, bool repair, check_visit *visit,
                                void *context, struct reason *reason)
{
    const struct check_finding finding = {
        .kind = CHECK_VOLUME_MISSING,
        .outcome = repair ? CHECK_REPAIRED : CHECK_REPAIRABLE,
        .id = 7,
        .key = bytes_of("k8s.io/3/layer"),
        .problem = "its volume 7 is missing",
    };

    (void)client;
    for (unsigned i = 0; i < plan.findings; i++)
        assert_int_equal(visit(context, &finding, reason), 0);
    return planned(plan.check, repair ? "repair" : "check", reason);
}

int __wrap_control_client_check_content(struct client *client, const struct bytes *keys,
                                        size_t key_count, check_visit *visit, void *context,
                                        struct check_tally *tally, struct reason *reason)
{
    (void)client;
    (void)keys;
    (void)key_count;
    (void)visit;
    (void)context;
    *tally = (struct check_tally){.compared = 1};
    return planned(plan.content, "content", reason);
}

int __wrap_control_client_snapshots(struct client *client, snapshot_visit *visit, void *context,
                                    struct reason *reason)
{
    (void)client;
    (void)visit;
    (void)context;
    return planned(0, "ours", reason);
}

int __wrap_containerd_client_snapshots(struct client *client, const char *snapshotter,
                                       containerd_visit *visit, void *context,
                                       struct reason *reason)
{
    (void)client;
    (void)snapshotter;
    (void)visit;
    (void)context;
    return planned(0, "listed", reason);
}

int __wrap_containerd_client_needs(struct client *client, const char *snapshotter,
                                   containerd_visit *visit, void *context, struct reason *reason)
{
    (void)client;
    (void)snapshotter;
    (void)visit;
    (void)context;
    return planned(0, "needed", reason);
}

static int setup(void **state)
{
    (void)state;
    plan = (typeof(plan)){0};
    why = (struct reason){0};
    order[0] = '\0';
    return 0;
}

/* The place of one of the command's flags. */
static size_t flag(const char *name)
{
    size_t i = 0;

    while (strcmp(command_check.flags[i].name, name) != 0)
        i++;
    return i;
}

/* `cowsnap check --repair`, with those of the other flags that are given; what it prints is kept in
 * PRINTED. */
static int run(bool content, bool containerd, bool json)
{
    struct arguments arguments = {.command = &command_check, .address = ADDRESS, .json = json};
    FILE *file = tmpfile();
    int standard = dup(STDOUT_FILENO), result;

    assert_non_null(file);
    arguments.values[flag("repair")] = "";
    arguments.values[flag("content")] = content ? "" : NULL;
    arguments.values[flag("containerd")] = containerd ? CONTAINERD : NULL;
    fflush(stdout);
    dup2(fileno(file), STDOUT_FILENO);
    result = command_check.run(&arguments, &why);
    fflush(stdout);
    dup2(standard, STDOUT_FILENO);
    close(standard);
    rewind(file);
    printed[fread(printed, 1, sizeof(printed) - 1, file)] = '\0';
    fclose(file);
    return result;
}

#define REPAIRED                                                                                   \
    "snapshot k8s.io/3/layer (#7): its volume 7 is missing; removed; for containerd to make it "   \
    "anew: ctr -n k8s.io snapshots --snapshotter cowsnap rm layer, then pull its image again\n"

static void what_was_repaired_is_told_when_the_rest_fails(void **state)
{
    (void)state;
    plan.findings = 1;
    plan.content = -EIO;
    assert_int_equal(run(true, false, false), -EIO);
    assert_string_equal(printed, REPAIRED);
    assert_string_equal(why.text, "the check ended early, with 1 difference and 1 repaired: ask "
                                  "cowsnapd at " ADDRESS ": content: Input/output error");
}

static void so_it_is_when_the_repair_itself_ends_early(void **state)
{
    (void)state;
    plan.findings = 2;
    plan.check = CONDITION_DEADLINE;
    assert_int_equal(run(true, false, false), CONDITION_DEADLINE);
    assert_string_equal(printed, REPAIRED REPAIRED);
    assert_string_equal(order, "repair ");
    assert_non_null(strstr(why.text, "with 2 differences and 2 repaired: the check was not over"));
}

static void json_says_whether_it_is_all(void **state)
{
    (void)state;
    plan.findings = 1;
    assert_int_equal(run(true, false, true), CONDITION_PRECONDITION);
    assert_non_null(strstr(printed, "\"complete\": true"));
    assert_non_null(strstr(printed, "\"compared\": 1"));
    plan.content = -EIO;
    assert_int_equal(run(true, false, true), -EIO);
    assert_non_null(strstr(printed, "\"outcome\": \"repaired\""));
    assert_non_null(strstr(printed, "\"complete\": false"));
    assert_non_null(strstr(printed, "\"compared\": null"));
    assert_non_null(strstr(printed, "\"repaired\": 1"));
}

static void what_failed_before_it_found_anything_tells_only_why(void **state)
{
    (void)state;
    plan.check = -EIO;
    assert_int_equal(run(false, false, true), -EIO);
    assert_string_equal(printed, "");
    assert_string_equal(why.text, "ask cowsnapd at " ADDRESS ": repair: Input/output error");
}

static void containerd_is_tried_before_anything_is_repaired(void **state)
{
    (void)state;
    plan.findings = 1;
    plan.containerd = CONDITION_UNAVAILABLE;
    assert_int_equal(run(false, true, false), CONDITION_UNAVAILABLE);
    assert_string_equal(order, "containerd ");
    assert_string_equal(printed, "");
    assert_string_equal(why.text, "nobody listens on " CONTAINERD
                                  ": is containerd running, with this socket?");
    setup(NULL);
    assert_int_equal(run(false, true, false), 0);
    assert_string_equal(order, "containerd listed needed repair "
                               "containerd listed needed ours listed needed ");
    assert_string_equal(printed, "The store, the pool and containerd agree.\n");
}

int main(void)
{
#define planned_anew(test) cmocka_unit_test_setup(test, setup)
    const struct CMUnitTest tests[] = {
        planned_anew(what_was_repaired_is_told_when_the_rest_fails),
        planned_anew(so_it_is_when_the_repair_itself_ends_early),
        planned_anew(json_says_whether_it_is_all),
        planned_anew(what_failed_before_it_found_anything_tells_only_why),
        planned_anew(containerd_is_tried_before_anything_is_repaired),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
