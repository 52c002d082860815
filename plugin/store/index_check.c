/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Compares the indexes with the records, both ways: each entry must lead to a record that has that
 * entry, and each record must be led to. Entries go first, so that what is in the way of a record's
 * own entry is gone when that is put.
 *
 * All of it is one view of the store. The memory of one record is given back before the next, since
 * there may be many.
 */

#include "store/index.h"
#include "store/record.h"

#include <errno.h>
#include <inttypes.h>

struct index_check {
    struct store_txn *txn;
    struct arena arena; /* of the record that is looked at */
    bool mend;
    store_flaw_visit *visit;
    void *context;
};

/* ---- from the entries to the records ---- */

static int is_stale(struct index_check *check, enum index_kind kind, MDB_val key, uint64_t id,
                    bool *stale, struct reason *why)
{
    struct index_entry entry = {.length = 0};
    struct record record;

    arena_reset(&check->arena);
    int result = table_record(check->txn, id, &check->arena, &record, why);

    *stale = result == CONDITION_NOT_FOUND;
    if (*stale || result == -EBADMSG)
        return 0;
    if (!result)
        result = index_entry_of(kind, &record, &entry, why);
    if (!result)
        *stale =
            !bytes_equal(bytes_from(key.mv_data, key.mv_size), bytes_from(entry.key, entry.length));
    return result;
}

static int check_entry(struct index_check *check, enum index_kind kind, MDB_cursor *cursor,
                       MDB_val key, MDB_val value, struct reason *why)
{
    struct store_flaw flaw = {.index = index_name(kind), .stale = true, .mended = check->mend};
    bool stale;
    int status = 0;

    if (!id_unpack(value, &flaw.id))
        return txn_failure(check->txn, MDB_CORRUPTED, why, "reading the index of %s", flaw.index);
    int result = is_stale(check, kind, key, flaw.id, &stale, why);
    if (result || !stale)
        return result;
    if (check->mend)
        status = mdb_cursor_del(cursor, 0);
    if (status)
        return txn_failure(check->txn, status, why, "mending the index of %s", flaw.index);
    return check->visit(check->context, &flaw, why);
}

static int check_entries(struct index_check *check, enum index_kind kind, struct reason *why)
{
    struct store_txn *txn = check->txn;
    scoped_cursor MDB_cursor *cursor = NULL;
    MDB_val key, value;
    int result = 0;
    int status = mdb_cursor_open(txn->mdb, index_table(txn->tables, kind), &cursor);

    while (!status && !result && !(status = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)))
        result = check_entry(check, kind, cursor, key, value, why);
    if (status && status != MDB_NOTFOUND)
        return txn_failure(txn, status, why, "reading the index of %s", index_name(kind));
    return result;
}

/* ---- from the records to the entries ---- */

/* Whether the index leads from ENTRY to ID. */
static int has_entry(struct store_txn *txn, enum index_kind kind, struct index_entry *entry,
                     uint64_t id, bool *has, struct reason *why)
{
    scoped_cursor MDB_cursor *cursor = NULL;
    struct packed_id packed = id_pack(id);
    MDB_val key = {entry->length, entry->key};
    MDB_val value = {sizeof(packed.bytes), packed.bytes};
    uint64_t there = 0;
    int status = mdb_cursor_open(txn->mdb, index_table(txn->tables, kind), &cursor);

    if (!status)
        status = mdb_cursor_get(cursor, &key, &value, kind == INDEX_KEYS ? MDB_SET : MDB_GET_BOTH);
    *has = !status && (kind != INDEX_KEYS || (id_unpack(value, &there) && there == id));
    if (status && status != MDB_NOTFOUND)
        return txn_failure(txn, status, why, "reading the index of %s", index_name(kind));
    return 0;
}

/* *PUT is false when another record stands there. */
static int put_entry(struct store_txn *txn, enum index_kind kind, struct index_entry *entry,
                     uint64_t id, bool *put, struct reason *why)
{
    struct packed_id packed = id_pack(id);
    MDB_val key = {entry->length, entry->key};
    MDB_val value = {sizeof(packed.bytes), packed.bytes};
    int status = mdb_put(txn->mdb, index_table(txn->tables, kind), &key, &value,
                         kind == INDEX_KEYS ? MDB_NOOVERWRITE : MDB_NODUPDATA);

    *put = !status;
    if (status && status != MDB_KEYEXIST)
        return txn_failure(txn, status, why, "mending the index of %s", index_name(kind));
    return 0;
}

static int check_record(struct index_check *check, const struct record *record, struct reason *why)
{
    int result = 0;

    for (enum index_kind kind = 0; !result && kind < INDEXES; kind++) {
        struct store_flaw flaw = {index_name(kind), record->id, record->key, false, false};
        struct index_entry entry;
        bool has = true;

        result = index_entry_of(kind, record, &entry, why);
        if (!result && entry.length)
            result = has_entry(check->txn, kind, &entry, record->id, &has, why);
        if (!result && !has && check->mend)
            result = put_entry(check->txn, kind, &entry, record->id, &flaw.mended, why);
        if (!result && !has)
            result = check->visit(check->context, &flaw, why);
    }
    return result;
}

static int check_records(struct index_check *check, struct reason *why)
{
    struct store_txn *txn = check->txn;
    scoped_cursor MDB_cursor *cursor = NULL;
    MDB_val key, value;
    int result = 0;
    int status = mdb_cursor_open(txn->mdb, txn->tables->snapshots, &cursor);

    while (!status && !result && !(status = mdb_cursor_get(cursor, &key, &value, MDB_NEXT))) {
        struct record record;
        uint64_t id;

        if (!id_unpack(key, &id))
            return txn_failure(txn, MDB_CORRUPTED, why, "reading the records");
        arena_reset(&check->arena);
        result = record_unpack(bytes_from(value.mv_data, value.mv_size), id, &check->arena, &record,
                               why);
        if (!result)
            result = check_record(check, &record, why);
        else if (result == -EBADMSG)
            result = 0;
    }
    if (status && status != MDB_NOTFOUND)
        return txn_failure(txn, status, why, "reading the records");
    return result;
}

int store_check_indexes(struct store_txn *txn, bool mend, store_flaw_visit *visit, void *context,
                        struct reason *why)
{
    struct index_check check = {.txn = txn, .mend = mend, .visit = visit, .context = context};
    int result = 0;

    for (enum index_kind kind = 0; !result && kind < INDEXES; kind++)
        result = check_entries(&check, kind, why);
    if (!result)
        result = check_records(&check, why);
    arena_clear(&check.arena);
    return result;
}

/* ---- a record that cannot be read ---- */

int index_forget(struct store_txn *txn, uint64_t id, struct reason *why)
{
    for (enum index_kind kind = 0; kind < INDEXES; kind++) {
        scoped_cursor MDB_cursor *cursor = NULL;
        MDB_val key, value;
        int status = mdb_cursor_open(txn->mdb, index_table(txn->tables, kind), &cursor);

        while (!status && !(status = mdb_cursor_get(cursor, &key, &value, MDB_NEXT))) {
            uint64_t there;

            if (id_unpack(value, &there) && there == id)
                status = mdb_cursor_del(cursor, 0);
        }
        if (status != MDB_NOTFOUND)
            return txn_failure(txn, status, why, "taking record %" PRIu64 " out of the index of %s",
                               id, index_name(kind));
    }
    return 0;
}
