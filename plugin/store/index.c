/* SPDX-License-Identifier: Apache-2.0 */
#include "store/index.h"

#include "store/record.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/sha.h>

_Static_assert(INDEX_DIGEST == SHA256_DIGEST_LENGTH, "an entry has room for a SHA-256");

struct packed_id id_pack(uint64_t id)
{
    struct packed_id packed;

    for (size_t i = 0; i < sizeof(packed.bytes); i++)
        packed.bytes[i] = (uint8_t)(id >> (56 - 8 * i));
    return packed;
}

bool id_unpack(MDB_val value, uint64_t *id)
{
    const uint8_t *bytes = value.mv_data;

    if (value.mv_size != sizeof(struct packed_id))
        return false;
    *id = 0;
    for (size_t i = 0; i < sizeof(struct packed_id); i++)
        *id = *id << 8 | bytes[i];
    return true;
}

/* Appends the SHA-256 of BYTES to ENTRY. */
static int entry_add_digest(struct index_entry *entry, struct bytes bytes, struct reason *why)
{
    if (!SHA256(bytes.length ? bytes.data : (const uint8_t *)"", bytes.length,
                entry->key + entry->length))
        return failure(why, ENOMEM, "hashing a key of the store");
    entry->length += SHA256_DIGEST_LENGTH;
    return 0;
}

static void entry_add_id(struct index_entry *entry, uint64_t id)
{
    struct packed_id packed = id_pack(id);

    memcpy(entry->key + entry->length, packed.bytes, sizeof(packed.bytes));
    entry->length += sizeof(packed.bytes);
}

static int entry_of_key(const struct record *record, struct index_entry *entry, struct reason *why)
{
    return entry_add_digest(entry, record->key, why);
}

static int entry_of_parent(const struct record *record, struct index_entry *entry,
                           struct reason *why)
{
    (void)why;
    if (record->parent)
        entry_add_id(entry, record->parent);
    return 0;
}

static int ref_entry(struct bytes ref, uint64_t parent, struct index_entry *entry,
                     struct reason *why)
{
    int result = entry_add_digest(entry, ref, why);

    if (!result)
        entry_add_id(entry, parent);
    return result;
}

/* What a committed record is found by across stores; NULL when by nothing. */
static const struct bytes *ref_of(const struct record *record)
{
    if (record->kind != SNAPSHOT_COMMITTED)
        return NULL;
    return label_value(record->labels, record->label_count, bytes_of(LABEL_REF));
}

static int entry_of_ref(const struct record *record, struct index_entry *entry, struct reason *why)
{
    const struct bytes *ref = ref_of(record);

    return ref ? ref_entry(*ref, record->parent, entry, why) : 0;
}

static MDB_val entry_value(struct index_entry *entry)
{
    return (MDB_val){entry->length, entry->key};
}

typedef int entry_function(const struct record *record, struct index_entry *entry,
                           struct reason *why);

static const struct {
    const char *name;
    entry_function *entry_of;
} indexes[INDEXES] = {
    [INDEX_KEYS] = {"keys", entry_of_key},
    [INDEX_CHILDREN] = {"children", entry_of_parent},
    [INDEX_REFS] = {"refs", entry_of_ref},
};

const char *index_name(enum index_kind kind)
{
    return indexes[kind].name;
}

MDB_dbi index_table(const struct tables *tables, enum index_kind kind)
{
    return kind == INDEX_KEYS       ? tables->by_key
           : kind == INDEX_CHILDREN ? tables->children
                                    : tables->by_ref;
}

int index_entry_of(enum index_kind kind, const struct record *record, struct index_entry *entry,
                   struct reason *why)
{
    entry->length = 0;
    return indexes[kind].entry_of(record, entry, why);
}

static int follow(struct store_txn *txn, enum index_kind kind, const struct record *before,
                  const struct record *now, struct reason *why)
{
    MDB_dbi index = index_table(txn->tables, kind);
    struct index_entry old = {.length = 0};
    struct index_entry new = {.length = 0};
    /* cppcheck-suppress nullPointerRedundantCheck ; one of the two is there */
    uint64_t id = before ? before->id : now->id;
    struct packed_id packed = id_pack(id);
    MDB_val value = {sizeof(packed.bytes), packed.bytes};
    MDB_val key;
    int result = before ? index_entry_of(kind, before, &old, why) : 0;
    int status = 0;

    if (!result && now)
        result = index_entry_of(kind, now, &new, why);
    if (result)
        return result;
    if (bytes_equal(bytes_from(old.key, old.length), bytes_from(new.key, new.length)))
        return 0;
    if (old.length) {
        key = entry_value(&old);
        status = mdb_del(txn->mdb, index, &key, &value);
    }
    if ((status == 0 || status == MDB_NOTFOUND) && new.length) {
        key = entry_value(&new);
        value = (MDB_val){sizeof(packed.bytes), packed.bytes};
        status = mdb_put(txn->mdb, index, &key, &value, 0);
    }
    if (status && status != MDB_NOTFOUND)
        return txn_failure(txn, status, why, "indexing record %" PRIu64, id);
    return 0;
}

