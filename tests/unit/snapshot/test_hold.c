/* SPDX-License-Identifier: Apache-2.0 */

/* Holds: whose mounts they are, what a hold keeps others from, and what its end notes. That the
 * reaper is called is counted (the linker's --wrap in CMakeLists.txt): it comes again some time in
 * any case. By the same way a call comes in between the two halves of a Commit. */

#include "backends/fault/fault.h"
#include "snapshot/service.h"
#include "unit/cmocka_setup.h"
#include "unit/snapshot/rig.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const struct volume_usage ten_bytes = {.bytes = 10, .inodes = 2, .exact = true};

static unsigned reaper_calls;

void __real_reaper_call(struct snapshots *snapshots);
void __wrap_reaper_call(struct snapshots *snapshots);

void __wrap_reaper_call(struct snapshots *snapshots)
{
    reaper_calls++;
    __real_reaper_call(snapshots);
}

/* Asked for its mounts before the next change of the store; NULL: nobody's. */
static const char *mounted_before_write;
static struct rig *mounted_of;

int __real_store_write(struct store *store, store_function *function, void *context,
                       struct reason *why);
int __wrap_store_write(struct store *store, store_function *function, void *context,
                       struct reason *why);

int __wrap_store_write(struct store *store, store_function *function, void *context,
                       struct reason *why)
{
    const char *key = mounted_before_write;
    struct mounts mounts = {0};

    mounted_before_write = NULL;
    if (key)
        assert_int_equal(snapshots_mounts(mounted_of->snapshots, bytes_of(key), &mounts, NULL), 0);
    mounts_clear(&mounts);
    return __real_store_write(store, function, context, why);
}

/* The rig with a backend that fails when it is told to, before the memory backend. */
static int setup(void **state)
{
    struct rig *rig;

    rig_setup(state);
    rig = *state;
    rig_stop(rig);
    rig->ops = &backend_fault;
    rig->front = fault_wrap(&backend_memory, rig->backend);
    if (!rig->front)
        return -1;
    rig_start(rig);
    return 0;
}

static int teardown(void **state)
{
    struct rig *rig = *state;

    rig_stop(rig);
    backend_fault.close(rig->front);
    return rig_teardown(state);
}

/* A single mount, its options up to a NULL. */
static struct mounts one_mount(const char *type, const char *source, const char *target,
                               const char *const *options)
{
    struct mounts mounts;

    assert_true(mounts_make(&mounts, 1));
    assert_true(mount_set(&mounts.items[0], type, source, target));
    for (; *options; options++)
        assert_true(mount_add_option(&mounts.items[0], *options));
    return mounts;
}

static const char *const writable[] = {"rbind", "rw", NULL};

/* What a call holds, and with what result. */
struct attempt {
    struct snapshot_hold hold;
    atomic_bool cancel;
    int result;
};

static int hold_mounts(struct rig *rig, const struct mounts *mounts, struct attempt *attempt)
{
    rig->why = (struct reason){0};
    attempt->cancel = false;
    attempt->hold = (struct snapshot_hold){0};
    attempt->result =
        snapshots_hold(rig->snapshots, mounts, &attempt->cancel, &attempt->hold, &rig->why);
    return attempt->result;
}

/* By the mounts that the service handed out for volume ID. */
static int hold(struct rig *rig, uint64_t id, struct attempt *attempt)
{
    struct mounts mounts;
    char path[64];

    snprintf(path, sizeof(path), "/memory/%llu", (unsigned long long)id);
    mounts = one_mount("bind", path, "", writable);
    hold_mounts(rig, &mounts, attempt);
    mounts_clear(&mounts);
    return attempt->result;
}

static int release(struct rig *rig, struct attempt *attempt, const struct volume_usage *written,
                   bool synced)
{
    rig->why = (struct reason){0};
    return snapshots_release(rig->snapshots, &attempt->hold, written, synced, &rig->why);
}

static uint64_t count_holds(struct rig *rig)
{
    struct snapshots_figures figures;

    assert_int_equal(snapshots_figures(rig->snapshots, &figures, &rig->why), 0);
    return figures.holds;
}

static int take_info(void *context, const struct snapshot_info *info, struct reason *why)
{
    (void)why;
    *(struct snapshot_info *)context = *info;
    return 0;
}

