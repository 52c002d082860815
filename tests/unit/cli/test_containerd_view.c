/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/containerd_view.h"

#include "unit/cmocka_setup.h"

#include <stdio.h>
#include <stdlib.h>

#define NOW INT64_C(1000000000000)
#define OLD INT64_C(1)

struct rig {
    struct containerd_view before, after;
    struct snapshot_list ours;
    char told[512];
};

static int set_up(void **state)
{
    *state = calloc(1, sizeof(struct rig));
    return *state ? 0 : -1;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;

    containerd_view_clear(&rig->before);
    containerd_view_clear(&rig->after);
    snapshot_list_clear(&rig->ours);
    free(rig);
    return 0;
}

static void add(struct containerd_names *names, const char *name_space, const char *name)
{
    assert_int_equal(
        containerd_names_add(names, bytes_of(name_space), bytes_of(name), "container web", NULL),
        0);
    containerd_names_sort(names);
}

/* Listed and needed before and after. */
static void steady(struct rig *rig, const char *name_space, const char *name)
{
    struct containerd_view *views[] = {&rig->before, &rig->after};

    for (size_t i = 0; i < 2; i++) {
        add(&views[i]->listed, name_space, name);
        add(&views[i]->needed, name_space, name);
    }
}

static void ours(struct rig *rig, uint64_t id, const char *key, enum snapshot_kind kind,
                 int64_t created)
{
    const struct snapshot_info info = {
        .id = id, .key = bytes_of(key), .kind = kind, .created = created};

    assert_int_equal(snapshot_list_add(&rig->ours, &info, NULL), 0);
    snapshot_list_sort(&rig->ours);
}

static int tell(void *context, const struct check_finding *finding, struct reason *why)
{
    struct rig *rig = context;
    size_t at = strlen(rig->told);

    (void)why;
    snprintf(rig->told + at, sizeof(rig->told) - at, "%d %.*s #%d %s\n", (int)finding->kind,
             (int)finding->key.length, (const char *)finding->key.data, (int)finding->id,
             finding->problem);
    return 0;
}

static const char *compared(struct rig *rig)
{
    assert_int_equal(
        containerd_view_compare(&rig->before, &rig->ours, &rig->after, NOW, tell, rig, NULL), 0);
    return rig->told;
}

static void what_both_have_is_no_difference(void **state)
{
    struct rig *rig = *state;

    steady(rig, "default", "sha256:one");
    steady(rig, "k8s.io", "sha256:one");
    steady(rig, "k8s.io", "a/b");
    ours(rig, 1, "default/3/sha256:one", SNAPSHOT_COMMITTED, OLD);
    ours(rig, 2, "k8s.io/4/sha256:one", SNAPSHOT_COMMITTED, OLD);
    ours(rig, 3, "k8s.io/12/a/b", SNAPSHOT_ACTIVE, OLD);
    assert_string_equal(compared(rig), "");
}

static void what_is_needed_both_times_and_not_there_is_told(void **state)
{
    struct rig *rig = *state;

    add(&rig->before.needed, "default", "lost");
    add(&rig->after.needed, "default", "lost");
    add(&rig->before.needed, "default", "removed");
    add(&rig->after.needed, "default", "made");
    ours(rig, 1, "k8s.io/3/lost", SNAPSHOT_COMMITTED, NOW); /* of another namespace */
    assert_string_equal(
        compared(rig), "9 default/lost #0 cowsnapd does not have it, and container web needs it\n");
}

static void what_containerd_lacks_is_told_once_it_is_old(void **state)
{
    struct rig *rig = *state;

    add(&rig->before.listed, "default", "going");
    add(&rig->after.listed, "default", "coming");
    ours(rig, 1, "default/1/old", SNAPSHOT_ACTIVE, NOW - CONTAINERD_VIEW_YOUNG - 1);
    ours(rig, 2, "default/2/young", SNAPSHOT_ACTIVE, NOW - CONTAINERD_VIEW_YOUNG);
    ours(rig, 3, "default/3/going", SNAPSHOT_ACTIVE, OLD);
    ours(rig, 4, "default/4/coming", SNAPSHOT_ACTIVE, OLD);
    ours(rig, 5, "default/5/child", SNAPSHOT_ACTIVE, OLD);
    assert_string_equal(compared(rig), "10 default/5/child #5 containerd does not have it\n"
                                       "10 default/1/old #1 containerd does not have it\n");
}

static void keys_of_other_clients_are_passed_over(void **state)
{
    struct rig *rig = *state;

    ours(rig, 1, "web", SNAPSHOT_ACTIVE, OLD);
    ours(rig, 2, "a/b", SNAPSHOT_ACTIVE, OLD);
    ours(rig, 3, "a/b/c", SNAPSHOT_ACTIVE, OLD);
    ours(rig, 4, "/1/c", SNAPSHOT_ACTIVE, OLD);
    ours(rig, 5, "a/1/", SNAPSHOT_ACTIVE, OLD);
    assert_string_equal(compared(rig), "");
}

#define IN_RIG(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_RIG(what_both_have_is_no_difference),
        IN_RIG(what_is_needed_both_times_and_not_there_is_told),
        IN_RIG(what_containerd_lacks_is_told_once_it_is_old),
        IN_RIG(keys_of_other_clients_are_passed_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
