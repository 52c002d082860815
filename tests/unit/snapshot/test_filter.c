/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/filter.h"
#include "snapshot/info.h"
#include "unit/cmocka_setup.h"

#include <stdlib.h>
#include <string.h>

static const struct label labels[] = {
    {{(const uint8_t *)"containerd.io/gc.root", 21}, {(const uint8_t *)"now", 3}},
    {{(const uint8_t *)"foo", 3}, {(const uint8_t *)"bar baz", 7}},
    {{(const uint8_t *)"x.y", 3}, {(const uint8_t *)"1", 1}},
};

static struct snapshot_info sample(void)
{
    return (struct snapshot_info){
        .key = bytes_of("default/1/layer-a"),
        .parent = bytes_of("default/0/base"),
        .kind = SNAPSHOT_COMMITTED,
        .labels = labels,
        .label_count = 3,
    };
}

static bool matches(const char *text)
{
    struct snapshot_info info = sample();
    struct bytes bytes = bytes_of(text);
    struct reason why = {0};
    struct filter *filter = NULL;
    bool result;

    if (filter_parse(&filter, &bytes, 1, &why)) {
        print_error("%s\n", why.text);
        fail();
    }
    result = filter_matches(filter, info_field, &info);
    filter_free(filter);
    return result;
}

static void everything_matches_no_filter(void **state)
{
    struct snapshot_info info = sample();
    struct filter *filter = NULL;

    (void)state;
    assert_int_equal(filter_parse(&filter, NULL, 0, NULL), 0);
    assert_true(filter_matches(filter, info_field, &info));
    filter_free(filter);
    assert_true(matches(""));
}

static void fields_compare_by_their_operator(void **state)
{
    (void)state;
    assert_true(matches("name==default/1/layer-a"));
    assert_false(matches("name==default/1/layer"));
    assert_true(matches("name!=other"));
    assert_true(matches("kind==committed"));
    assert_false(matches("kind==active"));
    assert_true(matches("parent==default/0/base"));
    assert_true(matches("name ~= layer-[a-c]$"));
    assert_true(matches("name~=/^default\\/1/"));
    assert_true(matches("name~=|/1/|"));
    assert_false(matches("name~=/^1/"));
    assert_true(matches("labels.foo==\"bar baz\""));
    assert_true(matches("labels.\"foo\"==\"bar baz\""));
    assert_true(matches("labels.\"containerd.io/gc.root\"==now"));
}

static void a_bare_field_asks_whether_it_is_present(void **state)
{
    (void)state;
    assert_true(matches("labels.foo"));
    assert_false(matches("labels.nothing"));
    assert_true(matches("name"));
    assert_false(matches("colour"));
    assert_true(matches("labels.x.y"));
    assert_true(matches("labels.\"x.y\""));
    assert_false(matches("labels.x"));
    assert_false(matches("labels"));
}

static void an_absent_field_counts_as_empty_but_equals_nothing(void **state)
{
    (void)state;
    assert_false(matches("labels.nothing==\"\""));
    assert_true(matches("labels.nothing!=x"));
    assert_false(matches("labels.nothing!=\"\""));
    assert_true(matches("labels.nothing~=/^$/"));
}

static void a_comma_means_and(void **state)
{
    (void)state;
    assert_true(matches("kind==committed,labels.foo"));
    assert_true(matches("kind == committed , labels.foo"));
    assert_false(matches("kind==committed,labels.nothing"));
}

static void several_filters_mean_or(void **state)
{
    struct snapshot_info info = sample();
    struct bytes texts[] = {bytes_of("kind==view"), bytes_of("labels.foo")};
    struct filter *filter = NULL;

    (void)state;
    assert_int_equal(filter_parse(&filter, texts, 2, NULL), 0);
    assert_true(filter_matches(filter, info_field, &info));
    filter_free(filter);
    assert_int_equal(filter_parse(&filter, texts, 1, NULL), 0);
    assert_false(filter_matches(filter, info_field, &info));
    filter_free(filter);
}

static void escapes_are_those_of_go(void **state)
{
    (void)state;
    assert_true(matches("name==\"default\\x2f1\\057layer-\\u0061\""));
    assert_true(matches("name==\"default/1/layer-\\U00000061\""));
    assert_false(matches("name==\"default/1/layer-\\n\""));
}

static void a_malformed_expression_matches_nothing(void **state)
{
    (void)state;
    assert_false(matches("name~=/(/"));
}

static void malformed_filters_are_refused(void **state)
{
    static const char *const malformed[] = {
        "name==",         "==x",           "name=x",
        "name===x",       "name,",         ",name",
        "name==\"x",      "name==\"\\q\"", "labels.",
        "name==/x/",      "name == a b",   "na me",
        "name==\"\\x1\"", "name==\"\\9\"", "'name'==x",
        "name==\"\n\"",   "name~=",        "labels..foo",
        "name !x",        "(name)",        "name==\"\\U00110000\"",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
        struct bytes text = bytes_of(malformed[i]);
        struct filter *filter = NULL;
        struct reason why = {0};

        if (filter_parse(&filter, &text, 1, &why) != CONDITION_INVALID) {
            print_error("%s was taken\n", malformed[i]);
            fail();
        }
        assert_non_null(strstr(why.text, "at byte"));
    }
}

/* COUNT times PART, and commas between. */
static int parse_many(const char *part, size_t count, struct reason *why)
{
    size_t length = strlen(part);
    char *text = malloc(count * (length + 1));
    struct filter *filter = NULL;
    struct bytes bytes;

    for (size_t i = 0; i < count; i++) {
        memcpy(text + i * (length + 1), part, length);
        text[i * (length + 1) + length] = ',';
    }
    bytes = bytes_from(text, count * (length + 1) - 1);
    int result = filter_parse(&filter, &bytes, 1, why);
    filter_free(filter);
    free(text);
    return result;
}

static void a_filter_is_of_bounded_size(void **state)
{
    struct reason why = {0};

    (void)state;
    assert_int_equal(parse_many("name", FILTER_SELECTORS, &why), 0);
    assert_int_equal(parse_many("name", FILTER_SELECTORS + 1, &why), CONDITION_INVALID);
    assert_non_null(strstr(why.text, "more than 4096 conditions"));
    assert_int_equal(parse_many("name~=a", FILTER_EXPRESSIONS, &why), 0);
    assert_int_equal(parse_many("name~=a", FILTER_EXPRESSIONS + 1, &why), CONDITION_INVALID);
    assert_non_null(strstr(why.text, "more than 64 regular expressions"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_matches_no_filter),
        cmocka_unit_test(fields_compare_by_their_operator),
        cmocka_unit_test(a_bare_field_asks_whether_it_is_present),
        cmocka_unit_test(an_absent_field_counts_as_empty_but_equals_nothing),
        cmocka_unit_test(a_comma_means_and),
        cmocka_unit_test(several_filters_mean_or),
        cmocka_unit_test(escapes_are_those_of_go),
        cmocka_unit_test(a_malformed_expression_matches_nothing),
        cmocka_unit_test(malformed_filters_are_refused),
        cmocka_unit_test(a_filter_is_of_bounded_size),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
