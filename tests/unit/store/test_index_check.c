/* SPDX-License-Identifier: Apache-2.0 */
/* Indexes that were made to disagree with the records, on purpose. */
#include "store/index.h"
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

/* ---- what is found, as text: "lacks keys 3 (name) mended, stale refs 4" ---- */

struct look {
    bool mend;
    char text[1024];
};

static int note(void *context, const struct store_flaw *flaw, struct reason *why)
{
    struct look *look = context;
    size_t used = strlen(look->text);

    (void)why;
    snprintf(look->text + used, sizeof(look->text) - used, "%s%s %s %" PRIu64, used ? ", " : "",
             flaw->stale ? "stale" : "lacks", flaw->index, flaw->id);
    used = strlen(look->text);
    if (!flaw->stale)
        used += (size_t)snprintf(look->text + used, sizeof(look->text) - used, " (%.*s)",
                                 (int)flaw->key.length, (const char *)flaw->key.data);
    if (flaw->mended)
        snprintf(look->text + used, sizeof(look->text) - used, " mended");
    return 0;
}

static int check(struct store_txn *txn, void *context, struct reason *why)
{
    struct look *look = context;

    look->text[0] = '\0';
    return store_check_indexes(txn, look->mend, note, look, why);
}

static const char *found(struct rig *rig)
{
    static struct look look;
    struct reason why = {0};

    look.mend = false;
    must(store_read(rig->store, check, &look, &why), &why);
    return look.text;
}

static const char *mended(struct rig *rig)
{
    static struct look look;
    struct reason why = {0};

    look.mend = true;
    must(store_write(rig->store, check, &look, &why), &why);
    return look.text;
}

/* ---- damage ---- */

/* Puts (or takes away) a way to the record ID where RECORD would have its own. */
struct way {
    enum index_kind kind;
    struct record record;
    uint64_t id;
    bool gone;
};

static int lay(struct store_txn *txn, void *context, struct reason *why)
{
    const struct way *way = context;
    struct packed_id packed = id_pack(way->id);
    struct index_entry entry;
    MDB_val value = {sizeof(packed.bytes), packed.bytes};

    assert_int_equal(index_entry_of(way->kind, &way->record, &entry, why), 0);
    MDB_val key = {entry.length, entry.key};
    return way->gone ? mdb_del(txn->mdb, index_table(txn->tables, way->kind), &key, &value)
                     : mdb_put(txn->mdb, index_table(txn->tables, way->kind), &key, &value, 0);
}

static void meddle(struct rig *rig, const struct way *way)
{
    struct reason why = {0};

    must(store_write(rig->store, lay, (void *)way, &why), &why);
}

static int garble(struct store_txn *txn, void *context, struct reason *why)
{
    struct packed_id packed = id_pack(*(uint64_t *)context);
    MDB_val key = {sizeof(packed.bytes), packed.bytes};
    MDB_val value = {3, "\xff\xff\xff"};

    (void)why;
    return mdb_put(txn->mdb, txn->tables->snapshots, &key, &value, 0);
}

static int drop(struct store_txn *txn, void *context, struct reason *why)
{
    return store_drop_unreadable(txn, *(uint64_t *)context, why);
}

static const struct label ref = {{(const uint8_t *)"containerd.io/snapshot.ref", 26},
                                 {(const uint8_t *)"r", 1}};

static struct record committed(const char *key, uint64_t parent)
{
    return (struct record){.key = bytes_of(key),
                           .kind = SNAPSHOT_COMMITTED,
                           .parent = parent,
                           .labels = &ref,
                           .label_count = 1};
}

/* "base" and its children "one" to "three", all with the same ref. */
struct family {
    uint64_t base, one, two, three;
};

static uint64_t put_committed(struct rig *rig, const char *key, uint64_t parent)
{
    struct record record = committed(key, parent);
    struct reason why = {0};

    must(store_write(rig->store, put, &record, &why), &why);
    return record.id;
}

