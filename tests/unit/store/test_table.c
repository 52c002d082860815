/* SPDX-License-Identifier: Apache-2.0 */
#include "store/table.h"
#include "unit/store/rig.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static int rig_setup(void **state)
{
    static struct rig rig;

    rig_make(&rig, 0);
    *state = &rig;
    return 0;
}

static int rig_teardown(void **state)
{
    rig_remove(*state);
    return 0;
}

/* ---- keys ---- */

static void keys_of_any_length_and_byte_are_found(void **state)
{
    static const size_t lengths[] = {0, 1, 2, 510, 511, 512, 4096, STORE_KEY_LIMIT};
    struct rig *rig = *state;
    uint8_t *key = calloc(1, STORE_KEY_LIMIT + 1);
    uint64_t ids[8];

    for (size_t i = 0; i < 8; i++) {
        struct record record = {.key = bytes_from(key, lengths[i]), .kind = SNAPSHOT_ACTIVE};
        struct reason why = {0};

        must(store_write(rig->store, put, &record, &why), &why);
        ids[i] = record.id;
    }
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(id_of(rig, bytes_from(key, lengths[i])), ids[i]);
    assert_int_equal(id_of(rig, bytes_from(key, 3)), 0);

    struct record record = {.key = bytes_from(key, STORE_KEY_LIMIT + 1), .kind = SNAPSHOT_ACTIVE};
    struct reason why = {0};
    assert_int_equal(store_write(rig->store, put, &record, &why), -EINVAL);
    assert_non_null(strstr(why.text, "its key is too long"));
    free(key);
}

static void a_key_belongs_to_one_record(void **state)
{
    struct rig *rig = *state;
    uint64_t first = add(rig, "one", SNAPSHOT_ACTIVE, 0);
    struct record second = {.key = bytes_of("one"), .kind = SNAPSHOT_VIEW};
    struct reason why = {0};

    assert_int_equal(store_write(rig->store, put, &second, &why), CONDITION_EXISTS);
    assert_string_equal(why.text, "");
    assert_int_equal(id_of(rig, bytes_of("one")), first);
    assert_int_equal(figures(rig).snapshots, 1);
    assert_int_equal(figures(rig).views, 0);
}

static void a_renamed_record_gives_its_key_back(void **state)
{
    struct rig *rig = *state;
    uint64_t id = add(rig, "active", SNAPSHOT_ACTIVE, 0);
    struct record committed = {.id = id, .key = bytes_of("name"), .kind = SNAPSHOT_COMMITTED};
    struct reason why = {0};

    must(store_write(rig->store, put, &committed, &why), &why);
    assert_int_equal(id_of(rig, bytes_of("name")), id);
    assert_int_equal(id_of(rig, bytes_of("active")), 0);
    assert_true(add(rig, "active", SNAPSHOT_ACTIVE, 0) > id);
}

static void a_deleted_record_leaves_nothing(void **state)
{
    struct rig *rig = *state;
    uint64_t parent = add(rig, "parent", SNAPSHOT_COMMITTED, 0);
    uint64_t child = add(rig, "child", SNAPSHOT_ACTIVE, parent);
    struct reason why = {0};

    assert_int_equal(store_read(rig->store, has_child, &parent, NULL), 0);
    must(store_write(rig->store, delete, &child, &why), &why);
    assert_int_equal(store_read(rig->store, has_child, &parent, NULL), CONDITION_NOT_FOUND);
    assert_int_equal(id_of(rig, bytes_of("child")), 0);
    assert_int_equal(store_write(rig->store, delete, &child, &why), CONDITION_NOT_FOUND);
    assert_int_equal(figures(rig).active, 0);
    assert_int_equal(figures(rig).committed, 1);
    assert_true(add(rig, "child", SNAPSHOT_ACTIVE, parent) > child);
}

static void the_children_follow_their_parent(void **state)
{
    struct rig *rig = *state;
    uint64_t a = add(rig, "a", SNAPSHOT_COMMITTED, 0);
    uint64_t b = add(rig, "b", SNAPSHOT_COMMITTED, 0);
    uint64_t first = add(rig, "first", SNAPSHOT_ACTIVE, a);
    uint64_t second = add(rig, "second", SNAPSHOT_ACTIVE, a);
    struct record moved = {
        .id = first, .key = bytes_of("first"), .kind = SNAPSHOT_ACTIVE, .parent = b};
    struct reason why = {0};

    must(store_write(rig->store, put, &moved, &why), &why);
    assert_int_equal(store_read(rig->store, has_child, &a, NULL), 0);
    assert_int_equal(store_read(rig->store, has_child, &b, NULL), 0);
    must(store_write(rig->store, delete, &second, &why), &why);
    assert_int_equal(store_read(rig->store, has_child, &a, NULL), CONDITION_NOT_FOUND);
    moved.parent = 0;
    must(store_write(rig->store, put, &moved, &why), &why);
    assert_int_equal(store_read(rig->store, has_child, &b, NULL), CONDITION_NOT_FOUND);
}

