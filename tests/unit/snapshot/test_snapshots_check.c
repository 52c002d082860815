/* SPDX-License-Identifier: Apache-2.0 */
/* Each difference between store and pool made on purpose; and none found where there is none. */
#include "snapshot/check.h"

#include "snapshot/service.h"
#include "store/index.h"
#include "unit/cmocka_setup.h"
#include "unit/snapshot/rig.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* ---- what is found, as text: "2 a: its volume 2 is missing (repairable)" a line, in the order of
 * ids ---- */

static const char *const outcomes[] = {
    "?", "repairable", "repaired", "has children", "in use", "by hand", "wrong pool",
};

#define TEXT_ROOM 4096

/* The highest id comes first: each goes before those that are there. */
static int prepend(void *context, const struct check_finding *finding, struct reason *why)
{
    char *text = context, line[512];
    size_t length = (size_t)snprintf(line, sizeof(line), "%llu %.*s: %s (%s)\n",
                                     (unsigned long long)finding->id, (int)finding->key.length,
                                     (const char *)finding->key.data, finding->problem,
                                     outcomes[finding->outcome]);

    (void)why;
    assert_in_range(length, 1, sizeof(line) - 1);
    assert_in_range(length + strlen(text), 1, TEXT_ROOM - 1);
    memmove(text + length, text, strlen(text) + 1);
    memcpy(text, line, length);
    return 0;
}

static const char *check(struct rig *rig, bool repair)
{
    static char text[TEXT_ROOM];

    text[0] = '\0';
    assert_int_equal(snapshots_check(rig->snapshots, repair, prepend, text, &rig->why), 0);
    return text;
}

static const char *found(struct rig *rig)
{
    return check(rig, false);
}

static const char *repaired(struct rig *rig)
{
    return check(rig, true);
}

static uint64_t damaged(struct rig *rig)
{
    struct snapshots_figures figures;

    assert_int_equal(snapshots_figures(rig->snapshots, &figures, &rig->why), 0);
    return figures.damaged;
}

/* ---- damage ---- */

static void committed(struct rig *rig, const char *name, const char *parent)
{
    assert_int_equal(rig_prepare(rig, "extract", parent), 0);
    assert_int_equal(rig_commit(rig, name, "extract"), 0);
}

static void lose(struct rig *rig, const char *key)
{
    memory_backend_lose(rig->backend, rig_id(rig, key));
}

static void write_store(struct rig *rig, store_function *function, uint64_t id)
{
    assert_int_equal(store_write(rig->store, function, &id, &rig->why), 0);
}

static MDB_val id_value(struct packed_id *packed)
{
    return (MDB_val){sizeof(packed->bytes), packed->bytes};
}

/* The record of *CONTEXT is overwritten by what is none; */
static int garble(struct store_txn *txn, void *context, struct reason *why)
{
    struct packed_id packed = id_pack(*(uint64_t *)context);
    MDB_val key = id_value(&packed), value = {3, "\xff\xff\xff"};

    (void)why;
    return mdb_put(txn->mdb, txn->tables->snapshots, &key, &value, 0);
}

/* it goes, and its indexes with it; */
static int forget(struct store_txn *txn, void *context, struct reason *why)
{
    return store_delete(txn, *(uint64_t *)context, why);
}

/* it becomes an active one; */
static int activate(struct store_txn *txn, void *context, struct reason *why)
{
    struct record record;

    assert_int_equal(store_get_id(txn, *(uint64_t *)context, &record, why), 0);
    record.kind = SNAPSHOT_ACTIVE;
    return store_put(txn, &record, why);
}

/* its indexes alone go; */
static int hide(struct store_txn *txn, void *context, struct reason *why)
{
    return index_forget(txn, *(uint64_t *)context, why);
}

/* a child that is not there is said to be its own; */
static int say_child(struct store_txn *txn, void *context, struct reason *why)
{
    struct packed_id parent = id_pack(*(uint64_t *)context), child = id_pack(9999);
    MDB_val key = id_value(&parent), value = id_value(&child);

    (void)why;
    return mdb_put(txn->mdb, txn->tables->children, &key, &value, 0);
}