static struct family make_family(struct rig *rig)
{
    struct family family = {.base = put_committed(rig, "base", 0)};

    family.one = put_committed(rig, "one", family.base);
    family.two = put_committed(rig, "two", family.base);
    family.three = put_committed(rig, "three", family.base);
    return family;
}

/* ---- tests ---- */

static void a_store_that_was_left_alone_is_sound(void **state)
{
    struct rig *rig = *state;
    struct family family = make_family(rig);
    struct reason why = {0};

    assert_string_equal(found(rig), "");
    must(store_write(rig->store, delete, &family.two, &why), &why);
    assert_string_equal(found(rig), "");
    assert_string_equal(mended(rig), "");
}

static void a_way_that_is_missing_is_laid_again(void **state)
{
    struct rig *rig = *state;
    struct family family = make_family(rig);
    struct record one = committed("one", family.base);
    struct find find = {.key = bytes_of("one")};
    struct reason why = {0};

    for (enum index_kind kind = 0; kind < INDEXES; kind++)
        meddle(rig, &(struct way){kind, one, family.one, true});
    assert_int_equal(store_read(rig->store, find_key, &find, &why), CONDITION_NOT_FOUND);
    assert_string_equal(found(rig),
                        "lacks keys 2 (one), lacks children 2 (one), lacks refs 2 (one)");
    assert_string_equal(mended(rig), "lacks keys 2 (one) mended, lacks children 2 (one) mended, "
                                     "lacks refs 2 (one) mended");
    assert_string_equal(found(rig), "");
    assert_int_equal(id_of(rig, bytes_of("one")), family.one);
}

static void ways_that_lead_nowhere_go_and_their_neighbours_stay(void **state)
{
    struct rig *rig = *state;
    struct family family = make_family(rig);
    uint64_t lonely = add(rig, "lonely", SNAPSHOT_COMMITTED, 0);
    struct record gone = committed("gone", family.base);
    struct reason why = {0};

    for (enum index_kind kind = 0; kind < INDEXES; kind++)
        meddle(rig, &(struct way){kind, gone, 99, false});
    meddle(rig, &(struct way){INDEX_CHILDREN, committed("", family.base), 98, false});
    meddle(rig, &(struct way){INDEX_CHILDREN, committed("", lonely), 98, false});
    assert_int_equal(store_read(rig->store, has_child, &lonely, &why), 0);
    assert_string_equal(found(rig), "stale keys 99, stale children 98, stale children 99, "
                                    "stale children 98, stale refs 99");
    mended(rig);
    assert_string_equal(found(rig), "");
    assert_int_equal(store_read(rig->store, has_child, &lonely, &why), CONDITION_NOT_FOUND);
    assert_int_equal(id_of(rig, bytes_of("three")), family.three);
}

static void a_way_to_another_record_is_turned_to_the_right_one(void **state)
{
    struct rig *rig = *state;
    struct family family = make_family(rig);

    meddle(rig, &(struct way){INDEX_KEYS, committed("one", 0), family.two, false});
    assert_string_equal(found(rig), "stale keys 3, lacks keys 2 (one)");
    assert_string_equal(mended(rig), "stale keys 3 mended, lacks keys 2 (one) mended");
    assert_int_equal(id_of(rig, bytes_of("one")), family.one);
    assert_int_equal(id_of(rig, bytes_of("two")), family.two);
}

static int put_twin(struct store_txn *txn, void *context, struct reason *why)
{
    struct record record = committed("one", 0);
    struct way way = {INDEX_KEYS, committed("one", 0), *(uint64_t *)context, true};

    assert_int_equal(lay(txn, &way, why), 0);
    record.id = 50;
    return store_put(txn, &record, why);
}

static void of_two_records_with_one_key_only_one_can_be_led_to(void **state)
{
    struct rig *rig = *state;
    struct family family = make_family(rig);
    struct reason why = {0};

    must(store_write(rig->store, put_twin, &family.one, &why), &why);
    assert_string_equal(found(rig), "lacks keys 2 (one)");
    assert_string_equal(mended(rig), "lacks keys 2 (one)");
    assert_string_equal(found(rig), "lacks keys 2 (one)");
}

