/* SPDX-License-Identifier: Apache-2.0 */
#include "store/table.h"

#include "store/index.h"
#include "store/record.h"

#include <errno.h>
#include <inttypes.h>

/* The numbers in the table "meta". */
#define SCHEMA "schema"
#define NEXT_ID "next-id" /* every smaller number has been given */
static const char *const kind_count[] = {
    [SNAPSHOT_VIEW] = "views",
    [SNAPSHOT_ACTIVE] = "active",
    [SNAPSHOT_COMMITTED] = "committed",
};

int txn_failure(struct store_txn *txn, int status, struct reason *why, const char *format, ...)
{
    va_list arguments;

    if (!txn->fault)
        txn->fault = status;
    va_start(arguments, format);
    int result = environment_vfailure(txn->environment, status, why, format, arguments);
    va_end(arguments);
    return result;
}

/* ---- numbers ---- */

/* OTHERWISE is the value of a number that is not there. */
static int number_get(struct store_txn *txn, const char *name, uint64_t otherwise, uint64_t *number,
                      struct reason *why)
{
    MDB_val key = {strlen(name), (void *)name};
    MDB_val value;
    int status = mdb_get(txn->mdb, txn->tables->meta, &key, &value);

    *number = otherwise;
    if (status == MDB_NOTFOUND)
        return 0;
    if (!status && !id_unpack(value, number))
        status = MDB_CORRUPTED;
    if (status)
        return txn_failure(txn, status, why, "reading the number \"%s\"", name);
    return 0;
}

static int number_put(struct store_txn *txn, const char *name, uint64_t number, struct reason *why)
{
    struct packed_id packed = id_pack(number);
    MDB_val key = {strlen(name), (void *)name};
    MDB_val value = {sizeof(packed.bytes), packed.bytes};
    int status = mdb_put(txn->mdb, txn->tables->meta, &key, &value, 0);

    if (status)
        return txn_failure(txn, status, why, "writing the number \"%s\"", name);
    return 0;
}

static int count_change(struct store_txn *txn, enum snapshot_kind kind, int by, struct reason *why)
{
    uint64_t count;
    int result = number_get(txn, kind_count[kind], 0, &count, why);

    if (result)
        return result;
    if (by > 0)
        count++;
    else if (count > 0)
        count--;
    return number_put(txn, kind_count[kind], count, why);
}

/* ---- the tables themselves ---- */

static int check_schema(struct store_txn *txn, struct reason *why)
{
    uint64_t schema;
    int result = number_get(txn, SCHEMA, 0, &schema, why);

    if (result)
        return result;
    if (schema > STORE_SCHEMA)
        return refuse(
            why, CONDITION_INVALID,
            "the store %s has schema version %" PRIu64
            ", this cowsnapd knows versions up to %u; run the newer cowsnapd that wrote it",
            txn->environment->path, schema, STORE_SCHEMA);
    if (schema == 0)
        return number_put(txn, SCHEMA, STORE_SCHEMA, why);
    return 0;
}

int tables_open(struct store_txn *txn, struct tables *tables, struct reason *why)
{
    const struct {
        const char *name;
        MDB_dbi *handle;
        unsigned flags;
    } all[] = {
        {"snapshots", &tables->snapshots, 0},
        {"by-key", &tables->by_key, 0},
        {"children", &tables->children, MDB_DUPSORT | MDB_DUPFIXED},
        {"by-ref", &tables->by_ref, MDB_DUPSORT | MDB_DUPFIXED},
        {"intents", &tables->intents, 0},
    };
    int status = mdb_dbi_open(txn->mdb, "meta", MDB_CREATE, &tables->meta);

    if (status)
        return txn_failure(txn, status, why, "opening the table \"meta\"");
    txn->tables = tables;
    int result = check_schema(txn, why);
    for (size_t i = 0; !result && i < sizeof(all) / sizeof(*all); i++) {
        status = mdb_dbi_open(txn->mdb, all[i].name, all[i].flags | MDB_CREATE, all[i].handle);
        if (status)
            result = txn_failure(txn, status, why, "opening the table \"%s\"", all[i].name);
    }
    return result;
}

int tables_count(struct store_txn *txn, struct store_figures *figures, struct reason *why)
{
    MDB_stat snapshots;
    MDB_stat intents;
    uint64_t schema;
    int status = mdb_stat(txn->mdb, txn->tables->snapshots, &snapshots);

    if (!status)
        status = mdb_stat(txn->mdb, txn->tables->intents, &intents);
    if (status)
        return txn_failure(txn, status, why, "counting records");
    figures->snapshots = snapshots.ms_entries;
    figures->intents = intents.ms_entries;

    int result = number_get(txn, kind_count[SNAPSHOT_VIEW], 0, &figures->views, why);
    if (!result)
        result = number_get(txn, kind_count[SNAPSHOT_ACTIVE], 0, &figures->active, why);
    if (!result)
        result = number_get(txn, kind_count[SNAPSHOT_COMMITTED], 0, &figures->committed, why);
    if (!result)
        result = number_get(txn, SCHEMA, 0, &schema, why);
    if (!result)
        result = number_get(txn, NEXT_ID, 1, &figures->given, why);
    if (!result) {
        figures->schema = (unsigned)schema;
        figures->given--;
    }
    return result;
}

