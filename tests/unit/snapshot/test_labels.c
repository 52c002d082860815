/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/labels.h"
#include "unit/cmocka_setup.h"

#include <stdio.h>
#include <stdlib.h>

/* qsort(3) leaves the order of equal elements open, and this one, put in its place by the linker
 * (CMakeLists.txt), turns them round: nothing may rest on the library's own order. */
void __real_qsort(void *base, size_t count, size_t size,
                  int (*compare)(const void *, const void *));
void __wrap_qsort(void *base, size_t count, size_t size,
                  int (*compare)(const void *, const void *));

void __wrap_qsort(void *base, size_t count, size_t size, int (*compare)(const void *, const void *))
{
    struct label *labels = base;

    assert_int_equal(size, sizeof(*labels));
    for (size_t i = 0; i < count / 2; i++) {
        struct label swapped = labels[i];

        labels[i] = labels[count - 1 - i];
        labels[count - 1 - i] = swapped;
    }
    __real_qsort(base, count, size, compare);
}

static struct label label(const char *key, const char *value)
{
    return (struct label){bytes_of(key), bytes_of(value)};
}

static void assert_labels(const struct label *labels, size_t count, const char *expected)
{
    char text[512] = "";

    for (size_t i = 0; i < count; i++) {
        strncat(text, (const char *)labels[i].key.data, labels[i].key.length);
        strcat(text, "=");
        strncat(text, (const char *)labels[i].value.data, labels[i].value.length);
        strcat(text, ";");
    }
    assert_string_equal(text, expected);
}

static void labels_are_sorted_and_empty_values_dropped(void **state)
{
    const struct label given[] = {label("b", "2"), label("c", ""), label("a", "1")};
    struct arena arena = ARENA_EMPTY;
    const struct label *clean;
    size_t count;

    (void)state;
    assert_int_equal(labels_clean(&arena, given, 3, &clean, &count, NULL), 0);
    assert_labels(clean, count, "a=1;b=2;");
    assert_non_null(label_value(clean, count, bytes_of("b")));
    assert_null(label_value(clean, count, bytes_of("c")));
    assert_null(label_value(NULL, 0, bytes_of("c")));
    arena_clear(&arena);
}

static void key_and_value_together_are_limited(void **state)
{
    char *value = calloc(1, LABEL_LIMIT + 1);
    struct label given = {bytes_of("key"), {0}};
    struct arena arena = ARENA_EMPTY;
    struct reason why = {0};
    const struct label *clean;
    size_t count;

    (void)state;
    memset(value, 'v', LABEL_LIMIT);
    given.value = bytes_from(value, LABEL_LIMIT - 3);
    assert_int_equal(labels_clean(&arena, &given, 1, &clean, &count, &why), 0);
    given.value.length++;
    assert_int_equal(labels_clean(&arena, &given, 1, &clean, &count, &why), CONDITION_INVALID);
    assert_string_equal(why.text,
                        "label \"key\" and its value take 4097 bytes; at most 4096 are allowed");
    arena_clear(&arena);
    free(value);
}

/* 300 labels of 3,500 bytes: each of its own is taken, and so are 299. */
static void all_together_are_limited(void **state)
{
    enum { COUNT = 300, VALUE = 3500 };
    char *value = malloc(VALUE), (*keys)[8] = calloc(COUNT, sizeof(*keys));
    struct label *given = calloc(COUNT, sizeof(*given));
    struct bytes mask;
    struct arena arena = ARENA_EMPTY;
    struct reason why = {0};
    const struct label *clean;
    size_t count;

    (void)state;
    memset(value, 'v', VALUE);
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(keys[i], sizeof(keys[i]), "%03u", i);
        given[i] = (struct label){bytes_of(keys[i]), bytes_from(value, VALUE)};
    }
    assert_int_equal(labels_clean(&arena, given, COUNT - 1, &clean, &count, &why), 0);
    assert_int_equal(labels_clean(&arena, given, COUNT, &clean, &count, &why), CONDITION_INVALID);
    assert_string_equal(why.text, "the 300 labels take 1050900 bytes in all; at most 1048576 are "
                                  "allowed");
    /* one more for a record that has 299 */
    mask = bytes_of("labels.299");
    assert_int_equal(labels_update(&arena, given, COUNT - 1, &given[COUNT - 1], 1, &mask, 1, &clean,
                                   &count, &why),
                     CONDITION_INVALID);
    /* and one in the place of another */
    mask = bytes_of("labels.000");
    assert_int_equal(
        labels_update(&arena, given, COUNT - 1, given, 1, &mask, 1, &clean, &count, &why), 0);
    arena_clear(&arena);
    free(given);
    free(keys);
    free(value);
}