/* ---- refs ---- */

static struct label ref_label(const char *ref)
{
    return (struct label){bytes_of("containerd.io/snapshot.ref"), bytes_of(ref)};
}

static uint64_t ref_id(struct rig *rig, const char *ref, uint64_t parent)
{
    struct find find = {.ref = bytes_of(ref), .parent = parent};
    struct reason why = {0};
    int result = store_read(rig->store, find_ref, &find, &why);

    if (result == CONDITION_NOT_FOUND)
        return 0;
    must(result, &why);
    return find.record.id;
}

static void a_ref_finds_committed_records_of_that_parent(void **state)
{
    struct rig *rig = *state;
    struct label label = ref_label("sha256:1");
    struct label other = ref_label("sha256:2");
    struct record record = {
        .key = bytes_of("active"), .kind = SNAPSHOT_ACTIVE, .labels = &label, .label_count = 1};
    struct reason why = {0};

    must(store_write(rig->store, put, &record, &why), &why);
    assert_int_equal(ref_id(rig, "sha256:1", 0), 0);
    record.kind = SNAPSHOT_COMMITTED;
    record.key = bytes_of("committed");
    must(store_write(rig->store, put, &record, &why), &why);
    assert_int_equal(ref_id(rig, "sha256:1", 0), record.id);
    assert_int_equal(ref_id(rig, "sha256:1", 1000), 0);
    assert_int_equal(ref_id(rig, "sha256:", 0), 0);

    struct record twin = record;
    twin.id = 0;
    twin.key = bytes_of("twin");
    must(store_write(rig->store, put, &twin, &why), &why);
    assert_int_equal(ref_id(rig, "sha256:1", 0), record.id);
    record.labels = &other;
    must(store_write(rig->store, put, &record, &why), &why);
    assert_int_equal(ref_id(rig, "sha256:1", 0), twin.id);
    assert_int_equal(ref_id(rig, "sha256:2", 0), record.id);
    record.label_count = 0;
    must(store_write(rig->store, put, &record, &why), &why);
    assert_int_equal(ref_id(rig, "sha256:2", 0), 0);
    must(store_write(rig->store, delete, &twin.id, &why), &why);
    assert_int_equal(ref_id(rig, "sha256:1", 0), 0);
}

/* ---- walks ---- */

static int walk(struct store_txn *txn, void *context, struct reason *why)
{
    uint64_t *sum = context;
    struct record record;
    int result;

    sum[0] = sum[1] = 0;
    for (uint64_t from = 0; !(result = store_next(txn, from, &record, why)); from = record.id + 1) {
        assert_true(record.id >= from);
        sum[0]++;
        sum[1] += record.id;
    }
    return result == CONDITION_NOT_FOUND ? 0 : result;
}

static void a_walk_sees_every_record_in_order(void **state)
{
    struct rig *rig = *state;
    uint64_t expected = 0;
    uint64_t sum[2];
    char key[16];
    struct reason why = {0};

    must(store_read(rig->store, walk, sum, &why), &why);
    assert_int_equal(sum[0], 0);
    for (int i = 0; i < 300; i++) {
        (void)snprintf(key, sizeof(key), "key %d", i);
        expected += add(rig, key, SNAPSHOT_VIEW, 0);
    }
    must(store_read(rig->store, walk, sum, &why), &why);
    assert_int_equal(sum[0], 300);
    assert_int_equal(sum[1], expected);
}

/* ---- intents ---- */

static int begin(struct store_txn *txn, void *context, struct reason *why)
{
    uint64_t *id = context;
    int result = store_new_id(txn, id, why);

    return result ? result : store_put_intent(txn, *id, INTENT_CREATE, why);
}

static int settle(struct store_txn *txn, void *context, struct reason *why)
{
    return store_drop_intent(txn, *(uint64_t *)context, why);
}

static int begin_removal(struct store_txn *txn, void *context, struct reason *why)
{
    return store_put_intent(txn, *(uint64_t *)context, INTENT_REMOVE, why);
}

struct intents {
    uint64_t ids[8];
    enum intent_kind kinds[8];
    size_t count;
};

