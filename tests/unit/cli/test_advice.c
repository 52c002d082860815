/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/advice.h"

#include "unit/cmocka_setup.h"

#include <stdlib.h>
#include <string.h>

static struct check_finding lost(const char *key, enum check_outcome outcome)
{
    return (struct check_finding){
        .kind = CHECK_VOLUME_MISSING, .outcome = outcome, .id = 12, .key = bytes_of(key)};
}

static void assert_thing(struct check_finding finding, const char *expected)
{
    char *thing = advice_thing(&finding);

    assert_string_equal(thing, expected);
    free(thing);
}

static void assert_advice(struct check_finding finding, const char *expected)
{
    char *advice = advice_text(&finding);

    assert_string_equal(advice, expected);
    free(advice);
}

static bool advises(struct check_finding finding, const char *words)
{
    char *advice = advice_text(&finding);
    bool has = strstr(advice, words) != NULL;

    free(advice);
    return has;
}

static void a_thing_is_named_by_what_is_known_of_it(void **state)
{
    struct check_finding finding = lost("k8s.io/2/sha256:one", CHECK_REPAIRED);

    (void)state;
    assert_thing(finding, "snapshot k8s.io/2/sha256:one (#12)");
    finding.key = bytes_of("a\x1b[31m");
    assert_thing(finding, "snapshot \"a\\x1b[31m\" (#12)");
    finding.key = bytes_of("");
    assert_thing(finding, "record #12");
    finding.kind = CHECK_VOLUME_UNKNOWN;
    assert_thing(finding, "volume 12");
}

static void what_containerd_has_otherwise_is_settled_there(void **state)
{
    struct check_finding finding = {
        .kind = CHECK_CONTAINERD_NEEDS, .outcome = CHECK_BY_HAND, .key = bytes_of("k8s.io/a/b")};

    (void)state;
    assert_thing(finding, "containerd's snapshot k8s.io/a/b");
    assert_true(
        advises(finding, "then: ctr -n k8s.io snapshots --snapshotter cowsnap rm a/b, and"));
    finding.key = bytes_of("k8s.io/a;b");
    assert_true(advises(finding, "then: remove it through whatever made it, and"));
    finding.kind = CHECK_CONTAINERD_LACKS;
    assert_advice(finding, "containerd's next garbage collection removes it; restart containerd to "
                           "have one now");
}

static void what_containerd_made_is_removed_there_by_its_name(void **state)
{
    (void)state;
    assert_advice(lost("k8s.io/2/sha256:one", CHECK_REPAIRED),
                  "removed; for containerd to make it anew: ctr -n k8s.io snapshots --snapshotter "
                  "cowsnap rm sha256:one, then pull its image again");
    assert_true(advises(lost("default/14/a/b@c", CHECK_REPAIRED), "ctr -n default "));
    assert_true(advises(lost("default/14/a/b@c", CHECK_REPAIRED), " rm a/b@c,"));
}

static void nothing_is_pasted_that_a_shell_could_run(void **state)
{
    static const char *const keys[] = {
        "base",
        "default/x/a",
        "default/1/",
        "/1/a",
        "default//a",
        "default/1/$(id)",
        "default/1/a;id",
        "default/1/a b",
        "default/1/a\nid",
        "default/1/`id`",
        "$(id)/1/a",
        "default/1/-rf",
        "default/1/a\xff",
        "-n/1/a",
        "",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        if (advises(lost(keys[i], CHECK_REPAIRED), "ctr "))
            fail_msg("%s is in a command", keys[i]);
    assert_advice(lost("default/1/$(id)", CHECK_REPAIRED),
                  "removed; for containerd to make it anew: remove it through whatever made it, "
                  "then pull its image again");
    assert_false(advises(lost("$(id)/1/a", CHECK_HAS_CHILDREN), "id"));
}

static void an_image_is_removed_as_its_namespace_does(void **state)
{
    (void)state;
    assert_true(advises(lost("k8s.io/2/sha256:one", CHECK_HAS_CHILDREN), "(crictl rmi IMAGE)"));
    assert_true(advises(lost("default/2/sha256:one", CHECK_HAS_CHILDREN),
                        "(ctr -n default images rm --sync IMAGE)"));
    assert_true(advises(lost("one", CHECK_HAS_CHILDREN), "(remove what was made of it)"));
}

static void a_new_store_beside_an_old_pool_is_begun_by_hand(void **state)
{
    (void)state;
    assert_advice(lost("default/1/a", CHECK_WRONG_POOL),
                  "kept, since this pool has the volume of not one snapshot: give cowsnapd the "
                  "pool that belongs to its root; if that is lost for good, remove all containers "
                  "and images of this snapshotter, stop cowsnapd, move the folder meta in its root "
                  "away, run `cowsnapd --forget-volumes` once, which ends all volumes of this "
                  "pool, stop that with Ctrl-C, and start cowsnapd again");
}

/* No kind and no outcome is without a word of its own. */
static void everything_has_a_name_and_an_advice(void **state)
{
    (void)state;
    for (int kind = CHECK_RECORD_UNREADABLE; kind <= CHECK_INDEX_STALE; kind++) {
        assert_string_not_equal(advice_kind_name((enum check_kind)kind), "unknown");
        for (int outcome = CHECK_REPAIRABLE; outcome <= CHECK_WRONG_POOL; outcome++) {
            struct check_finding finding = lost("default/1/a", (enum check_outcome)outcome);

            finding.kind = (enum check_kind)kind;
            assert_string_not_equal(advice_outcome_name(finding.outcome), "unknown");
            assert_false(advises(finding, "newer"));
        }
    }
    assert_string_equal(advice_kind_name((enum check_kind)99), "unknown");
    assert_string_equal(advice_outcome_name((enum check_outcome)99), "unknown");
    assert_advice(lost("a", (enum check_outcome)99),
                  "cowsnapd is newer than this cowsnap: use the cowsnap that came with it");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thing_is_named_by_what_is_known_of_it),
        cmocka_unit_test(what_containerd_made_is_removed_there_by_its_name),
        cmocka_unit_test(what_containerd_has_otherwise_is_settled_there),
        cmocka_unit_test(nothing_is_pasted_that_a_shell_could_run),
        cmocka_unit_test(an_image_is_removed_as_its_namespace_does),
        cmocka_unit_test(a_new_store_beside_an_old_pool_is_begun_by_hand),
        cmocka_unit_test(everything_has_a_name_and_an_advice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
