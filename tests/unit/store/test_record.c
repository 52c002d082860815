/* SPDX-License-Identifier: Apache-2.0 */
#include "store/record.h"
#include "unit/cmocka_setup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct label some_labels[] = {
    {{(const uint8_t *)"a", 1}, {(const uint8_t *)"", 0}},
    {{(const uint8_t *)"a\0b", 3}, {(const uint8_t *)"x\0y\n", 4}},
    {{(const uint8_t *)"b", 1}, {(const uint8_t *)"\xff\xfe", 2}},
};

static struct record full_record(void)
{
    return (struct record){
        .id = 7,
        .parent = UINT64_MAX,
        .key = bytes_from("k8s.io/1/a\0b", 12),
        .kind = SNAPSHOT_COMMITTED,
        .created = -1,
        .updated = INT64_MIN,
        .labels = some_labels,
        .label_count = 3,
        .usage_bytes = UINT64_MAX - 1,
        .usage_inodes = 1,
        .usage_known = true,
        .synced = true,
        .sealed = true,
    };
}

static void assert_same(const struct record *a, const struct record *b)
{
    assert_true(a->id == b->id && a->parent == b->parent && a->kind == b->kind);
    assert_true(bytes_equal(a->key, b->key));
    assert_true(a->created == b->created && a->updated == b->updated);
    assert_true(a->usage_bytes == b->usage_bytes && a->usage_inodes == b->usage_inodes);
    assert_true(a->usage_known == b->usage_known && a->synced == b->synced);
    assert_true(a->sealed == b->sealed);
    assert_int_equal(a->label_count, b->label_count);
    for (size_t i = 0; i < a->label_count; i++) {
        assert_true(bytes_equal(a->labels[i].key, b->labels[i].key));
        assert_true(bytes_equal(a->labels[i].value, b->labels[i].value));
    }
}

static void comes_back_as_it_was(const struct record *record)
{
    struct arena arena = ARENA_EMPTY;
    struct bytes packed;
    struct record back;

    assert_null(record_flaw(record));
    assert_int_equal(record_pack(record, &arena, &packed, NULL), 0);
    assert_int_equal(record_unpack(packed, record->id, &arena, &back, NULL), 0);
    assert_same(record, &back);
    arena_clear(&arena);
}

static void every_field_comes_back(void **state)
{
    struct record record = full_record();

    (void)state;
    comes_back_as_it_was(&record);
    /* each flag by itself, so that no two are mixed up */
    for (int flag = 0; flag < 3; flag++) {
        record.usage_known = flag == 0;
        record.synced = flag == 1;
        record.sealed = flag == 2;
        comes_back_as_it_was(&record);
    }
}

static void an_empty_record_comes_back(void **state)
{
    struct record record = {.id = UINT64_MAX, .kind = SNAPSHOT_VIEW};

    (void)state;
    comes_back_as_it_was(&record);
}

static void the_longest_key_comes_back(void **state)
{
    struct record record = full_record();
    uint8_t *key = calloc(1, STORE_KEY_LIMIT + 1);

    (void)state;
    record.key = bytes_from(key, STORE_KEY_LIMIT);
    comes_back_as_it_was(&record);
    record.key.length++;
    assert_non_null(record_flaw(&record));
    free(key);
}

static void flaws_are_found(void **state)
{
    struct record record = full_record();
    struct label swapped[] = {some_labels[1], some_labels[0]};
    struct label twice[] = {some_labels[0], some_labels[0]};

    (void)state;
    record.id = 0;
    assert_string_equal(record_flaw(&record), "its id is 0");
    record = full_record();
    record.parent = record.id;
    assert_string_equal(record_flaw(&record), "it is its own parent");
    record = full_record();
    record.kind = 0;
    assert_string_equal(record_flaw(&record), "its kind is unknown");
    record.kind = 4;
    assert_string_equal(record_flaw(&record), "its kind is unknown");
    record = full_record();
    record.labels = swapped;
    record.label_count = 2;
    assert_string_equal(record_flaw(&record), "its labels are not in order");
    record.labels = twice;
    assert_string_equal(record_flaw(&record), "its labels are not in order");
}