/* a volume of that number is being made. */
static int intend(struct store_txn *txn, void *context, struct reason *why)
{
    return store_put_intent(txn, *(uint64_t *)context, INTENT_CREATE, why);
}

/* ---- what is sound ---- */

static void all_kinds_of_snapshots_are_sound(void **state)
{
    struct rig *rig = *state;

    committed(rig, "base", NULL);
    committed(rig, "top", "base");
    assert_int_equal(rig_prepare(rig, "container", "top"), 0);
    assert_int_equal(rig_view(rig, "look", "top"), 0);
    assert_int_equal(rig_view(rig, "look-at-nothing", NULL), 0);
    assert_string_equal(found(rig), "");
    assert_string_equal(repaired(rig), "");
    assert_string_equal(rig_list(rig), "base(committed,) top(committed,base) container(active,top) "
                                       "look(view,top) look-at-nothing(view,)");
}

static void what_is_begun_is_no_difference(void **state)
{
    struct rig *rig = *state;

    write_store(rig, intend, 100);
    memory_backend_plant(rig->backend, 100); /* its record is to come */
    write_store(rig, intend, 101);           /* its volume is to come */
    assert_string_equal(repaired(rig), "");
    assert_true(memory_backend_has(rig->backend, 100));
}

static void what_waits_for_the_reaper_is_no_difference(void **state)
{
    struct rig *rig = *state;
    uint64_t id;

    assert_int_equal(rig_prepare(rig, "a", NULL), 0);
    id = rig_id(rig, "a");
    memory_backend_refuse(rig->backend, id, CONDITION_UNAVAILABLE);
    assert_int_equal(rig_remove(rig, "a"), 0);
    assert_string_equal(repaired(rig), "");
    assert_true(memory_backend_has(rig->backend, id));
}

/* ---- volumes that are missing ---- */

static void a_lost_snapshot_is_removed_and_its_key_is_free(void **state)
{
    struct rig *rig = *state;

    committed(rig, "base", NULL);
    committed(rig, "top", "base");
    lose(rig, "top");
    assert_string_equal(found(rig), "2 top: its volume 2 is missing (repairable)\n");
    assert_int_equal(damaged(rig), 1);
    assert_string_equal(rig_list(rig), "base(committed,) top(committed,base)");
    assert_string_equal(repaired(rig), "2 top: its volume 2 is missing (repaired)\n");
    assert_int_equal(damaged(rig), 0);
    assert_string_equal(rig_list(rig), "base(committed,)");
    assert_string_equal(found(rig), "");
    committed(rig, "top", "base");
    assert_string_equal(rig_list(rig), "base(committed,) top(committed,base)");
    assert_string_equal(found(rig), "");
}

static void a_lost_snapshot_with_a_sound_child_is_kept(void **state)
{
    struct rig *rig = *state;

    committed(rig, "base", NULL);
    committed(rig, "top", "base");
    lose(rig, "base");
    assert_string_equal(found(rig), "1 base: its volume 1 is missing (has children)\n");
    assert_string_equal(repaired(rig), "1 base: its volume 1 is missing (has children)\n");
    assert_int_equal(damaged(rig), 1);
    assert_string_equal(rig_list(rig), "base(committed,) top(committed,base)");
}

static void a_chain_that_is_lost_goes_at_once_up_to_what_is_sound(void **state)
{
    struct rig *rig = *state;

    committed(rig, "base", NULL);
    committed(rig, "one", "base");
    committed(rig, "two", "one");
    assert_int_equal(rig_prepare(rig, "container", "two"), 0);
    assert_int_equal(rig_view(rig, "look", "two"), 0);
    lose(rig, "one");
    lose(rig, "two");
    lose(rig, "container");
    assert_string_equal(found(rig), "2 one: its volume 2 is missing (repairable)\n"
                                    "3 two: its volume 3 is missing (repairable)\n"
                                    "4 container: its volume 4 is missing (repairable)\n"
                                    "5 look: the volume 3 of its parent is missing (repairable)\n");
    assert_string_equal(repaired(rig),
                        "2 one: its volume 2 is missing (repaired)\n"
                        "3 two: its volume 3 is missing (repaired)\n"
                        "4 container: its volume 4 is missing (repaired)\n"
                        "5 look: the volume 3 of its parent is missing (repaired)\n");
    assert_string_equal(rig_list(rig), "base(committed,)");
    assert_string_equal(found(rig), "");
}