/* What is kept of the usage of KEY; its bytes are not to be looked at. */
static struct snapshot_info info_of(struct rig *rig, const char *key)
{
    struct snapshot_info info = {0};

    assert_int_equal(snapshots_stat(rig->snapshots, bytes_of(key), take_info, &info, &rig->why), 0);
    return info;
}

/* ---- whose mounts they are ---- */

static void the_mounts_of_an_active_snapshot_are_held(void **state)
{
    struct rig *rig = *state;
    struct mounts mounts = {0};
    struct attempt attempt;
    int directory;

    assert_int_equal(
        snapshots_prepare(rig->snapshots, bytes_of("a"), bytes_of(""), NULL, 0, &mounts, &rig->why),
        0);
    assert_int_equal(rig_prepare(rig, "b", NULL), 0);
    assert_int_equal(hold_mounts(rig, &mounts, &attempt), 0);
    assert_int_equal(attempt.hold.id, rig_id(rig, "a"));
    directory = attempt.hold.directory;
    assert_true(fcntl(directory, F_GETFD) >= 0);
    assert_int_equal(count_holds(rig), 1);
    reaper_calls = 0;
    assert_int_equal(release(rig, &attempt, NULL, false), 0);
    assert_int_equal(reaper_calls, 0);
    assert_int_equal(attempt.hold.directory, -1);
    assert_int_equal(fcntl(directory, F_GETFD), -1);
    assert_int_equal(count_holds(rig), 0);
    assert_false(attempt.cancel);
    mounts_clear(&mounts);
}

static void mounts_that_differ_in_anything_are_not_ours(void **state)
{
    static const char *const reversed[] = {"rw", "rbind", NULL};
    static const char *const readonly[] = {"rbind", "ro", NULL};
    static const char *const more[] = {"rbind", "rw", "nosuid", NULL};
    static const char *const fewer[] = {"rw", NULL};
    static const char *const subvolume[] = {"subvolid=1", "rw", NULL};
    static const struct {
        const char *type, *source, *target;
        const char *const *options;
    } others[] = {
        {"none", "/memory/1", "", writable},
        {"bind", "/memory/2", "", writable}, /* no such volume */
        {"bind", "/memory/01", "", writable},
        {"bind", "/other/1", "", writable},
        {"bind", "/memory/", "", writable},
        {"bind", "/memory/1/", "", writable},
        {"bind", "/memory/99999999999999999999", "", writable},
        {"bind", "/memory/1", "below", writable},
        {"bind", "/memory/1", "", readonly},
        {"bind", "/memory/1", "", more},
        {"bind", "/memory/1", "", fewer},
        {"bind", "/memory/1", "", subvolume},
    };
    struct rig *rig = *state;
    struct attempt attempt;
    struct mounts mounts = {0};

    assert_int_equal(rig_prepare(rig, "a", NULL), 0);
    assert_int_equal(rig_id(rig, "a"), 1);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        mounts = one_mount(others[i].type, others[i].source, others[i].target, others[i].options);
        assert_int_equal(hold_mounts(rig, &mounts, &attempt), CONDITION_UNIMPLEMENTED);
        assert_string_equal(rig->why.text, "the mounts are of another snapshotter");
        mounts_clear(&mounts);
    }
    assert_int_equal(hold_mounts(rig, &mounts, &attempt), CONDITION_UNIMPLEMENTED); /* none */
    assert_int_equal(count_holds(rig), 0);
    assert_int_equal(fault_count(rig->front, FAULT_OPEN_ROOT), 0);
    /* only the order of options is free */
    mounts = one_mount("bind", "/memory/1", "", reversed);
    assert_int_equal(hold_mounts(rig, &mounts, &attempt), 0);
    assert_int_equal(release(rig, &attempt, NULL, false), 0);
    mounts_clear(&mounts);
}

static void two_mounts_are_not_ours(void **state)
{
    struct rig *rig = *state;
    struct attempt attempt;
    struct mounts mounts;

    assert_int_equal(rig_prepare(rig, "a", NULL), 0);
    assert_true(mounts_make(&mounts, 2));
    for (int i = 0; i < 2; i++)
        assert_true(mount_set(&mounts.items[i], "bind", "/memory/1", "") &&
                    mount_add_option(&mounts.items[i], "rbind") &&
                    mount_add_option(&mounts.items[i], "rw"));
    assert_int_equal(hold_mounts(rig, &mounts, &attempt), CONDITION_UNIMPLEMENTED);
    mounts_clear(&mounts);
}