int index_follow(struct store_txn *txn, const struct record *before, const struct record *now,
                 struct reason *why)
{
    int result = 0;

    for (enum index_kind kind = 0; !result && kind < INDEXES; kind++)
        result = follow(txn, kind, before, now, why);
    return result;
}

int index_find_key(struct store_txn *txn, struct bytes key, uint64_t *id, struct reason *why)
{
    struct index_entry entry = {.length = 0};
    int result = entry_add_digest(&entry, key, why);

    if (result)
        return result;
    MDB_val at = entry_value(&entry);
    MDB_val value;
    int status = mdb_get(txn->mdb, txn->tables->by_key, &at, &value);
    if (status == MDB_NOTFOUND)
        return CONDITION_NOT_FOUND;
    if (!status && !id_unpack(value, id))
        status = MDB_CORRUPTED;
    if (status)
        return txn_failure(txn, status, why, "looking up key %s", quoted(key));
    return 0;
}

int store_has_child(struct store_txn *txn, uint64_t id, struct reason *why)
{
    struct packed_id parent = id_pack(id);
    MDB_val key = {sizeof(parent.bytes), parent.bytes};
    MDB_val value;
    int status = mdb_get(txn->mdb, txn->tables->children, &key, &value);

    if (status == MDB_NOTFOUND)
        return CONDITION_NOT_FOUND;
    if (status)
        return txn_failure(txn, status, why, "looking up children of record %" PRIu64, id);
    return 0;
}

int store_next_child(struct store_txn *txn, uint64_t parent, uint64_t from, struct record *record,
                     struct reason *why)
{
    scoped_cursor MDB_cursor *cursor = NULL;
    struct packed_id above = id_pack(parent), least = id_pack(from);
    MDB_val key = {sizeof(above.bytes), above.bytes}, value = {sizeof(least.bytes), least.bytes};
    uint64_t id;
    int status = mdb_cursor_open(txn->mdb, txn->tables->children, &cursor);

    MDB_cursor_op step = MDB_GET_BOTH_RANGE;
    while (!status && !(status = mdb_cursor_get(cursor, &key, &value, step))) {
        int result;

        if (!id_unpack(value, &id)) {
            status = MDB_CORRUPTED;
            break;
        }
        result = store_get_id(txn, id, record, why);
        if (result != CONDITION_NOT_FOUND) /* else the entry is stale, as a check tells */
            return result;
        step = MDB_NEXT_DUP;
    }
    if (status == MDB_NOTFOUND)
        return CONDITION_NOT_FOUND;
    return txn_failure(txn, status, why, "looking up children of record %" PRIu64, parent);
}

/* Whether RECORD is what store_find_ref() was asked for; digests could be equal. */
static bool has_ref(const struct record *record, struct bytes ref, uint64_t parent)
{
    const struct bytes *value = ref_of(record);

    return value && record->parent == parent && bytes_equal(*value, ref);
}

int store_find_ref(struct store_txn *txn, struct bytes ref, uint64_t parent,
                   const struct id_set *but, struct record *record, struct reason *why)
{
    scoped_cursor MDB_cursor *cursor = NULL;
    struct index_entry entry = {.length = 0};
    MDB_cursor_op step = MDB_SET_KEY;
    uint64_t id;
    int result = ref_entry(ref, parent, &entry, why);
    MDB_val key = entry_value(&entry);
    MDB_val value;

    if (result)
        return result;
    int status = mdb_cursor_open(txn->mdb, txn->tables->by_ref, &cursor);
    while (!status && !(status = mdb_cursor_get(cursor, &key, &value, step))) {
        if (!id_unpack(value, &id)) {
            status = MDB_CORRUPTED;
            break;
        }
        /* One that is gone or cannot be read, as a check tells, keeps nobody from the next. */
        result = store_get_id(txn, id, record, NULL);
        if (result == 0 && has_ref(record, ref, parent) && !id_set_has(but, id))
            return 0;
        if (result < 0 && result != -EBADMSG)
            return failure(why, -result, "reading record %" PRIu64, id);
        step = MDB_NEXT_DUP;
    }
    if (status == MDB_NOTFOUND)
        return CONDITION_NOT_FOUND;
    return txn_failure(txn, status, why, "looking up ref %s", quoted(ref));
}