static void a_lost_snapshot_that_is_in_use_is_kept(void **state)
{
    struct rig *rig = *state;
    struct pin pin;

    committed(rig, "base", NULL);
    assert_int_equal(rig_prepare(rig, "a", NULL), 0);
    lose(rig, "a");
    pins_take(&rig->snapshots->pins, &pin, rig_id(rig, "a"), PIN_WRITE, NULL);
    assert_string_equal(repaired(rig), "2 a: its volume 2 is missing (in use)\n");
    pins_drop(&rig->snapshots->pins, &pin);
    assert_string_equal(rig_list(rig), "base(committed,) a(active,)");
    assert_string_equal(repaired(rig), "2 a: its volume 2 is missing (repaired)\n");
}

static void a_pool_that_has_none_of_the_volumes_is_taken_for_another(void **state)
{
    struct rig *rig = *state;

    committed(rig, "base", NULL);
    committed(rig, "broken", NULL);
    committed(rig, "top", "base");
    write_store(rig, garble, rig_id(rig, "broken"));
    memory_backend_lose(rig->backend, 1);
    memory_backend_lose(rig->backend, 3);
    memory_backend_plant(rig->backend, 50);
    assert_string_equal(repaired(rig),
                        "1 base: its volume 1 is missing (wrong pool)\n"
                        "2 : it is damaged and cannot be read (wrong pool)\n"
                        "3 top: its volume 3 is missing (wrong pool)\n"
                        "50 : no snapshot has it, and nothing is at work on it (wrong pool)\n");
    assert_string_equal(rig_list(rig), "base(committed,) top(committed,base)");
    assert_int_equal(rig_cleanup(rig), 0);
    assert_true(memory_backend_has(rig->backend, 50));
    assert_true(memory_backend_has(rig->backend, 2));
}

/* ---- volumes that nobody knows ---- */

static void an_unknown_volume_is_ended(void **state)
{
    struct rig *rig = *state;

    committed(rig, "base", NULL);
    memory_backend_plant(rig->backend, 50);
    assert_string_equal(found(rig),
                        "50 : no snapshot has it, and nothing is at work on it (repairable)\n");
    assert_true(memory_backend_has(rig->backend, 50));
    assert_string_equal(repaired(rig),
                        "50 : no snapshot has it, and nothing is at work on it (repaired)\n");
    memory_backend_wait_for_end(rig->backend, 50);
    assert_int_equal(rig_cleanup(rig), 0);
    assert_string_equal(found(rig), "");
    assert_true(memory_backend_has(rig->backend, 1));
}

static void a_volume_under_the_number_of_a_view_is_unknown(void **state)
{
    struct rig *rig = *state;

    committed(rig, "base", NULL);
    assert_int_equal(rig_view(rig, "look", "base"), 0);
    memory_backend_plant(rig->backend, rig_id(rig, "look"));
    repaired(rig);
    assert_int_equal(rig_cleanup(rig), 0);
    assert_false(memory_backend_has(rig->backend, rig_id(rig, "look")));
    assert_string_equal(rig_list(rig), "base(committed,) look(view,base)");
}

/* ---- records ---- */

static void an_unreadable_record_goes_with_its_volume(void **state)
{
    struct rig *rig = *state;
    uint64_t id;

    committed(rig, "base", NULL);
    assert_int_equal(rig_prepare(rig, "broken", "base"), 0);
    id = rig_id(rig, "broken");
    write_store(rig, garble, id);
    assert_string_equal(found(rig), "2 : it is damaged and cannot be read (repairable)\n");
    assert_true(memory_backend_has(rig->backend, id));
    assert_string_equal(repaired(rig), "2 : it is damaged and cannot be read (repaired)\n");
    memory_backend_wait_for_end(rig->backend, id);
    assert_string_equal(found(rig), "");
    assert_int_equal(rig_prepare(rig, "broken", "base"), 0);
    assert_int_equal(rig_remove(rig, "broken"), 0);
    assert_int_equal(rig_remove(rig, "base"), 0); /* no child is left in its way */
}