static void what_is_not_active_is_not_written_to(void **state)
{
    struct rig *rig = *state;
    struct attempt attempt;
    uint64_t id;

    assert_int_equal(rig_prepare(rig, "a", NULL), 0);
    id = rig_id(rig, "a");
    assert_int_equal(rig_commit(rig, "n", "a"), 0);
    assert_int_equal(hold(rig, id, &attempt), CONDITION_PRECONDITION);
    assert_string_equal(
        rig->why.text,
        "snapshot \"n\" is not active; a layer can only be written into an active one");
    assert_int_equal(rig_view(rig, "v", NULL), 0); /* has a volume of its own */
    assert_int_equal(hold(rig, rig_id(rig, "v"), &attempt), CONDITION_PRECONDITION);
    assert_non_null(strstr(rig->why.text, "\"v\" is not active"));
    assert_int_equal(rig_view(rig, "w", "n"), 0); /* shares that of its parent */
    assert_int_equal(hold(rig, rig_id(rig, "w"), &attempt), CONDITION_UNIMPLEMENTED);
    assert_int_equal(count_holds(rig), 0);
    assert_int_equal(fault_count(rig->front, FAULT_OPEN_ROOT), 0);
}

static void a_volume_without_its_record_is_not_written_to(void **state)
{
    struct rig *rig = *state;
    struct attempt attempt;

    memory_backend_plant(rig->backend, 77);
    assert_int_equal(hold(rig, 77, &attempt), CONDITION_NOT_FOUND);
    assert_string_equal(rig->why.text, "no snapshot has these mounts; it was removed");
    /* nor is one a view's that lives in the volume of its parent */
    assert_int_equal(rig_prepare(rig, "a", NULL), 0);
    assert_int_equal(rig_commit(rig, "n", "a"), 0);
    assert_int_equal(rig_view(rig, "v", "n"), 0);
    memory_backend_plant(rig->backend, rig_id(rig, "v"));
    assert_int_equal(hold(rig, rig_id(rig, "v"), &attempt), CONDITION_NOT_FOUND);
    assert_int_equal(count_holds(rig), 0);
}

/* ---- what goes wrong on the way ---- */

static void a_folder_that_cannot_be_opened_is_not_held(void **state)
{
    struct rig *rig = *state;
    struct attempt attempt;

    assert_int_equal(rig_prepare(rig, "a", NULL), 0);
    fault_plan(rig->front, FAULT_OPEN_ROOT, 1, FAULT_AFTER, -EIO);
    assert_int_equal(hold(rig, rig_id(rig, "a"), &attempt), -EIO);
    assert_string_equal(rig->why.text, "fault planned for open_root: Input/output error");
    assert_int_equal(count_holds(rig), 0);
    /* nothing is in the way of another try */
    assert_int_equal(hold(rig, rig_id(rig, "a"), &attempt), 0);
    assert_int_equal(release(rig, &attempt, NULL, false), 0);
}

static void that_a_volume_cannot_be_looked_for_is_a_failure(void **state)
{
    struct rig *rig = *state;
    struct attempt attempt;

    assert_int_equal(rig_prepare(rig, "a", NULL), 0);
    fault_plan(rig->front, FAULT_LOCATE, 1, FAULT_BEFORE, -EIO);
    assert_int_equal(hold(rig, rig_id(rig, "a"), &attempt), -EIO); /* not "of another" */
    fault_plan(rig->front, FAULT_LOCATE, 1, FAULT_AFTER, CONDITION_UNAVAILABLE);
    assert_int_equal(hold(rig, rig_id(rig, "a"), &attempt), CONDITION_UNAVAILABLE);
    /* but of another's, with a number that is ours, too */
    struct mounts mounts = one_mount("bind", "/other/1", "", writable);
    fault_plan(rig->front, FAULT_LOCATE, 1, FAULT_AFTER, CONDITION_UNAVAILABLE);
    assert_int_equal(hold_mounts(rig, &mounts, &attempt), CONDITION_UNIMPLEMENTED);
    fault_plan(rig->front, FAULT_LOCATE, 1, FAULT_AFTER, -EIO);
    assert_int_equal(hold_mounts(rig, &mounts, &attempt), CONDITION_UNIMPLEMENTED);
    mounts_clear(&mounts);
    assert_int_equal(count_holds(rig), 0);
}