static int list_intents(struct store_txn *txn, void *context, struct reason *why)
{
    struct intents *list = context;
    uint64_t from = 0;
    int result;

    list->count = 0;
    while (!(result = store_next_intent(txn, from, &list->ids[list->count],
                                        &list->kinds[list->count], why)))
        from = list->ids[list->count++] + 1;
    return result == CONDITION_NOT_FOUND ? 0 : result;
}

static void intents_are_kept_until_dropped(void **state)
{
    struct rig *rig = *state;
    struct intents list;
    uint64_t first;
    uint64_t second;
    struct reason why = {0};

    must(store_write(rig->store, begin, &first, &why), &why);
    must(store_write(rig->store, begin, &second, &why), &why);
    must(store_write(rig->store, begin_removal, &first, &why), &why);
    rig_reopen(rig, 0);
    must(store_read(rig->store, list_intents, &list, &why), &why);
    assert_int_equal(list.count, 2);
    assert_true(list.ids[0] == first && list.kinds[0] == INTENT_REMOVE);
    assert_true(list.ids[1] == second && list.kinds[1] == INTENT_CREATE);
    assert_int_equal(figures(rig).intents, 2);
    must(store_write(rig->store, settle, &first, &why), &why);
    must(store_write(rig->store, settle, &first, &why), &why);
    must(store_write(rig->store, settle, &second, &why), &why);
    assert_int_equal(figures(rig).intents, 0);
}

/* Recovery may meet volumes whose numbers this store never gave: its predecessor was lost. */
static void an_intent_for_a_foreign_id_keeps_that_id_from_being_given(void **state)
{
    struct rig *rig = *state;
    uint64_t foreign = 1000;
    uint64_t next;
    struct reason why = {0};

    must(store_write(rig->store, begin_removal, &foreign, &why), &why);
    must(store_write(rig->store, settle, &foreign, &why), &why);
    must(store_write(rig->store, new_id, &next, &why), &why);
    assert_int_equal(next, 1001);
}

/* ---- damage ---- */

static int damage(struct store_txn *txn, void *context, struct reason *why)
{
    uint8_t key[8] = {0, 0, 0, 0, 0, 0, 0, (uint8_t) * (uint64_t *)context};
    MDB_val at = {sizeof(key), key};
    MDB_val value = {3, "\xff\xff\xff"};

    (void)why;
    return mdb_put(txn->mdb, txn->tables->snapshots, &at, &value, 0);
}

static int walk_over_damage(struct store_txn *txn, void *context, struct reason *why)
{
    unsigned *broken = context;
    struct record record;
    int result;
    uint64_t from = 0;

    *broken = 0;
    while ((result = store_next(txn, from, &record, why)) != CONDITION_NOT_FOUND) {
        assert_true(result == 0 || result == -EBADMSG);
        *broken += result != 0;
        from = record.id + 1;
    }
    return 0;
}

static void a_damaged_record_is_a_failure_that_names_it(void **state)
{
    struct rig *rig = *state;
    uint64_t id = add(rig, "sound", SNAPSHOT_ACTIVE, 0);
    uint64_t other = add(rig, "other", SNAPSHOT_ACTIVE, 0);
    struct find find = {.key = bytes_of("sound")};
    unsigned broken;
    struct reason why = {0};

    must(store_write(rig->store, damage, &id, &why), &why);
    assert_int_equal(store_read(rig->store, find_key, &find, &why), -EBADMSG);
    assert_non_null(strstr(why.text, "record 1 of the store is damaged"));
    must(store_read(rig->store, walk_over_damage, &broken, &why), &why);
    assert_int_equal(broken, 1);
    assert_int_equal(id_of(rig, bytes_of("other")), other);
}

static void a_read_cannot_write(void **state)
{
    struct rig *rig = *state;
    struct record record = {.id = 5, .key = bytes_of("x"), .kind = SNAPSHOT_ACTIVE};
    struct reason why = {0};

    assert_int_equal(store_read(rig->store, put, &record, &why), -EACCES);
    assert_int_equal(figures(rig).snapshots, 0);
}

#define with_rig(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_rig(keys_of_any_length_and_byte_are_found),
        with_rig(a_key_belongs_to_one_record),
        with_rig(a_renamed_record_gives_its_key_back),
        with_rig(a_deleted_record_leaves_nothing),
        with_rig(the_children_follow_their_parent),
        with_rig(a_ref_finds_committed_records_of_that_parent),
        with_rig(a_walk_sees_every_record_in_order),
        with_rig(intents_are_kept_until_dropped),
        with_rig(an_intent_for_a_foreign_id_keeps_that_id_from_being_given),
        with_rig(a_damaged_record_is_a_failure_that_names_it),
        with_rig(a_read_cannot_write),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