static void an_unreadable_record_with_a_child_is_kept(void **state)
{
    struct rig *rig = *state;

    committed(rig, "base", NULL);
    committed(rig, "top", "base");
    write_store(rig, garble, 1);
    assert_string_equal(found(rig), "1 : it is damaged and cannot be read (has children)\n");
    assert_string_equal(repaired(rig), "1 : it is damaged and cannot be read (has children)\n");
    assert_int_equal(damaged(rig), 1);
    assert_int_equal(rig_cleanup(rig), 0);
    assert_true(memory_backend_has(rig->backend, 1));
    assert_string_equal(rig_list(rig), "top(committed,)");
    assert_int_equal(rig_remove(rig, "top"), 0);
    assert_string_equal(repaired(rig), "1 : it is damaged and cannot be read (repaired)\n");
}

static void an_unreadable_record_that_is_in_use_is_kept(void **state)
{
    struct rig *rig = *state;
    struct pin pin;

    assert_int_equal(rig_prepare(rig, "broken", NULL), 0);
    write_store(rig, garble, 1);
    pins_take(&rig->snapshots->pins, &pin, 1, PIN_WRITE, NULL);
    assert_string_equal(repaired(rig), "1 : it is damaged and cannot be read (in use)\n");
    pins_drop(&rig->snapshots->pins, &pin);
    assert_true(memory_backend_has(rig->backend, 1));
}

static void a_snapshot_whose_parent_is_gone_is_kept(void **state)
{
    struct rig *rig = *state;

    committed(rig, "base", NULL);
    assert_int_equal(rig_prepare(rig, "a", "base"), 0);
    write_store(rig, forget, 1);
    assert_string_equal(found(rig),
                        "1 : no snapshot has it, and nothing is at work on it (repairable)\n"
                        "2 a: its parent, record 1, is missing (by hand)\n");
    assert_string_equal(repaired(rig),
                        "1 : no snapshot has it, and nothing is at work on it (repaired)\n"
                        "2 a: its parent, record 1, is missing (by hand)\n");
    assert_true(memory_backend_has(rig->backend, 2));
    assert_string_equal(found(rig), "2 a: its parent, record 1, is missing (by hand)\n");
    assert_string_equal(rig_list(rig), "a(active,)"); /* so containerd can see it, and remove it */
    assert_int_equal(rig_remove(rig, "a"), 0);        /* as the tool says to do */
    assert_string_equal(found(rig), "");
}

static void a_parent_that_is_not_committed_is_kept(void **state)
{
    struct rig *rig = *state;

    committed(rig, "base", NULL);
    assert_int_equal(rig_prepare(rig, "a", "base"), 0);
    write_store(rig, activate, 1);
    assert_string_equal(found(rig), "2 a: its parent \"base\" (#1) is not committed (by hand)\n");
    assert_string_equal(repaired(rig),
                        "2 a: its parent \"base\" (#1) is not committed (by hand)\n");
    assert_string_equal(rig_list(rig), "base(active,) a(active,base)");
}

static void what_else_is_wrong_with_a_record_goes_with_it(void **state)
{
    struct rig *rig = *state;

    committed(rig, "base", NULL);
    committed(rig, "other", NULL);
    assert_int_equal(rig_prepare(rig, "a", "base"), 0);
    write_store(rig, activate, 1);
    lose(rig, "a");
    assert_string_equal(found(rig), "3 a: its parent \"base\" (#1) is not committed (repairable)\n"
                                    "3 a: its volume 3 is missing (repairable)\n");
    assert_string_equal(repaired(rig), "3 a: its parent \"base\" (#1) is not committed (repaired)\n"
                                       "3 a: its volume 3 is missing (repaired)\n");
    assert_string_equal(found(rig), "");
}