/* A look at a stranger's mounts makes our volume of the same number ready; what was ready before,
 * for whoever prepared it, stays. */
static void a_strangers_mounts_leave_ours_as_they_were(void **state)
{
    struct rig *rig = *state;
    struct attempt attempt;
    struct mounts first, second;

    assert_int_equal(rig_prepare(rig, "a", NULL), 0);
    assert_int_equal(rig_prepare(rig, "b", NULL), 0);
    assert_int_equal(rig_commit(rig, "base", "b"), 0);
    first = one_mount("bind", "/other/1", "", writable);
    second = one_mount("bind", "/other/2", "", writable);
    assert_int_equal(rig_id(rig, "a"), 1);
    assert_int_equal(rig_id(rig, "base"), 2);
    assert_true(memory_backend_ready(rig->backend, 1));
    assert_int_equal(hold_mounts(rig, &first, &attempt), CONDITION_UNIMPLEMENTED);
    assert_true(memory_backend_ready(rig->backend, 1));
    assert_int_equal(hold_mounts(rig, &second, &attempt), CONDITION_UNIMPLEMENTED);
    assert_false(memory_backend_ready(rig->backend, 2));
    assert_int_equal(hold(rig, 2, &attempt), CONDITION_PRECONDITION); /* its own, but committed */
    assert_false(memory_backend_ready(rig->backend, 2));
    mounts_clear(&first);
    mounts_clear(&second);
}

/* Then the Apply fails, and a Commit relies on nothing. */
static void what_the_pool_did_not_keep_is_not_noted(void **state)
{
    const struct volume_usage written = {.bytes = 10, .inodes = 1, .exact = true};
    struct rig *rig = *state;
    struct attempt attempt;

    assert_int_equal(rig_prepare(rig, "a", NULL), 0);
    assert_int_equal(hold(rig, rig_id(rig, "a"), &attempt), 0);
    fault_plan(rig->front, FAULT_CONFIRM, 1, FAULT_BEFORE, CONDITION_UNAVAILABLE);
    assert_int_equal(release(rig, &attempt, &written, true), CONDITION_UNAVAILABLE);
    assert_int_equal(count_holds(rig), 0);
    assert_int_equal(rig_commit(rig, "n", "a"), 0);
    assert_int_equal(fault_count(rig->front, FAULT_SYNC), 1);
    /* nobody is asked of what was not synced */
    assert_int_equal(rig_prepare(rig, "b", NULL), 0);
    assert_int_equal(hold(rig, rig_id(rig, "b"), &attempt), 0);
    assert_int_equal(release(rig, &attempt, &written, false), 0);
    assert_int_equal(fault_count(rig->front, FAULT_CONFIRM), 1);
}

/* Whose fault it is that a layer failed, the pool is asked as well. */
static void a_pool_that_failed_a_layer_says_so(void **state)
{
    struct rig *rig = *state;
    struct attempt attempt;

    assert_int_equal(rig_prepare(rig, "a", NULL), 0);
    assert_int_equal(hold(rig, rig_id(rig, "a"), &attempt), 0);
    assert_int_equal(release(rig, &attempt, NULL, true), 0);
    assert_int_equal(hold(rig, rig_id(rig, "a"), &attempt), 0);
    fault_plan(rig->front, FAULT_CONFIRM, 1, FAULT_BEFORE, CONDITION_UNAVAILABLE);
    assert_int_equal(release(rig, &attempt, NULL, true), CONDITION_UNAVAILABLE);
    assert_int_equal(count_holds(rig), 0);
}

/* ---- what a hold keeps others from ---- */

static void a_second_layer_waits_its_turn(void **state)
{
    struct rig *rig = *state;
    struct attempt first, second;
    uint64_t id;

    assert_int_equal(rig_prepare(rig, "a", NULL), 0);
    id = rig_id(rig, "a");
    assert_int_equal(hold(rig, id, &first), 0);
    assert_int_equal(hold(rig, id, &second), CONDITION_PRECONDITION);
    assert_string_equal(rig->why.text,
                        "the snapshot is being written, committed or removed by another call");
    assert_int_equal(count_holds(rig), 1);
    assert_int_equal(release(rig, &first, NULL, false), 0);
    assert_int_equal(hold(rig, id, &second), 0);
    assert_int_equal(release(rig, &second, NULL, false), 0);
}