/* ---- ids ---- */

int store_new_id(struct store_txn *txn, uint64_t *id, struct reason *why)
{
    int result = number_get(txn, NEXT_ID, 1, id, why);

    if (result)
        return result;
    if (*id == UINT64_MAX)
        return refuse(why, CONDITION_EXHAUSTED, "the store %s has given all its ids",
                      txn->environment->path);
    return number_put(txn, NEXT_ID, *id + 1, why);
}

/* Counts ID as given. It is already, unless it is that of a volume found by recovery beside a store
 * that is older than the pool. */
static int id_reserve(struct store_txn *txn, uint64_t id, struct reason *why)
{
    uint64_t next;

    if (id == 0 || id == UINT64_MAX)
        return failure(why, EINVAL, "%" PRIu64 " cannot be an id", id);
    int result = number_get(txn, NEXT_ID, 1, &next, why);
    if (result || id < next)
        return result;
    return number_put(txn, NEXT_ID, id + 1, why);
}

/* ---- records ---- */

int table_record(struct store_txn *txn, uint64_t id, struct arena *arena, struct record *record,
                 struct reason *why)
{
    struct packed_id packed = id_pack(id);
    MDB_val key = {sizeof(packed.bytes), packed.bytes};
    MDB_val value;
    int status = mdb_get(txn->mdb, txn->tables->snapshots, &key, &value);

    if (status == MDB_NOTFOUND)
        return CONDITION_NOT_FOUND;
    if (status)
        return txn_failure(txn, status, why, "reading record %" PRIu64, id);
    return record_unpack(bytes_from(value.mv_data, value.mv_size), id, arena, record, why);
}

int store_get_id(struct store_txn *txn, uint64_t id, struct record *record, struct reason *why)
{
    return table_record(txn, id, txn->arena, record, why);
}

int store_get(struct store_txn *txn, struct bytes key, struct record *record, struct reason *why)
{
    uint64_t id;
    int result = index_find_key(txn, key, &id, why);

    if (result)
        return result;
    result = store_get_id(txn, id, record, why);
    if (result == CONDITION_NOT_FOUND || (!result && !bytes_equal(record->key, key)))
        return failure(why, EBADMSG,
                       "the store's index of keys names record %" PRIu64
                       " for key %s, which it is not",
                       id, quoted(key));
    return result;
}

int store_next(struct store_txn *txn, uint64_t from, struct record *record, struct reason *why)
{
    scoped_cursor MDB_cursor *cursor = NULL;
    struct packed_id packed = id_pack(from);
    MDB_val key = {sizeof(packed.bytes), packed.bytes};
    MDB_val value;
    uint64_t id;
    int status = mdb_cursor_open(txn->mdb, txn->tables->snapshots, &cursor);

    record->id = 0;
    if (!status)
        status = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    if (status == MDB_NOTFOUND)
        return CONDITION_NOT_FOUND;
    if (!status && !id_unpack(key, &id))
        status = MDB_CORRUPTED;
    if (status)
        return txn_failure(txn, status, why, "reading the record after %" PRIu64, from);
    return record_unpack(bytes_from(value.mv_data, value.mv_size), id, txn->arena, record, why);
}

static int write_record(struct store_txn *txn, const struct record *record, struct reason *why)
{
    struct packed_id packed = id_pack(record->id);
    MDB_val key = {sizeof(packed.bytes), packed.bytes};
    struct bytes message;
    int result = record_pack(record, txn->arena, &message, why);

    if (result)
        return result;
    MDB_val value = {message.length, (void *)message.data};
    int status = mdb_put(txn->mdb, txn->tables->snapshots, &key, &value, 0);
    if (status)
        return txn_failure(txn, status, why, "writing record %" PRIu64, record->id);
    return 0;
}

int store_put(struct store_txn *txn, const struct record *record, struct reason *why)
{
    const char *flaw = record_flaw(record);
    struct record before;
    uint64_t owner;

    if (flaw)
        return failure(why, EINVAL, "record %" PRIu64 " cannot be stored: %s", record->id, flaw);
    int result = index_find_key(txn, record->key, &owner, why);
    if (result == 0 && owner != record->id)
        return CONDITION_EXISTS;
    if (result < 0)
        return result;
    int found = store_get_id(txn, record->id, &before, why);
    if (found != 0 && found != CONDITION_NOT_FOUND)
        return found;

    /* NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): txn_failure() never answers 0 */
    result = found ? id_reserve(txn, record->id, why) : count_change(txn, before.kind, -1, why);
    if (!result)
        result = count_change(txn, record->kind, +1, why);
    if (!result)
        result = index_follow(txn, found ? NULL : &before, record, why);
    if (!result)
        result = write_record(txn, record, why);
    return result;
}