static void indexes_are_mended(void **state)
{
    struct rig *rig = *state;

    committed(rig, "base", NULL);
    committed(rig, "top", "base");
    write_store(rig, hide, 2);
    write_store(rig, say_child, 2);
    assert_int_equal(rig_id(rig, "top"), 0);
    assert_string_equal(
        found(rig), "2 top: the store's index of keys does not lead to it (repairable)\n"
                    "2 top: the store's index of children does not lead to it (repairable)\n"
                    "9999 : the store's index of children leads to it, and it is gone or another "
                    "(repairable)\n");
    assert_int_equal(rig_id(rig, "top"), 0);
    repaired(rig);
    assert_string_equal(found(rig), "");
    assert_int_equal(rig_remove(rig, "base"), CONDITION_PRECONDITION);
    assert_int_equal(rig_remove(rig, "top"), 0);
    assert_int_equal(rig_remove(rig, "base"), 0);
}

static void indexes_are_mended_before_children_are_looked_for(void **state)
{
    struct rig *rig = *state;

    committed(rig, "base", NULL);
    committed(rig, "top", "base");
    write_store(rig, say_child, 2);
    lose(rig, "top");
    repaired(rig);
    assert_string_equal(rig_list(rig), "base(committed,)");
    assert_string_equal(found(rig), "");
}

/* ---- what others do meanwhile: between the first list of the pool and the look at the store, and
 * before the second list ---- */

static struct {
    struct rig *rig;
    void (*after_list[2])(struct rig *rig);
    unsigned lists;
} meanwhile;

static int list_and_let_others_work(struct backend *backend, backend_visit *visit, void *context,
                                    struct reason *why)
{
    int result = backend_memory.each(backend, visit, context, why);
    unsigned list = meanwhile.lists++;

    if (meanwhile.rig && list < 2 && meanwhile.after_list[list])
        meanwhile.after_list[list](meanwhile.rig);
    return result;
}

static void between(struct rig *rig, void (*first)(struct rig *rig),
                    void (*second)(struct rig *rig))
{
    static struct backend_ops ops;

    ops = backend_memory;
    ops.each = list_and_let_others_work;
    meanwhile.rig = NULL;
    rig_stop(rig);
    rig->ops = &ops;
    rig_start(rig);
    meanwhile.rig = rig;
    meanwhile.lists = 0;
    meanwhile.after_list[0] = first;
    meanwhile.after_list[1] = second;
}

static void make_another(struct rig *rig)
{
    assert_int_equal(rig_prepare(rig, "new", NULL), 0);
    committed(rig, "new-layer", "base");
    assert_int_equal(rig_view(rig, "new-look", "new-layer"), 0);
}

static void what_is_made_meanwhile_has_not_lost_its_volume(void **state)
{
    struct rig *rig = *state;

    committed(rig, "base", NULL);
    between(rig, make_another, NULL);
    assert_string_equal(repaired(rig), "");
    assert_int_not_equal(rig_id(rig, "new"), 0);
}

static void end_one(struct rig *rig)
{
    assert_int_equal(rig_remove(rig, "going"), 0);
    assert_int_equal(rig_cleanup(rig), 0);
}

static void what_is_ended_meanwhile_is_not_unknown(void **state)
{
    struct rig *rig = *state;

    committed(rig, "base", NULL);
    assert_int_equal(rig_prepare(rig, "going", NULL), 0);
    between(rig, end_one, NULL);
    assert_string_equal(repaired(rig), "");
    assert_int_equal(meanwhile.lists, 2); /* it was looked for a second time */
}

static void know_stray(struct rig *rig)
{
    write_store(rig, intend, 50);
}

/* As when a restored store gives a number under which an old volume lies. */
static void a_volume_that_comes_to_be_known_is_left_alone(void **state)
{
    struct rig *rig = *state;

    committed(rig, "base", NULL);
    between(rig, NULL, know_stray);
    memory_backend_plant(rig->backend, 50);
    assert_string_equal(repaired(rig), "");
    assert_int_equal(meanwhile.lists, 2);
    assert_int_equal(rig_cleanup(rig), 0);
    assert_true(memory_backend_has(rig->backend, 50));
}

