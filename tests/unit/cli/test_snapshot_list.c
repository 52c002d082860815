/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/snapshot_list.h"

#include "unit/cmocka_setup.h"

static void add(struct snapshot_list *list, uint64_t id, struct bytes key)
{
    struct snapshot_info info = {.id = id, .key = key};
    struct reason why = {0};

    assert_int_equal(snapshot_list_add(list, &info, &why), 0);
}

/* A list as a daemon sends it, by keys; ids are those of the order in which they were made. */
static int make(void **state)
{
    static const struct {
        uint64_t id;
        const char *key;
    } items[] = {
        {7, "#12"},
        {5, "default/31/web"},
        {6, "default/32/sha256:aa"},
        {3, "k8s.io/4/web"},
        {8, "k8s.io/9/extract-1 sha256:aa"},
        {10, "odd//numberless"},
        {4, "other/x/alone"},
        {2, "plain"},
        {9, "team/1/a/2/b"},
        {1, "team/2/plain"},
    };
    static struct snapshot_list list;

    for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++)
        add(&list, items[i].id, bytes_of(items[i].key));
    snapshot_list_sort(&list);
    *state = &list;
    return 0;
}

static int clear(void **state)
{
    snapshot_list_clear(*state);
    return 0;
}

/* The id that NAME finds, 0 for none. */
static uint64_t find(void **state, const char *name)
{
    const struct snapshot_info *found;
    struct reason why = {0};
    int result = snapshot_list_find(*state, bytes_of(name), &found, &why);

    if (result == 0)
        return found->id;
    assert_int_equal(result, CONDITION_NOT_FOUND);
    return 0;
}

static void is_sorted_by_id(void **state)
{
    const struct snapshot_list *list = *state;

    for (size_t i = 0; i < list->count; i++) {
        assert_int_equal(list->items[i].id, i + 1);
        assert_ptr_equal(snapshot_list_by_id(list, i + 1), &list->items[i]);
    }
    assert_null(snapshot_list_by_id(list, 0));
    assert_null(snapshot_list_by_id(list, 11));
}

static void whole_keys_come_first(void **state)
{
    assert_int_equal(find(state, "plain"), 2);
    assert_int_equal(find(state, "team/2/plain"), 1);
    assert_int_equal(find(state, "default/31/web"), 5);
}

static void the_clients_name_is_enough(void **state)
{
    assert_int_equal(find(state, "sha256:aa"), 6);
    assert_int_equal(find(state, "extract-1 sha256:aa"), 8);
    assert_int_equal(find(state, "a/2/b"), 9);
}

/* Only what follows a namespace and a number is a name. */
static void parts_of_keys_are_no_names(void **state)
{
    assert_int_equal(find(state, "b"), 0);
    assert_int_equal(find(state, "alone"), 0);
    assert_int_equal(find(state, "x/alone"), 0);
    assert_int_equal(find(state, "numberless"), 0);
    assert_int_equal(find(state, "4/web"), 0);
    assert_int_equal(find(state, "/web"), 0);
    assert_int_equal(find(state, "aa"), 0);
    assert_int_equal(find(state, ""), 0);
    assert_int_equal(find(state, "nothing"), 0);
}

static void ids_come_last(void **state)
{
    assert_int_equal(find(state, "#8"), 8);
    assert_int_equal(find(state, "#12"), 7); /* which is a key */
    assert_int_equal(find(state, "#0"), 0);
    assert_int_equal(find(state, "#"), 0);
    assert_int_equal(find(state, "#8 "), 0);
    assert_int_equal(find(state, "#18446744073709551624"), 0); /* 8 past the end of 64 bits */
}

static void several_candidates_are_named(void **state)
{
    const struct snapshot_info *found;
    struct reason why = {0};

    assert_int_equal(snapshot_list_find(*state, bytes_of("web"), &found, &why),
                     CONDITION_PRECONDITION);
    assert_string_equal(why.text, "\"web\" is the name of 2 snapshots; give a whole key, or an id "
                                  "as #12: \"k8s.io/4/web\" (#3), \"default/31/web\" (#5)");
}

/* Many candidates with keys that quote to four times their length fit all the same. */
static void many_candidates_are_cut(void **state)
{
    struct snapshot_list list = {0};
    const struct snapshot_info *found;
    struct reason why = {0};
    uint8_t key[2000] = {0};

    (void)state;
    memset(key, 0xff, sizeof(key));
    memcpy(key + 100, "/1/", 3);
    for (uint64_t id = 1; id <= 20; id++)
        add(&list, id, bytes_from(key, sizeof(key)));
    snapshot_list_sort(&list);
    assert_int_equal(
        snapshot_list_find(&list, bytes_from(key + 103, sizeof(key) - 103), &found, &why),
        CONDITION_PRECONDITION);
    assert_non_null(strstr(why.text, "20 snapshots"));
    snapshot_list_clear(&list);
}

static void an_empty_list_has_nothing(void **state)
{
    struct snapshot_list list = {0};
    const struct snapshot_info *found;
    struct reason why = {0};

    (void)state;
    snapshot_list_sort(&list);
    assert_null(snapshot_list_by_id(&list, 1));
    assert_int_equal(snapshot_list_find(&list, bytes_of("#1"), &found, &why), CONDITION_NOT_FOUND);
    assert_string_equal(why.text,
                        "there is no snapshot \"#1\"; 'cowsnap ls' lists those there are");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_sorted_by_id),
        cmocka_unit_test(whole_keys_come_first),
        cmocka_unit_test(the_clients_name_is_enough),
        cmocka_unit_test(parts_of_keys_are_no_names),
        cmocka_unit_test(ids_come_last),
        cmocka_unit_test(several_candidates_are_named),
        cmocka_unit_test(many_candidates_are_cut),
        cmocka_unit_test(an_empty_list_has_nothing),
    };

    return cmocka_run_group_tests(tests, make, clear);
}