static void a_held_snapshot_is_not_committed(void **state)
{
    struct rig *rig = *state;
    struct attempt attempt;

    assert_int_equal(rig_prepare(rig, "a", NULL), 0);
    assert_int_equal(hold(rig, rig_id(rig, "a"), &attempt), 0);
    assert_int_equal(rig_commit(rig, "n", "a"), CONDITION_PRECONDITION);
    assert_string_equal(rig->why.text, "a layer is still being written into snapshot \"a\"");
    assert_int_equal(release(rig, &attempt, NULL, false), 0);
    assert_int_equal(rig_commit(rig, "n", "a"), 0);
}

static void a_removal_is_told_and_waits_for_the_end(void **state)
{
    /* a layer that is complete all the same, and one that was given up */
    const struct volume_usage *const written[] = {&ten_bytes, NULL};
    struct rig *rig = *state;

    for (int i = 0; i < 2; i++) {
        struct attempt attempt;
        uint64_t id;

        assert_int_equal(rig_prepare(rig, "a", NULL), 0);
        id = rig_id(rig, "a");
        assert_int_equal(hold(rig, id, &attempt), 0);
        assert_int_equal(rig_remove(rig, "a"), 0);
        reaper_calls = 0;
        assert_true(attempt.cancel);
        assert_int_equal(rig_cleanup(rig), 0);
        assert_true(memory_backend_has(rig->backend, id));
        assert_int_equal(release(rig, &attempt, written[i], true), CONDITION_NOT_FOUND);
        assert_string_equal(rig->why.text,
                            "the snapshot was removed while a layer was written into it");
        assert_int_equal(attempt.hold.directory, -1);
        assert_int_equal(count_holds(rig), 0);
        assert_int_equal(reaper_calls, 1); /* it passed the volume over while it was held */
        memory_backend_wait_for_end(rig->backend, id);
        assert_string_equal(rig_list(rig), ""); /* and nothing came to life again */
    }
}

/* ---- what its end notes ---- */

static void what_a_layer_wrote_is_the_usage(void **state)
{
    struct rig *rig = *state;
    struct attempt attempt;
    struct snapshot_info info;

    assert_int_equal(rig_prepare(rig, "a", NULL), 0);
    assert_int_equal(hold(rig, rig_id(rig, "a"), &attempt), 0);
    assert_int_equal(release(rig, &attempt, &ten_bytes, true), 0);
    info = info_of(rig, "a");
    assert_true(info.usage_known);
    assert_int_equal(info.usage_bytes, 10);
    assert_int_equal(info.usage_inodes, 2);
    /* it is durable and counted: Commit does neither again */
    assert_int_equal(rig_commit(rig, "n", "a"), 0);
    assert_int_equal(memory_backend_syncs(rig->backend), 0);
    info = info_of(rig, "n");
    assert_true(info.usage_known);
    assert_int_equal(info.usage_bytes, 10);
}

static void what_is_not_durable_yet_is_synced_by_commit(void **state)
{
    struct rig *rig = *state;
    struct attempt attempt;

    assert_int_equal(rig_prepare(rig, "a", NULL), 0);
    assert_int_equal(hold(rig, rig_id(rig, "a"), &attempt), 0);
    assert_int_equal(release(rig, &attempt, &ten_bytes, false), 0);
    assert_int_equal(rig_commit(rig, "n", "a"), 0);
    assert_int_equal(memory_backend_syncs(rig->backend), 1);
}

static void a_layer_given_up_notes_nothing(void **state)
{
    struct rig *rig = *state;
    struct attempt attempt;
    struct snapshot_info info;

    assert_int_equal(rig_prepare(rig, "a", NULL), 0);
    assert_int_equal(hold(rig, rig_id(rig, "a"), &attempt), 0);
    assert_int_equal(release(rig, &attempt, NULL, true), 0);
    info = info_of(rig, "a");
    assert_false(info.usage_known);
    assert_int_equal(rig_commit(rig, "n", "a"), 0);
    assert_int_equal(memory_backend_syncs(rig->backend), 1);
}