static void put_back(struct rig *rig)
{
    memory_backend_plant(rig->backend, rig_id(rig, "lost"));
}

static void a_volume_that_is_put_back_saves_its_snapshot(void **state)
{
    struct rig *rig = *state;

    committed(rig, "base", NULL);
    committed(rig, "lost", NULL);
    between(rig, NULL, put_back);
    lose(rig, "lost");
    memory_backend_plant(rig->backend, 50); /* so that there is a second list */
    assert_string_equal(repaired(rig),
                        "50 : no snapshot has it, and nothing is at work on it (repaired)\n");
    assert_string_equal(rig_list(rig), "base(committed,) lost(committed,)");
}

/* ---- under load ---- */

#define LOAD_THREADS 4
#define LOAD_ROUNDS 40

struct load {
    struct rig *rig;
    unsigned number;
    atomic_uint *running;
};

static void load_call(int result)
{
    if (result)
        fail_msg("a call under load: %d", result);
}

static int load_create(struct snapshots *snapshots, const char *key, const char *parent, bool view)
{
    struct mounts mounts = {0};
    int result = (view ? snapshots_view : snapshots_prepare)(
        snapshots, bytes_of(key), bytes_of(parent), NULL, 0, &mounts, NULL);

    mounts_clear(&mounts);
    return result;
}

/* What a pull and a container do, over and over. */
static void *work(void *context)
{
    struct load *load = context;
    struct snapshots *snapshots = load->rig->snapshots;
    char extract[32], layer[32], container[32], look[32];

    snprintf(extract, sizeof(extract), "extract-%u", load->number);
    snprintf(layer, sizeof(layer), "layer-%u", load->number);
    snprintf(container, sizeof(container), "container-%u", load->number);
    snprintf(look, sizeof(look), "look-%u", load->number);
    for (unsigned i = 0; i < LOAD_ROUNDS; i++) {
        load_call(load_create(snapshots, extract, "base", false));
        load_call(snapshots_commit(snapshots, bytes_of(layer), bytes_of(extract), bytes_of(NULL),
                                   NULL, 0, NULL));
        load_call(load_create(snapshots, container, layer, false));
        load_call(load_create(snapshots, look, layer, true));
        load_call(snapshots_remove(snapshots, bytes_of(look), NULL));
        load_call(snapshots_remove(snapshots, bytes_of(container), NULL));
        load_call(snapshots_remove(snapshots, bytes_of(layer), NULL));
    }
    atomic_fetch_sub(load->running, 1);
    return NULL;
}

/* All that waited for the reaper when the pool was listed is gone when the store is looked at,
 * which would happen now and then. */
static int list_and_reap(struct backend *backend, backend_visit *visit, void *context,
                         struct reason *why)
{
    int result = backend_memory.each(backend, visit, context, why);

    return result || !meanwhile.rig ? result
                                    : snapshots_cleanup(meanwhile.rig->snapshots, NULL, why);
}

static void under_load_nothing_is_found_that_is_not_so(void **state)
{
    struct rig *rig = *state;
    static struct backend_ops ops;
    struct load loads[LOAD_THREADS];
    pthread_t threads[LOAD_THREADS];
    atomic_uint running = LOAD_THREADS;
    unsigned checks = 0;

    rig->stock = 32; /* so that clones are made and given up beside the calls */
    ops = backend_memory;
    ops.each = list_and_reap;
    meanwhile.rig = NULL;
    rig_stop(rig);
    rig->ops = &ops;
    rig_start(rig);
    meanwhile.rig = rig;
    committed(rig, "base", NULL);
    committed(rig, "lost", NULL);
    lose(rig, "lost");
    for (unsigned i = 0; i < LOAD_THREADS; i++) {
        loads[i] = (struct load){rig, i, &running};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &loads[i]), 0);
    }
    do {
        /* one difference is true, so that the checks are known to look */
        const char *text = check(rig, checks > 0 && checks % 2 == 0);

        if (strcmp(text, checks < 3 ? "2 lost: its volume 2 is missing (repairable)\n" : "") != 0 &&
            strcmp(text, checks == 2 ? "2 lost: its volume 2 is missing (repaired)\n" : "") != 0)
            fail_msg("check %u under load: %s", checks, text);
        checks++;
    } while (atomic_load(&running) > 0 || checks < 4);
    for (unsigned i = 0; i < LOAD_THREADS; i++)
        pthread_join(threads[i], NULL);
    print_message("%u checks beside %u calls\n", checks, LOAD_THREADS * LOAD_ROUNDS * 7);
    assert_string_equal(rig_list(rig), "base(committed,)");
    assert_string_equal(found(rig), "");
}