int store_delete(struct store_txn *txn, uint64_t id, struct reason *why)
{
    struct packed_id packed = id_pack(id);
    MDB_val key = {sizeof(packed.bytes), packed.bytes};
    struct record record;
    int result = store_get_id(txn, id, &record, why);

    if (!result)
        result = index_follow(txn, &record, NULL, why);
    if (!result) /* NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): the same */
        result = count_change(txn, record.kind, -1, why);
    if (result)
        return result;
    int status = mdb_del(txn->mdb, txn->tables->snapshots, &key, NULL);
    if (status)
        return txn_failure(txn, status, why, "deleting record %" PRIu64, id);
    return 0;
}

/* Counts the kinds anew: of a record that cannot be read, nobody knows where it was counted. */
static int recount(struct store_txn *txn, struct reason *why)
{
    uint64_t counts[SNAPSHOT_COMMITTED + 1] = {0};
    struct record record = {0};
    int result;

    while ((result = store_next(txn, record.id + 1, &record, why)) == 0 ||
           (result == -EBADMSG && record.id))
        if (!result)
            counts[record.kind]++;
    if (result != CONDITION_NOT_FOUND)
        return result;
    result = 0;
    for (int kind = SNAPSHOT_VIEW; !result && kind <= SNAPSHOT_COMMITTED; kind++)
        result = number_put(txn, kind_count[kind], counts[kind], why);
    return result;
}

int store_drop_unreadable(struct store_txn *txn, uint64_t id, struct reason *why)
{
    struct packed_id packed = id_pack(id);
    MDB_val key = {sizeof(packed.bytes), packed.bytes};
    struct record record;
    int result = store_get_id(txn, id, &record, NULL);

    if (result != -EBADMSG)
        return result < 0 ? failure(why, -result, "reading record %" PRIu64, id)
                          : CONDITION_NOT_FOUND;
    int status = mdb_del(txn->mdb, txn->tables->snapshots, &key, NULL);
    if (status)
        return txn_failure(txn, status, why, "deleting record %" PRIu64, id);
    result = index_forget(txn, id, why);
    return result ? result : recount(txn, why);
}

/* ---- intents ---- */

static bool intent_known(uint8_t kind)
{
    return kind == INTENT_CREATE || kind == INTENT_REMOVE || kind == INTENT_STOCK;
}

int store_put_intent(struct store_txn *txn, uint64_t id, enum intent_kind kind, struct reason *why)
{
    struct packed_id packed = id_pack(id);
    uint8_t byte = (uint8_t)kind;
    MDB_val key = {sizeof(packed.bytes), packed.bytes};
    MDB_val value = {1, &byte};

    if (!intent_known(byte))
        return failure(why, EINVAL, "%d is no kind of intent", (int)kind);
    int result = id_reserve(txn, id, why);
    if (result)
        return result;
    int status = mdb_put(txn->mdb, txn->tables->intents, &key, &value, 0);
    if (status)
        return txn_failure(txn, status, why, "writing the intent of %" PRIu64, id);
    return 0;
}

int store_drop_intent(struct store_txn *txn, uint64_t id, struct reason *why)
{
    struct packed_id packed = id_pack(id);
    MDB_val key = {sizeof(packed.bytes), packed.bytes};
    int status = mdb_del(txn->mdb, txn->tables->intents, &key, NULL);

    if (status && status != MDB_NOTFOUND)
        return txn_failure(txn, status, why, "dropping the intent of %" PRIu64, id);
    return 0;
}

int store_next_intent(struct store_txn *txn, uint64_t from, uint64_t *id, enum intent_kind *kind,
                      struct reason *why)
{
    scoped_cursor MDB_cursor *cursor = NULL;
    struct packed_id packed = id_pack(from);
    MDB_val key = {sizeof(packed.bytes), packed.bytes};
    MDB_val value;
    int status = mdb_cursor_open(txn->mdb, txn->tables->intents, &cursor);

    *id = 0;
    if (!status)
        status = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    if (status == MDB_NOTFOUND)
        return CONDITION_NOT_FOUND;
    if (!status && !id_unpack(key, id))
        status = MDB_CORRUPTED;
    if (status)
        return txn_failure(txn, status, why, "reading the intent after %" PRIu64, from);
    if (value.mv_size != 1 || !intent_known(*(const uint8_t *)value.mv_data))
        return failure(why, EBADMSG,
                       "the intent of %" PRIu64 " in the store %s is damaged; check the disk that "
                       "holds it",
                       *id, txn->environment->path);
    *kind = (enum intent_kind) * (const uint8_t *)value.mv_data;
    return 0;
}