static void what_two_layers_hold_is_left_to_be_counted(void **state)
{
    struct rig *rig = *state;
    struct attempt attempt;

    assert_int_equal(rig_prepare(rig, "a", NULL), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(hold(rig, rig_id(rig, "a"), &attempt), 0);
        assert_int_equal(release(rig, &attempt, &ten_bytes, true), 0);
        assert_int_equal(info_of(rig, "a").usage_known, i == 0);
    }
}

static void a_figure_that_is_not_exact_is_not_taken_for_known(void **state)
{
    const struct volume_usage about = {.bytes = 10, .inodes = 2, .exact = false};
    struct rig *rig = *state;
    struct attempt attempt;

    assert_int_equal(rig_prepare(rig, "a", NULL), 0);
    assert_int_equal(hold(rig, rig_id(rig, "a"), &attempt), 0);
    assert_int_equal(release(rig, &attempt, &about, true), 0);
    assert_false(info_of(rig, "a").usage_known);
}

/* ---- many at once ---- */

#define THREADS 4
#define ROUNDS 50

struct crowd {
    struct rig *rig;
    uint64_t id;
    atomic_int inside, won;
    unsigned unguarded; /* by the hold alone, so that ThreadSanitizer sees when it guards nothing */
    atomic_bool wrong;
};

static void *hold_often(void *context)
{
    struct crowd *crowd = context;
    struct mounts mounts;
    char path[64];

    snprintf(path, sizeof(path), "/memory/%llu", (unsigned long long)crowd->id);
    mounts = one_mount("bind", path, "", writable);
    for (int i = 0; i < ROUNDS; i++) {
        struct snapshot_hold mine;
        atomic_bool cancel = false;
        int result = snapshots_hold(crowd->rig->snapshots, &mounts, &cancel, &mine, NULL);

        if (result == CONDITION_PRECONDITION)
            continue;
        /* relaxed: the hold alone shall order the threads */
        if (result || atomic_fetch_add_explicit(&crowd->inside, 1, memory_order_relaxed) != 0)
            atomic_store(&crowd->wrong, true);
        if (result)
            break;
        crowd->unguarded++;
        atomic_fetch_sub_explicit(&crowd->inside, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&crowd->won, 1, memory_order_relaxed);
        if (snapshots_release(crowd->rig->snapshots, &mine, &ten_bytes, true, NULL))
            atomic_store(&crowd->wrong, true);
    }
    mounts_clear(&mounts);
    return NULL;
}

static void of_many_one_at_a_time_holds(void **state)
{
    struct rig *rig = *state;
    struct crowd crowd = {.rig = rig};
    pthread_t threads[THREADS];

    assert_int_equal(rig_prepare(rig, "a", NULL), 0);
    crowd.id = rig_id(rig, "a");
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hold_often, &crowd), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_false(crowd.wrong);
    assert_true(crowd.won > 0);
    assert_int_equal(crowd.unguarded, crowd.won);
    assert_int_equal(count_holds(rig), 0);
}

/* The flag is no event: who writes looks at it again and again, as the extractor does. */
static void *hold_until_cancelled(void *context)
{
    const struct timespec moment = {0, 100000};
    struct attempt *attempt = context;

    while (!atomic_load(&attempt->cancel))
        nanosleep(&moment, NULL);
    return NULL;
}

static void a_removal_reaches_a_writer_on_another_thread(void **state)
{
    struct rig *rig = *state;
    struct attempt attempt;
    pthread_t writer;
    uint64_t id;

    assert_int_equal(rig_prepare(rig, "a", NULL), 0);
    id = rig_id(rig, "a");
    assert_int_equal(hold(rig, id, &attempt), 0);
    assert_int_equal(pthread_create(&writer, NULL, hold_until_cancelled, &attempt), 0);
    assert_int_equal(rig_remove(rig, "a"), 0);
    pthread_join(writer, NULL);
    assert_int_equal(release(rig, &attempt, NULL, false), CONDITION_NOT_FOUND);
    memory_backend_wait_for_end(rig->backend, id);
}