/* ---- what fails ---- */

static int fail_to_list(struct backend *backend, backend_visit *visit, void *context,
                        struct reason *why)
{
    (void)backend;
    (void)visit;
    (void)context;
    return meanwhile.rig ? failure(why, EIO, "list the volumes of the pool") : 0;
}

static void a_pool_that_cannot_be_listed_is_a_failure(void **state)
{
    struct rig *rig = *state;
    static struct backend_ops ops;
    char text[TEXT_ROOM] = "";

    ops = backend_memory;
    ops.each = fail_to_list;
    meanwhile.rig = NULL;
    rig_stop(rig);
    rig->ops = &ops;
    rig_start(rig);
    meanwhile.rig = rig;
    assert_int_equal(snapshots_check(rig->snapshots, true, prepend, text, &rig->why), -EIO);
    assert_string_equal(rig->why.text,
                        "check the snapshots: list the volumes of the pool: Input/output error");
    assert_string_equal(text, "");
}

static int stop(void *context, const struct check_finding *finding, struct reason *why)
{
    if (++*(unsigned *)context == 1)
        assert_int_equal(finding->id, 51);
    return refuse(why, CONDITION_CANCELLED, "enough");
}

static void a_visitor_may_end_it(void **state)
{
    struct rig *rig = *state;
    unsigned visits = 0;

    committed(rig, "base", NULL);
    memory_backend_plant(rig->backend, 50);
    memory_backend_plant(rig->backend, 51);
    assert_int_equal(snapshots_check(rig->snapshots, false, stop, &visits, &rig->why),
                     CONDITION_CANCELLED);
    assert_string_equal(rig->why.text, "enough");
    assert_int_equal(visits, 1);
}

#define with_rig(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_rig(all_kinds_of_snapshots_are_sound),
        with_rig(what_is_begun_is_no_difference),
        with_rig(what_waits_for_the_reaper_is_no_difference),
        with_rig(a_lost_snapshot_is_removed_and_its_key_is_free),
        with_rig(a_lost_snapshot_with_a_sound_child_is_kept),
        with_rig(a_chain_that_is_lost_goes_at_once_up_to_what_is_sound),
        with_rig(a_lost_snapshot_that_is_in_use_is_kept),
        with_rig(a_pool_that_has_none_of_the_volumes_is_taken_for_another),
        with_rig(an_unknown_volume_is_ended),
        with_rig(a_volume_under_the_number_of_a_view_is_unknown),
        with_rig(an_unreadable_record_goes_with_its_volume),
        with_rig(an_unreadable_record_with_a_child_is_kept),
        with_rig(an_unreadable_record_that_is_in_use_is_kept),
        with_rig(a_snapshot_whose_parent_is_gone_is_kept),
        with_rig(a_parent_that_is_not_committed_is_kept),
        with_rig(what_else_is_wrong_with_a_record_goes_with_it),
        with_rig(indexes_are_mended),
        with_rig(indexes_are_mended_before_children_are_looked_for),
        with_rig(what_is_made_meanwhile_has_not_lost_its_volume),
        with_rig(what_is_ended_meanwhile_is_not_unknown),
        with_rig(a_volume_that_comes_to_be_known_is_left_alone),
        with_rig(a_volume_that_is_put_back_saves_its_snapshot),
        with_rig(under_load_nothing_is_found_that_is_not_so),
        with_rig(a_pool_that_cannot_be_listed_is_a_failure),
        with_rig(a_visitor_may_end_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
