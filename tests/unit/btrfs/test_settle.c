/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/btrfs/settle.h"
#include "backends/btrfs/subvol.h"
#include "base/scoped.h"
#include "unit/btrfs/rig.h"
#include "unit/cmocka_setup.h"

#include <btrfsutil.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct room {
    struct rig *rig;
    struct pool pool;
    struct settle settle;
    atomic_bool cancel;
};

static int begin(void **state)
{
    struct room *room = calloc(1, sizeof(*room));
    struct reason why = {0};

    assert_non_null(room);
    rig_bare((void **)&room->rig);
    rig_must(pool_open(&room->pool, &room->rig->options, &why));
    settle_init(&room->settle);
    *state = room;
    return 0;
}

static int end(void **state)
{
    struct room *room = *state;

    pool_close(&room->pool);
    rig_close((void **)&room->rig);
    free(room);
    return 0;
}

static size_t deleted(const struct pool *pool)
{
    uint64_t *ids;
    size_t count;

    assert_int_equal(btrfs_util_deleted_subvolumes_fd(pool->directory, &ids, &count), 0);
    free(ids);
    return count;
}

static void with_nothing_removed_it_returns_at_once(void **state)
{
    struct room *room = *state;

    assert_int_equal(settle_wait(&room->settle, &room->pool, NULL, NULL), 0);
}

static void the_space_of_removed_volumes_is_given_back(void **state)
{
    struct room *room = *state;
    struct pool_status before, after;
    struct reason why = {0};

    rig_must(pool_status(&room->pool, &before, &why));
    for (uint64_t id = 1; id <= 4; id++) {
        int fd;
        rig_must(subvol_create(&room->pool, id, &why));
        rig_must(subvol_open(&room->pool, id, &fd, &why));
        assert_int_equal(rig_write(fd, "file", 10 << 20), 0);
        close(fd);
    }
    assert_int_equal(btrfs_util_sync_fd(room->pool.directory), 0);
    rig_must(pool_status(&room->pool, &after, &why));
    assert_true(after.used >= before.used + (40 << 20));
    for (uint64_t id = 1; id <= 4; id++)
        rig_must(subvol_remove(&room->pool, id, NULL, &why));
    rig_must(settle_wait(&room->settle, &room->pool, NULL, &why));
    assert_int_equal(deleted(&room->pool), 0);
    rig_must(pool_status(&room->pool, &after, &why));
    assert_true(after.used < before.used + (1 << 20));
}

/* A removed volume in use: the answer is an fd in it. */
static int remove_in_use(struct room *room)
{
    struct reason why = {0};
    int fd;

    rig_must(subvol_create(&room->pool, 1, &why));
    rig_must(subvol_open(&room->pool, 1, &fd, &why));
    rig_must(subvol_remove(&room->pool, 1, NULL, &why));
    return fd;
}

static void a_removed_volume_in_use_is_not_waited_for_without_end(void **state)
{
    struct room *room = *state;
    struct reason why = {0};
    int fd = remove_in_use(room);

    room->settle.patience_ms = 50;
    assert_int_equal(settle_wait(&room->settle, &room->pool, NULL, &why), CONDITION_UNAVAILABLE);
    assert_non_null(strstr(why.text, "1 removed volumes"));
    close(fd);
    room->settle.patience_ms = 30000;
    rig_must(settle_wait(&room->settle, &room->pool, NULL, &why));
}

/* On his own file system the operator removes subvolumes, too. */
static void where_others_remove_too_it_is_not_waited_for_long(void **state)
{
    struct room *room = *state;
    struct reason why = {0};
    int fd = remove_in_use(room);

    room->pool.origin = POOL_GIVEN;
    room->settle.shared_ms = 50;
    rig_must(settle_wait(&room->settle, &room->pool, NULL, &why));
    assert_int_equal(deleted(&room->pool), 1);
    close(fd);
}

static void *wait_there(void *context)
{
    struct room *room = context;

    return (void *)(intptr_t)settle_wait(&room->settle, &room->pool, &room->cancel, NULL);
}

/* A thread that waits for a removed volume in use; the answer is an fd in it. */
static int begin_to_wait(struct room *room, pthread_t *thread)
{
    int fd = remove_in_use(room);

    assert_int_equal(pthread_create(thread, NULL, wait_there, room), 0);
    while (room->settle.waiting == 0)
        sched_yield();
    return fd;
}

/* By itself the cleaner looks again at btrfs's next commit, after up to 30 s. */
static void a_volume_let_go_during_the_wait_is_cleaned_soon(void **state)
{
    struct room *room = *state;
    pthread_t thread;
    void *result;
    int fd = begin_to_wait(room, &thread);
    double begun = rig_seconds();

    close(fd);
    pthread_join(thread, &result);
    assert_int_equal((intptr_t)result, 0);
    assert_true(rig_seconds() - begun < 10);
}

static void a_cancel_ends_a_wait(void **state)
{
    struct room *room = *state;
    pthread_t thread;
    void *result;
    int fd = begin_to_wait(room, &thread);
    double begun = rig_seconds();

    room->cancel = true;
    pthread_join(thread, &result);
    assert_int_equal((intptr_t)result, CONDITION_CANCELLED);
    assert_true(rig_seconds() - begun < 5);
    close(fd);
}

#define in_pool(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_pool(with_nothing_removed_it_returns_at_once),
        in_pool(the_space_of_removed_volumes_is_given_back),
        in_pool(a_removed_volume_in_use_is_not_waited_for_without_end),
        in_pool(where_others_remove_too_it_is_not_waited_for_long),
        in_pool(a_volume_let_go_during_the_wait_is_cleaned_soon),
        in_pool(a_cancel_ends_a_wait),
    };

    if (!rig_can_run())
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