static void the_pools_reserve_is_nobodys_room(void **state)
{
    struct rig *rig = *state;
    const uint64_t mib = 1 << 20;

    memory_backend_set_room(rig->backend, 100 * mib, 10 * mib);
    assert_int_equal(snapshots_room(rig->snapshots, 0, &rig->why), 0);
    assert_int_equal(snapshots_room(rig->snapshots, 90 * mib, &rig->why), 0);
    assert_int_equal(snapshots_room(rig->snapshots, 90 * mib + 1, &rig->why), CONDITION_EXHAUSTED);
    assert_non_null(strstr(rig->why.text, "100 MiB are available, of which 10 MiB are kept"));
    assert_int_equal(snapshots_room(rig->snapshots, UINT64_MAX, &rig->why), CONDITION_EXHAUSTED);
    /* what is left of the reserve is not room, whatever is asked for */
    memory_backend_set_room(rig->backend, 10 * mib, 10 * mib);
    assert_int_equal(snapshots_room(rig->snapshots, 0, &rig->why), CONDITION_EXHAUSTED);
    memory_backend_set_room(rig->backend, 9 * mib, 10 * mib);
    assert_int_equal(snapshots_room(rig->snapshots, 0, &rig->why), CONDITION_EXHAUSTED);
}

/* ---- what a Commit may rely on ---- */

/* Prepares "a", and has a layer written into it that is on the disk. */
static uint64_t prepare_layer(struct rig *rig)
{
    struct attempt attempt;

    assert_int_equal(rig_prepare(rig, "a", NULL), 0);
    assert_int_equal(hold(rig, rig_id(rig, "a"), &attempt), 0);
    assert_int_equal(release(rig, &attempt, &ten_bytes, true), 0);
    return rig_id(rig, "a");
}

static void a_layer_on_the_disk_is_committed_without_a_sync(void **state)
{
    struct rig *rig = *state;

    prepare_layer(rig);
    assert_int_equal(rig_commit(rig, "n", "a"), 0);
    assert_int_equal(memory_backend_syncs(rig->backend), 0);
    assert_int_equal(info_of(rig, "n").usage_bytes, 10);
}

static void mounts_handed_out_during_a_commit_are_synced(void **state)
{
    struct rig *rig = *state;
    uint64_t id = prepare_layer(rig);

    mounted_of = rig;
    mounted_before_write = "a";
    assert_int_equal(rig_commit(rig, "n", "a"), 0);
    assert_null(mounted_before_write);
    assert_int_equal(memory_backend_syncs(rig->backend), 1);
    assert_int_equal(info_of(rig, "n").usage_bytes, id * 4096); /* as the backend counts */
}

static void a_second_layer_cut_short_is_synced(void **state)
{
    struct rig *rig = *state;
    uint64_t id = prepare_layer(rig);
    struct attempt attempt;

    assert_int_equal(hold(rig, id, &attempt), 0);
    rig_stop(rig); /* killed */
    close(attempt.hold.directory);
    rig_start(rig);
    assert_false(info_of(rig, "a").usage_known);
    assert_int_equal(rig_commit(rig, "n", "a"), 0);
    assert_int_equal(memory_backend_syncs(rig->backend), 1);
}

int main(void)
{
#define with_rig(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        with_rig(the_mounts_of_an_active_snapshot_are_held),
        with_rig(mounts_that_differ_in_anything_are_not_ours),
        with_rig(two_mounts_are_not_ours),
        with_rig(what_is_not_active_is_not_written_to),
        with_rig(a_volume_without_its_record_is_not_written_to),
        with_rig(a_folder_that_cannot_be_opened_is_not_held),
        with_rig(a_strangers_mounts_leave_ours_as_they_were),
        with_rig(that_a_volume_cannot_be_looked_for_is_a_failure),
        with_rig(what_the_pool_did_not_keep_is_not_noted),
        with_rig(a_second_layer_waits_its_turn),
        with_rig(a_pool_that_failed_a_layer_says_so),
        with_rig(a_held_snapshot_is_not_committed),
        with_rig(a_removal_is_told_and_waits_for_the_end),
        with_rig(what_a_layer_wrote_is_the_usage),
        with_rig(what_is_not_durable_yet_is_synced_by_commit),
        with_rig(a_layer_given_up_notes_nothing),
        with_rig(what_two_layers_hold_is_left_to_be_counted),
        with_rig(a_figure_that_is_not_exact_is_not_taken_for_known),
        with_rig(of_many_one_at_a_time_holds),
        with_rig(a_removal_reaches_a_writer_on_another_thread),
        with_rig(the_pools_reserve_is_nobodys_room),
        with_rig(a_layer_on_the_disk_is_committed_without_a_sync),
        with_rig(mounts_handed_out_during_a_commit_are_synced),
        with_rig(a_second_layer_cut_short_is_synced),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
