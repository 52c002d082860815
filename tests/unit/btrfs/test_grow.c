/* SPDX-License-Identifier: Apache-2.0 */
#include "base/scoped.h"
#include "unit/btrfs/rig.h"
#include "unit/cmocka_setup.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define MIB (UINT64_C(1) << 20)

static const struct backend_ops *const ops = &backend_btrfs;

static uint64_t size_of(struct rig *rig)
{
    struct pool_status status;
    struct reason why = {0};

    rig_must(ops->status(rig->backend, &status, &why));
    return status.size;
}

static void assert_not_grown(struct rig *rig, struct pool_growth growth, int result,
                             const char *words)
{
    struct reason why = {0};
    int got = ops->grow(rig->backend, &growth, &why);

    if (got != result || !strstr(why.text, words))
        fail_msg("grow is %d: %s", got, why.text);
}

static void a_full_pool_that_grows_is_used_again(void **state)
{
    struct rig *rig = *state;
    const struct pool_growth growth = {.size = 512 * MIB};
    struct reason why = {0};
    struct pool_status status;

    rig_must(ops->create(rig->backend, 1, &why));
    scoped_fd int root = rig_root(rig, 1);
    assert_true(rig_write(root, "big", 400 * MIB) < 0);
    rig_must(ops->status(rig->backend, &status, &why));
    assert_int_equal(status.state, POOL_STATE_LOW);
    assert_non_null(strstr(status.advice.text, "cowsnap pool grow"));
    rig_must(ops->grow(rig->backend, &growth, &why));
    assert_int_equal(size_of(rig), 512 * MIB);
    rig_must(ops->status(rig->backend, &status, &why));
    assert_int_equal(status.state, POOL_STATE_OK);
    assert_int_equal(rig_write(root, "more", 100 * MIB), 0);
    rig_must(ops->create(rig->backend, 2, &why));
}

static void a_pool_only_grows(void **state)
{
    struct rig *rig = *state;
    const struct pool_growth same = {.size = RIG_POOL_SIZE};
    struct reason why = {0};

    rig_must(ops->grow(rig->backend, &same, &why));
    assert_int_equal(size_of(rig), RIG_POOL_SIZE);
    assert_not_grown(rig, (struct pool_growth){.size = RIG_POOL_SIZE - MIB}, CONDITION_INVALID,
                     "is 256 MiB already and only grows");
    assert_not_grown(rig, (struct pool_growth){.size = MIB, .more = true, .metadata = true},
                     CONDITION_INVALID, "leave --metadata out");
    assert_int_equal(size_of(rig), RIG_POOL_SIZE);
}

static void a_pool_below_what_btrfs_resizes_to_says_so(void **state)
{
    struct rig *rig = *state;

    rig->options.pool_size = 128 * MIB;
    rig_start(rig);
    assert_not_grown(rig, (struct pool_growth){.size = 200 * MIB}, CONDITION_INVALID,
                     "can grow to 256 MiB or more");
    assert_int_equal(size_of(rig), 128 * MIB);
}

/* As a daemon leaves it that was killed between the file and the file system. */
static void a_growth_that_was_cut_short_is_made_up_for(void **state)
{
    struct rig *rig = *state;
    const struct pool_growth growth = {.size = 512 * MIB};
    struct reason why = {0};
    char path[128];

    snprintf(path, sizeof(path), "%s/pool.img", rig->path);
    assert_int_equal(truncate(path, 512 * MIB), 0);
    assert_int_equal(size_of(rig), RIG_POOL_SIZE);
    rig_must(ops->grow(rig->backend, &growth, &why));
    assert_int_equal(size_of(rig), 512 * MIB);
}

static void what_is_added_again_is_added_once(void **state)
{
    struct rig *rig = *state;
    const struct pool_growth growth = {.size = 64 * MIB, .more = true};
    struct reason why = {0};
    char path[128];

    snprintf(path, sizeof(path), "%s/pool.img", rig->path);
    assert_int_equal(truncate(path, RIG_POOL_SIZE + 64 * MIB), 0);
    rig_must(ops->grow(rig->backend, &growth, &why));
    assert_int_equal(size_of(rig), RIG_POOL_SIZE + 64 * MIB);
}

#define GROWERS 4

static void *grow_a_little(void *context)
{
    struct rig *rig = context;
    const struct pool_growth growth = {.size = 16 * MIB, .more = true};
    struct reason why = {0};

    return ops->grow(rig->backend, &growth, &why) == 0 ? rig : NULL;
}

static void many_at_once_add_up(void **state)
{
    struct rig *rig = *state;
    pthread_t threads[GROWERS];
    void *grown[GROWERS];

    for (unsigned i = 0; i < GROWERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, grow_a_little, rig), 0);
    for (unsigned i = 0; i < GROWERS; i++)
        pthread_join(threads[i], &grown[i]);
    for (unsigned i = 0; i < GROWERS; i++)
        assert_non_null(grown[i]);
    assert_int_equal(size_of(rig), RIG_POOL_SIZE + GROWERS * 16 * MIB);
}

static void a_folder_of_the_operators_is_left_to_him(void **state)
{
    struct rig *rig = *state;
    char path[128];

    rig_start(rig); /* for a btrfs, which is "the operator's" then */
    snprintf(path, sizeof(path), "%s/pool/theirs", rig->path);
    assert_int_equal(mkdir(path, 0755), 0);
    rig_stop(rig);
    rig->options.pool_path = path;
    rig_start(rig);
    assert_not_grown(rig, (struct pool_growth){.size = 512 * MIB}, CONDITION_PRECONDITION,
                     "btrfs filesystem resize max");
    assert_int_equal(size_of(rig), RIG_POOL_SIZE);
    rig->options.pool_path = NULL;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_open, rig_close)
#define BARE(name) cmocka_unit_test_setup_teardown(name, rig_bare, rig_close)
    const struct CMUnitTest tests[] = {
        TEST(a_full_pool_that_grows_is_used_again),
        TEST(a_pool_only_grows),
        BARE(a_pool_below_what_btrfs_resizes_to_says_so),
        TEST(a_growth_that_was_cut_short_is_made_up_for),
        TEST(what_is_added_again_is_added_once),
        TEST(many_at_once_add_up),
        BARE(a_folder_of_the_operators_is_left_to_him),
    };

    if (!rig_can_run())
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
