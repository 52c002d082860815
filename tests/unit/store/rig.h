/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_TESTS_STORE_RIG_H
#define COWSNAP_TESTS_STORE_RIG_H

/* A store in a folder of its own, and the short functions that tests hand to it. */

#include "store/store.h"
#include "unit/cmocka_setup.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct rig {
    char path[64];
    int root;
    struct store *store;
};

static inline int rig_try_open(struct rig *rig, uint64_t map_size, struct reason *why)
{
    struct store_options options = {
        .root = rig->root, .root_path = rig->path, .map_size = map_size};

    return store_open(&rig->store, &options, why);
}

static inline void rig_open(struct rig *rig, uint64_t map_size)
{
    struct reason why = {0};
    int result = rig_try_open(rig, map_size, &why);

    if (result)
        fail_msg("store_open: %d %s", result, why.text);
}

static inline void rig_reopen(struct rig *rig, uint64_t map_size)
{
    rig->store = store_close(rig->store);
    rig_open(rig, map_size);
}

static inline void rig_folder(struct rig *rig)
{
    *rig = (struct rig){.path = "/tmp/cowsnap-store-XXXXXX"};
    assert_non_null(mkdtemp(rig->path));
    rig->root = open(rig->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(rig->root >= 0);
}

static inline void rig_make(struct rig *rig, uint64_t map_size)
{
    rig_folder(rig);
    rig_open(rig, map_size);
}

static inline void rig_remove(struct rig *rig)
{
    rig->store = store_close(rig->store);
    unlinkat(rig->root, "meta/data.mdb", 0);
    unlinkat(rig->root, "meta/lock.mdb", 0);
    unlinkat(rig->root, "meta", AT_REMOVEDIR);
    close(rig->root);
    assert_int_equal(rmdir(rig->path), 0);
}

static inline void must(int result, const struct reason *why)
{
    if (result)
        fail_msg("%d %s", result, why->text);
}

/* ---- functions for store_write() and store_read() ---- */

/* Puts *RECORD; a record with id 0 gets a new one. */
static inline int put(struct store_txn *txn, void *context, struct reason *why)
{
    struct record *record = context;
    struct record copy = *record;
    int result = copy.id ? 0 : store_new_id(txn, &copy.id, why);

    if (!result)
        result = store_put(txn, &copy, why);
    if (!result)
        record->id = copy.id;
    return result;
}

static inline int delete (struct store_txn *txn, void *context, struct reason *why)
{
    return store_delete(txn, *(uint64_t *)context, why);
}

static inline int new_id(struct store_txn *txn, void *context, struct reason *why)
{
    return store_new_id(txn, context, why);
}

struct find {
    struct bytes key, ref;
    uint64_t id, parent;
    struct record record; /* its bytes are gone when the read is over */
};

static inline int find_key(struct store_txn *txn, void *context, struct reason *why)
{
    struct find *find = context;

    return store_get(txn, find->key, &find->record, why);
}

static inline int find_id(struct store_txn *txn, void *context, struct reason *why)
{
    struct find *find = context;

    return store_get_id(txn, find->id, &find->record, why);
}

static inline int find_ref(struct store_txn *txn, void *context, struct reason *why)
{
    struct find *find = context;

    return store_find_ref(txn, find->ref, find->parent, &(struct id_set){0}, &find->record, why);
}

static inline int has_child(struct store_txn *txn, void *context, struct reason *why)
{
    return store_has_child(txn, *(uint64_t *)context, why);
}

/* The first child of find->parent from find->id on. */
static inline int next_child(struct store_txn *txn, void *context, struct reason *why)
{
    struct find *find = context;

    return store_next_child(txn, find->parent, find->id, &find->record, why);
}

/* The id of the record with KEY; 0 for none. */
static inline uint64_t id_of(struct rig *rig, struct bytes key)
{
    struct find find = {.key = key};
    struct reason why = {0};
    int result = store_read(rig->store, find_key, &find, &why);

    if (result == CONDITION_NOT_FOUND) {
        assert_string_equal(why.text, "");
        return 0;
    }
    must(result, &why);
    return find.record.id;
}

/* Writes a new record and returns its id. */
static inline uint64_t add(struct rig *rig, const char *key, enum snapshot_kind kind,
                           uint64_t parent)
{
    struct record record = {.key = bytes_of(key), .kind = kind, .parent = parent};
    struct reason why = {0};

    must(store_write(rig->store, put, &record, &why), &why);
    return record.id;
}

/* As add(), but hands on the result. */
static inline int write_key(struct rig *rig, const char *key, struct reason *why)
{
    struct record record = {.key = bytes_of(key), .kind = SNAPSHOT_ACTIVE};

    return store_write(rig->store, put, &record, why);
}

static inline struct store_figures figures(struct rig *rig)
{
    struct store_figures figures;
    struct reason why = {0};

    must(store_figures(rig->store, &figures, &why), &why);
    return figures;
}

#endif