static void update(const char *path1, const char *path2, const char *expected)
{
    const struct label old[] = {label("a", "1"), label("b", "2")};
    const struct label newer[] = {label("b", "3"), label("c.d/e.f", "4")};
    struct bytes paths[2] = {bytes_of(path1), bytes_of(path2)};
    struct arena arena = ARENA_EMPTY;
    const struct label *result;
    size_t count;

    assert_int_equal(labels_update(&arena, old, 2, newer, 2, paths,
                                   (size_t)(path1 != NULL) + (path2 != NULL), &result, &count,
                                   NULL),
                     0);
    assert_labels(result, count, expected);
    arena_clear(&arena);
}

static void the_mask_says_what_changes(void **state)
{
    (void)state;
    update(NULL, NULL, "b=3;c.d/e.f=4;");
    update("labels", NULL, "b=3;c.d/e.f=4;");
    update("labels.b", NULL, "a=1;b=3;");
    update("labels.c.d/e.f", NULL, "a=1;b=2;c.d/e.f=4;");
    update("labels.a", NULL, "b=2;"); /* missing in the update: deleted */
    update("labels.a", "labels.b", "b=3;");
    update("labels.z", NULL, "a=1;b=2;");
    update("labels.b", "labels.b", "a=1;b=3;");
    update("labels.b", "labels.a", "b=3;");
    update("labels.z", "labels.b", "a=1;b=3;");
    update("labels.a", "labels", "b=3;c.d/e.f=4;"); /* "labels" means all, wherever it stands */
    update("labels", "labels.a", "b=3;c.d/e.f=4;");
}

static void other_fields_cannot_be_updated(void **state)
{
    static const char *const paths[] = {"name", "parent", "kind", "created_at", "label", ""};
    struct arena arena = ARENA_EMPTY;
    const struct label *result;
    size_t count;

    (void)state;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        struct bytes path = bytes_of(paths[i]);

        assert_int_equal(labels_update(&arena, NULL, 0, NULL, 0, &path, 1, &result, &count, NULL),
                         CONDITION_INVALID);
    }
    for (int i = 0; i < 2; i++) { /* nor beside one that can */
        struct bytes both[] = {bytes_of(i ? "labels.a" : "labels"), bytes_of("kind")};

        assert_int_equal(labels_update(&arena, NULL, 0, NULL, 0, both, 2, &result, &count, NULL),
                         CONDITION_INVALID);
    }
    arena_clear(&arena);
}

/* A message has room for more. Going through all labels for each path takes minutes, which are a
 * worker's; then this test runs out of its time. */
static void a_very_long_mask_takes_no_very_long_time(void **state)
{
    const size_t many = 400000, kept = 100000; /* each key comes four times */
    char(*texts)[16] = calloc(many, sizeof(*texts));
    struct bytes *paths = calloc(many, sizeof(*paths));
    struct label *newer = calloc(many, sizeof(*newer));
    const struct label old[] = {label("000000", "old"), label("x", "1")};
    struct arena arena = ARENA_EMPTY;
    const struct label *result;
    size_t count;

    (void)state;
    for (size_t i = 0; i < many; i++) {
        snprintf(texts[i], sizeof(texts[i]), "labels.%06zu", (many - 1 - i) % kept);
        paths[i] = bytes_of(texts[i]);
        newer[i] = label(texts[i] + 7, "n");
    }
    assert_int_equal(labels_update(&arena, old, 2, newer, many, paths, many, &result, &count, NULL),
                     0);
    assert_int_equal(count, kept + 1);
    assert_labels(result, 2, "000000=n;000001=n;");
    assert_labels(&result[kept], 1, "x=1;");
    arena_clear(&arena);
    free(newer);
    free(paths);
    free(texts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_are_sorted_and_empty_values_dropped),
        cmocka_unit_test(key_and_value_together_are_limited),
        cmocka_unit_test(all_together_are_limited),
        cmocka_unit_test(the_mask_says_what_changes),
        cmocka_unit_test(other_fields_cannot_be_updated),
        cmocka_unit_test(a_very_long_mask_takes_no_very_long_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
