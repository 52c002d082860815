/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/pax.h"

#include "unit/cmocka_setup.h"
#include "unit/layer/tar_builder.h"

#include <stdlib.h>
#include <string.h>

struct rig {
    struct tar_builder records;
    struct pax pax;
    struct reason why;
};

static int make(void **state)
{
    *state = calloc(1, sizeof(struct rig));
    return *state ? 0 : -1;
}

static int unmake(void **state)
{
    struct rig *rig = *state;

    tar_builder_deinit(&rig->records);
    pax_deinit(&rig->pax);
    free(rig);
    return 0;
}

static void add(struct rig *rig, const char *key, const char *value)
{
    tar_builder_record(&rig->records, key, value, strlen(value));
}

/* The records are copied to a block of exactly their size, so that a byte past it is found. */
static int parse(struct rig *rig)
{
    size_t length = rig->records.length;

    rig->records.data = realloc(rig->records.data, length > 0 ? length : 1);
    rig->records.room = length;
    rig->why.text[0] = '\0';
    return pax_parse(&rig->pax, rig->records.data, length, &rig->why);
}

static int parse_text(struct rig *rig, const char *text, size_t length)
{
    rig->records.length = 0;
    tar_builder_raw(&rig->records, text, length);
    return parse(rig);
}

#define PARSE(rig, text) parse_text(rig, text, sizeof(text) - 1)

static void keeps_the_last_value_of_each_key(void **state)
{
    struct rig *rig = *state;

    add(rig, "path", "first");
    add(rig, "linkpath", "target");
    add(rig, "path", "second\nwith = and newline");
    add(rig, "uid", "7");
    add(rig, "uid", "");
    add(rig, "comment", "nobody reads it");
    assert_int_equal(parse(rig), 0);
    assert_string_equal((const char *)rig->pax.path.data, "second\nwith = and newline");
    assert_string_equal((const char *)rig->pax.linkpath.data, "target");
    assert_int_equal(rig->pax.uid.length, 0);
}

static void takes_no_records_at_all(void **state)
{
    struct rig *rig = *state;

    add(rig, "path", "x");
    assert_int_equal(parse(rig), 0);
    assert_int_equal(pax_parse(&rig->pax, NULL, 0, &rig->why), 0);
    assert_int_equal(rig->pax.path.length, 0);
}

static void collects_attributes_sorted_and_each_once(void **state)
{
    struct rig *rig = *state;

    add(rig, "SCHILY.xattr.user.b", "one");
    tar_builder_record(&rig->records, "SCHILY.xattr.security.capability", "\0\n=\0", 4);
    add(rig, "SCHILY.xattr.user.a", "");
    add(rig, "SCHILY.xattr.user.b", "two");
    add(rig, "LIBARCHIVE.xattr.user.c", "dGhyZWU=");
    assert_int_equal(parse(rig), 0);
    assert_int_equal(rig->pax.xattr_count, 3);
    assert_string_equal(rig->pax.xattrs[0].name, "security.capability");
    assert_int_equal(rig->pax.xattrs[0].length, 4);
    assert_memory_equal(rig->pax.xattrs[0].value, "\0\n=\0", 4);
    assert_string_equal(rig->pax.xattrs[1].name, "user.a");
    assert_int_equal(rig->pax.xattrs[1].length, 0);
    assert_string_equal(rig->pax.xattrs[2].name, "user.b");
    assert_memory_equal(rig->pax.xattrs[2].value, "two", 3);
}

static void takes_time_proportional_to_many_equal_names(void **state)
{
    struct rig *rig = *state;

    for (int i = 0; i < 50000; i++)
        add(rig, "SCHILY.xattr.n", "");
    assert_int_equal(parse(rig), 0);
    assert_int_equal(rig->pax.xattr_count, 1);
}

static void joins_the_pairs_of_sparse_format_0_0(void **state)
{
    struct rig *rig = *state;

    add(rig, "GNU.sparse.map", "9,9");
    add(rig, "GNU.sparse.numblocks", "2");
    add(rig, "GNU.sparse.offset", "0");
    add(rig, "GNU.sparse.numbytes", "512");
    add(rig, "GNU.sparse.offset", "1024");
    add(rig, "GNU.sparse.name", "real");
    add(rig, "GNU.sparse.numbytes", "1");
    add(rig, "GNU.sparse.map", "8,8");
    assert_int_equal(parse(rig), 0);
    assert_true(bytes_equal(rig->pax.sparse_map, bytes_of("0,512,1024,1")));
    assert_true(bytes_equal(rig->pax.sparse_count, bytes_of("2")));
    assert_string_equal((const char *)rig->pax.sparse_name.data, "real");
    pax_clear(&rig->pax);
    assert_int_equal(rig->pax.sparse_map.length, 0);
}

static void refuses_sparse_pairs_out_of_turn(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(PARSE(rig, "24 GNU.sparse.numbytes=5\n"), CONDITION_INVALID);
    rig->records.length = 0;
    add(rig, "GNU.sparse.numbytes", "5");
    assert_int_equal(parse(rig), CONDITION_INVALID);
    rig->records.length = 0;
    add(rig, "GNU.sparse.offset", "5");
    add(rig, "GNU.sparse.offset", "6");
    assert_int_equal(parse(rig), CONDITION_INVALID);
    rig->records.length = 0;
    add(rig, "GNU.sparse.offset", "5,6");
    assert_int_equal(parse(rig), CONDITION_INVALID);
    assert_non_null(strstr(rig->why.text, "alternate"));
}