static void a_damaged_record_is_named(void **state)
{
    static const char *const damaged[] = {
        "",                                 /* no kind */
        "\x18\x04",                         /* kind 4 */
        "\x18\x01\x12",                     /* cut off in the key */
        "\x18\x01\x12\xff\xff\xff\xff\x0f", /* a key of 4 GiB */
        "\xff",
        "\x08\x2a\x18\x01", /* its own parent */
    };
    struct arena arena = ARENA_EMPTY;

    (void)state;
    for (size_t i = 0; i < sizeof(damaged) / sizeof(*damaged); i++) {
        struct record record;
        struct reason why = {0};
        int result = record_unpack(bytes_of(damaged[i]), 42, &arena, &record, &why);

        assert_int_equal(result, -EBADMSG);
        assert_non_null(strstr(why.text, "record 42 of the store is damaged"));
        assert_int_equal(record.id, 42);
    }
    arena_clear(&arena);
}

/* A field of a later version is passed over. */
static void an_unknown_field_does_no_harm(void **state)
{
    struct arena arena = ARENA_EMPTY;
    struct record record;

    (void)state;
    assert_int_equal(record_unpack(bytes_of("\x18\x02\xa2\x06\x03xyz"), 1, &arena, &record, NULL),
                     0);
    assert_int_equal(record.kind, SNAPSHOT_ACTIVE);
    arena_clear(&arena);
}

static uint64_t random_state = 88172645463325252u;

static uint64_t random_number(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* Copies to the heap, so that a sanitizer sees a read past the end. */
static void unpack_anything(const uint8_t *bytes, size_t length)
{
    struct arena arena = ARENA_EMPTY;
    struct record record;
    uint8_t *copy = malloc(length ? length : 1);

    if (length)
        memcpy(copy, bytes, length);
    int result = record_unpack(bytes_from(copy, length), 9, &arena, &record, NULL);
    free(copy);
    assert_true(result == 0 || result == -EBADMSG);
    if (result == 0)
        assert_null(record_flaw(&record));
    arena_clear(&arena);
}

static void random_damage_is_survived(void **state)
{
    struct record record = full_record();
    struct arena arena = ARENA_EMPTY;
    struct bytes packed;
    uint8_t bytes[256];

    (void)state;
    assert_int_equal(record_pack(&record, &arena, &packed, NULL), 0);
    assert_true(packed.length <= sizeof(bytes));
    for (size_t length = 0; length <= packed.length; length++)
        unpack_anything(packed.data, length);
    for (int round = 0; round < 20000; round++) {
        size_t changes = 1 + random_number() % 4;

        memcpy(bytes, packed.data, packed.length);
        while (changes--)
            bytes[random_number() % packed.length] = (uint8_t)random_number();
        unpack_anything(bytes, packed.length);
    }
    for (int round = 0; round < 20000; round++) {
        size_t length = random_number() % sizeof(bytes);

        for (size_t i = 0; i < length; i++)
            bytes[i] = (uint8_t)random_number();
        unpack_anything(bytes, length);
    }
    arena_clear(&arena);
}

static void a_label_is_found_by_its_key(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++)
        assert_ptr_equal(label_value(some_labels, 3, some_labels[i].key), &some_labels[i].value);
    assert_null(label_value(some_labels, 3, bytes_of("aa")));
    assert_null(label_value(some_labels, 3, bytes_of("")));
    assert_null(label_value(NULL, 0, bytes_of("a")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_comes_back),
        cmocka_unit_test(an_empty_record_comes_back),
        cmocka_unit_test(the_longest_key_comes_back),
        cmocka_unit_test(flaws_are_found),
        cmocka_unit_test(a_damaged_record_is_named),
        cmocka_unit_test(an_unknown_field_does_no_harm),
        cmocka_unit_test(random_damage_is_survived),
        cmocka_unit_test(a_label_is_found_by_its_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