static void an_unreadable_record_goes_with_all_that_leads_to_it(void **state)
{
    struct rig *rig = *state;
    struct family family = make_family(rig);
    struct reason why = {0};

    must(store_write(rig->store, garble, &family.one, &why), &why);
    assert_string_equal(found(rig), ""); /* it belongs to the record */
    assert_int_equal(store_write(rig->store, drop, &family.two, &why), CONDITION_NOT_FOUND);
    must(store_write(rig->store, drop, &family.one, &why), &why);
    assert_int_equal(store_write(rig->store, drop, &family.one, &why), CONDITION_NOT_FOUND);
    assert_string_equal(found(rig), "");
    assert_int_equal(id_of(rig, bytes_of("one")), 0);
    assert_int_equal(figures(rig).snapshots, 3);
    assert_int_equal(figures(rig).committed, 3);
    must(store_write(rig->store, delete, &family.two, &why), &why);
    must(store_write(rig->store, delete, &family.three, &why), &why);
    assert_int_equal(store_read(rig->store, has_child, &family.base, &why), CONDITION_NOT_FOUND);
}

static void a_way_that_leads_nowhere_is_passed_over(void **state)
{
    struct rig *rig = *state;
    struct family family = make_family(rig);
    uint64_t last = add(rig, "last", SNAPSHOT_VIEW, family.base);
    struct find find = {.parent = family.base};
    struct reason why = {0};

    must(store_write(rig->store, delete, &family.two, &why), &why);
    must(store_write(rig->store, garble, &family.one, &why), &why);
    must(store_write(rig->store, delete, &family.three, &why), &why);
    meddle(rig, &(struct way){INDEX_CHILDREN, committed("", family.base), family.three, false});
    find.id = family.two;
    must(store_read(rig->store, next_child, &find, &why), &why);
    assert_int_equal(find.record.id, last);
    find.id = last + 1;
    assert_int_equal(store_read(rig->store, next_child, &find, &why), CONDITION_NOT_FOUND);
    find.id = family.one;
    assert_int_equal(store_read(rig->store, next_child, &find, &why), -EBADMSG);
    assert_int_equal(find.record.id, family.one); /* so that a walk can go on */
}

static void a_ref_is_found_behind_one_that_cannot_be_read(void **state)
{
    struct rig *rig = *state;
    struct family family = make_family(rig);
    struct find find = {.parent = family.base, .ref = bytes_of("r")};
    struct reason why = {0};

    must(store_write(rig->store, garble, &family.one, &why), &why);
    must(store_read(rig->store, find_ref, &find, &why), &why);
    assert_int_equal(find.record.id, family.two);
    must(store_write(rig->store, delete, &family.two, &why), &why);
    meddle(rig, &(struct way){INDEX_REFS, committed("", family.base), family.two, false});
    must(store_read(rig->store, find_ref, &find, &why), &why);
    assert_int_equal(find.record.id, family.three);
    must(store_write(rig->store, garble, &family.three, &why), &why);
    assert_int_equal(store_read(rig->store, find_ref, &find, &why), CONDITION_NOT_FOUND);
}

#define with_rig(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_rig(a_store_that_was_left_alone_is_sound),
        with_rig(a_way_that_is_missing_is_laid_again),
        with_rig(ways_that_lead_nowhere_go_and_their_neighbours_stay),
        with_rig(a_way_to_another_record_is_turned_to_the_right_one),
        with_rig(of_two_records_with_one_key_only_one_can_be_led_to),
        with_rig(an_unreadable_record_goes_with_all_that_leads_to_it),
        with_rig(a_way_that_leads_nowhere_is_passed_over),
        with_rig(a_ref_is_found_behind_one_that_cannot_be_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