static void refuses_malformed_records(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(PARSE(rig, "7 a=bc\n"), 0);
    assert_int_equal(PARSE(rig, "+7 a=b\n"), 0);
    assert_int_equal(PARSE(rig, "007 =b\n"), CONDITION_INVALID);
    assert_int_equal(PARSE(rig, "7 a=bc"), CONDITION_INVALID);
    assert_int_equal(PARSE(rig, "6 a=bc\n"), CONDITION_INVALID);
    assert_int_equal(PARSE(rig, "8 a=bc\n"), CONDITION_INVALID);
    assert_int_equal(PARSE(rig, "7 a=bc\n\0"), CONDITION_INVALID);
    assert_int_equal(PARSE(rig, "7 a=bcd"), CONDITION_INVALID);
    assert_int_equal(PARSE(rig, "7abc=d\n"), CONDITION_INVALID);
    assert_int_equal(PARSE(rig, "7 abcd\n"), CONDITION_INVALID);
    assert_int_equal(PARSE(rig, "4 =\n\n\n"), CONDITION_INVALID);
    assert_int_equal(PARSE(rig, "-7 a=b\n"), CONDITION_INVALID);
    assert_int_equal(PARSE(rig, " 7 a=b\n"), CONDITION_INVALID);
    assert_int_equal(PARSE(rig, "00005 a"), CONDITION_INVALID);
    assert_int_equal(PARSE(rig, "9223372036854775807 a=b\n"), CONDITION_INVALID);
    assert_int_equal(PARSE(rig, "99999999999999999999 a=b\n"), CONDITION_INVALID);
    assert_int_equal(PARSE(rig, "\n"), CONDITION_INVALID);
}

static void refuses_nuls_in_names_and_keys_only(void **state)
{
    static const char *const names[] = {"path", "linkpath", "uname", "gname"};
    struct rig *rig = *state;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        rig->records.length = 0;
        tar_builder_record(&rig->records, names[i], "a\0b", 3);
        assert_int_equal(parse(rig), CONDITION_INVALID);
        assert_non_null(strstr(rig->why.text, "\"a\\x00b\""));
    }
    assert_int_equal(PARSE(rig, "8 a\0b=c\n"), CONDITION_INVALID);
    assert_int_equal(PARSE(rig, "23 SCHILY.xattr.a\0b=c\n\n"), CONDITION_INVALID);
    rig->records.length = 0;
    tar_builder_record(&rig->records, "comment", "a\0b", 3);
    assert_int_equal(parse(rig), 0);
}

static void refuses_numbers_that_are_none(void **state)
{
    struct reason why = {0};
    int64_t number = 12;

    (void)state;
    assert_int_equal(pax_number(bytes_of(""), "uid", &number, &why), 0);
    assert_int_equal(number, 12);
    assert_int_equal(pax_number(bytes_of("1.0"), "uid", &number, &why), CONDITION_INVALID);
    assert_non_null(strstr(why.text, "uid"));
    assert_int_equal(pax_number(bytes_of("9223372036854775808"), "size", &number, &why),
                     CONDITION_INVALID);
    assert_int_equal(pax_number(bytes_of("-5"), "size", &number, &why), 0);
    assert_int_equal(number, -5);
}

static void assert_time(const char *text, int64_t seconds, long nanoseconds)
{
    struct timespec time = {.tv_sec = 1, .tv_nsec = 1};

    assert_int_equal(pax_time(bytes_of(text), "mtime", &time, NULL), 0);
    assert_int_equal(time.tv_sec, seconds);
    assert_int_equal(time.tv_nsec, nanoseconds);
}

static void reads_times_before_and_after_1970(void **state)
{
    (void)state;
    assert_time("", 1, 1);
    assert_time("1700000000", 1700000000, 0);
    assert_time("1700000000.5", 1700000000, 500000000);
    assert_time("1.", 1, 0);
    assert_time("+3.25", 3, 250000000);
    assert_time("1.123456789", 1, 123456789);
    assert_time("1.1234567899999", 1, 123456789);
    assert_time("0.000000001", 0, 1);
    assert_time("-1", -1, 0);
    assert_time("-1.25", -2, 750000000);
    assert_time("-0.5", -1, 500000000);
    assert_time("-0.0", 0, 0);
    assert_time("-9223372036854775808.5", INT64_MIN, 500000000);
}

static void refuses_what_is_no_time(void **state)
{
    static const char *const wrong[] = {
        ".5", "1.5.3", "1.a", "a", "1.-5", "1. 5", "1e3", "-", "-.5", " 1", "9223372036854775808"};

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct timespec time = {.tv_sec = 1, .tv_nsec = 1};
        struct reason why = {0};

        assert_int_equal(pax_time(bytes_of(wrong[i]), "atime", &time, &why), CONDITION_INVALID);
        assert_non_null(strstr(why.text, "atime"));
        assert_int_equal(time.tv_nsec, 1);
    }
}

#define with_rig(test) cmocka_unit_test_setup_teardown(test, make, unmake)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_rig(keeps_the_last_value_of_each_key),
        with_rig(takes_no_records_at_all),
        with_rig(collects_attributes_sorted_and_each_once),
        with_rig(takes_time_proportional_to_many_equal_names),
        with_rig(joins_the_pairs_of_sparse_format_0_0),
        with_rig(refuses_sparse_pairs_out_of_turn),
        with_rig(refuses_malformed_records),
        with_rig(refuses_nuls_in_names_and_keys_only),
        cmocka_unit_test(refuses_numbers_that_are_none),
        cmocka_unit_test(reads_times_before_and_after_1970),
        cmocka_unit_test(refuses_what_is_no_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
