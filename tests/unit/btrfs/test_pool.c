/* SPDX-License-Identifier: Apache-2.0 */
#include "base/scoped.h"
#include "unit/btrfs/rig.h"
#include "unit/cmocka_setup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

static const struct backend_ops *const ops = &backend_btrfs;

/* The path NAME in the rig's root, in one of a few buffers that take turns. */
static const char *at(const struct rig *rig, const char *name)
{
    static char paths[4][256];
    static unsigned turn;
    char *path = paths[turn++ % 4];

    snprintf(path, sizeof(paths[0]), "%s/%s", rig->path, name);
    return path;
}

static void assert_refused(struct rig *rig, const struct backend_options *options, int result,
                           const char *words)
{
    struct backend *backend = NULL;
    struct reason why = {0};
    int got = ops->open(&backend, options, &why);

    if (got != result || !strstr(why.text, words))
        fail_msg("open is %d: %s", got, why.text);
    assert_null(backend);
    (void)rig;
}

/* How many entries the root folder has. */
static unsigned entries(const struct rig *rig)
{
    DIR *root = opendir(rig->path);
    unsigned count = 0;

    assert_non_null(root);
    while (readdir(root))
        count++;
    closedir(root);
    return count - 2;
}

/* How often something is mounted on PATH. */
static unsigned mounts_on(const char *path)
{
    FILE *mounts = fopen("/proc/self/mounts", "re");
    char *line = NULL, field[300];
    size_t room = 0;
    unsigned count = 0;

    assert_non_null(mounts);
    snprintf(field, sizeof(field), " %s ", path);
    while (getline(&line, &room, mounts) >= 0)
        count += strstr(line, field) != NULL;
    free(line);
    fclose(mounts);
    return count;
}

static bool volume_there(struct rig *rig, uint64_t id)
{
    struct volume volume;

    return ops->locate(rig->backend, id, &volume, NULL) == 0;
}

static void the_first_start_makes_and_mounts_a_pool(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};
    struct pool_status status;
    struct stat image, pool;

    rig_start(rig);
    assert_int_equal(stat(at(rig, "pool.img"), &image), 0);
    assert_int_equal(image.st_size, RIG_POOL_SIZE);
    assert_true(image.st_blocks * 512 < 16 << 20);
    assert_int_equal(image.st_mode & 07777, 0600);
    assert_int_equal(mounts_on(at(rig, "pool")), 1);
    assert_int_equal(entries(rig), 2);

    rig_must(ops->status(rig->backend, &status, &why));
    assert_true(status.embedded);
    assert_true(status.writable);
    assert_string_equal(status.path, at(rig, "pool"));
    assert_non_null(strstr(status.description, "embedded pool at"));
    assert_int_equal(status.size, RIG_POOL_SIZE);
    assert_true(status.used < 16 << 20);
    assert_true(status.available > 100 << 20);
    assert_true(status.metadata_size > 0 && status.metadata_used <= status.metadata_size);
    assert_int_equal(stat(at(rig, "pool/00"), &pool), 0);
    assert_int_equal(pool.st_mode & 07777, 0700);
    assert_int_equal(stat(at(rig, "pool/3f"), &pool), 0);
}

static void a_pool_still_mounted_is_used_again(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};

    rig_start(rig);
    rig_must(ops->create(rig->backend, 1, &why));
    rig_stop(rig);
    assert_int_equal(mounts_on(at(rig, "pool")), 1);
    rig_start(rig);
    assert_int_equal(mounts_on(at(rig, "pool")), 1);
    assert_true(volume_there(rig, 1));
    struct pool_status status;
    rig_must(ops->status(rig->backend, &status, &why));
    assert_true(status.embedded);
}

static void a_pool_not_mounted_any_more_is_mounted_again(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};
    struct volume volume;

    rig_start(rig);
    rig_must(ops->create(rig->backend, 1, &why));
    rig_must(ops->locate(rig->backend, 1, &volume, &why));
    rig_stop(rig);
    rig_unmount(rig);

    /* the loop device has gone with the mount: LOOP_GET_STATUS or opening says so */
    char backing[128];
    snprintf(backing, sizeof(backing), "/sys/block/%s/loop/backing_file",
             strrchr(volume.device, '/') + 1);
    scoped_fd int file = open(backing, O_RDONLY | O_CLOEXEC);
    char name[256] = "";
    if (file >= 0 && read(file, name, sizeof(name) - 1) > 0)
        assert_null(strstr(name, rig->path));

    rig->options.pool_size = 0; /* counts for the first start only */
    rig_start(rig);
    assert_int_equal(mounts_on(at(rig, "pool")), 1);
    assert_true(volume_there(rig, 1));
}

static void an_interrupted_first_start_is_begun_anew(void **state)
{
    struct rig *rig = *state;
    struct stat file;

    int half = open(at(rig, "pool.img.new"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(half, "half a file system", 18), 18);
    close(half);
    assert_int_equal(mkdir(at(rig, "pool"), 0711), 0);
    rig_start(rig);
    assert_int_equal(stat(at(rig, "pool.img.new"), &file), -1);
    assert_int_equal(mounts_on(at(rig, "pool")), 1);
}

/* Where mkfs.btrfs is killed with the daemon at each of a few moments of a first start. */
static void a_first_start_killed_at_any_moment_is_begun_anew(void **state)
{
    struct rig *rig = *state;

    for (unsigned delay = 0; delay < 16; delay++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            struct backend *backend;
            (void)ops->open(&backend, &rig->options, NULL);
            _exit(0);
        }
        struct timespec moment = {.tv_nsec = delay * 1000000};
        nanosleep(&moment, NULL); /* spreads the kills; nothing depends on it */
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);

        rig_start(rig);
        assert_int_equal(mounts_on(at(rig, "pool")), 1);
        rig_stop(rig);
        rig_unmount(rig);
        assert_int_equal(unlink(at(rig, "pool.img")), 0);
        assert_int_equal(rmdir(at(rig, "pool")), 0);
        assert_int_equal(entries(rig), 0);
    }
}

static void a_pool_file_of_rubbish_is_not_overwritten(void **state)
{
    struct rig *rig = *state;
    struct stat file;

    int image = open(at(rig, "pool.img"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(ftruncate(image, RIG_POOL_SIZE), 0);
    close(image);
    assert_refused(rig, &rig->options, -EINVAL, "move the file away");
    assert_int_equal(stat(at(rig, "pool.img"), &file), 0);
    assert_int_equal(entries(rig), 1);
}

static void sizes_that_cannot_be_are_refused_and_leave_nothing(void **state)
{
    struct rig *rig = *state;

    rig->options.pool_size = 1 << 20;
    assert_refused(rig, &rig->options, CONDITION_INVALID, "pool.size 1048576 is too small");
    rig->options.pool_size = UINT64_C(1) << 63;
    assert_refused(rig, &rig->options, CONDITION_INVALID, "larger than a file can be");
    assert_int_equal(entries(rig), 0);
}

static void without_a_size_it_is_a_share_of_what_is_free(void **state)
{
    struct rig *rig = *state;
    struct stat image;

    rig->options.pool_size = 0;
    rig_start(rig);
    assert_int_equal(stat(at(rig, "pool.img"), &image), 0);
    assert_in_range(image.st_size, UINT64_C(1500) << 20, UINT64_C(1639) << 20); /* of 2 GiB */
}

static void without_room_for_any_pool_the_first_start_says_so(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(mount("test", rig->path, "tmpfs", MS_REMOUNT, "size=100m"), 0);
    rig->options.pool_size = 0;
    assert_refused(rig, &rig->options, CONDITION_EXHAUSTED, "MiB free, too little");
    assert_int_equal(mount("test", rig->path, "tmpfs", MS_REMOUNT, "size=1m"), 0);
    rig->options.pool_size = RIG_POOL_SIZE;
    assert_refused(rig, &rig->options, -EIO, "mkfs.btrfs ended with");
    assert_int_equal(entries(rig), 0);
}

/* A btrfs as an operator would have it, with folders to give: the embedded pool of another root. */
static void a_folder_on_btrfs_can_be_given(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};
    struct pool_status status;
    struct volume volume;
    struct stat folder;

    rig_start(rig);
    rig_stop(rig);
    assert_int_equal(mkdir(at(rig, "pool/given"), 0755), 0);
    assert_int_equal(chown(at(rig, "pool/given"), 0, 1000), 0);
    assert_int_equal(chmod(at(rig, "pool/given"), 02755), 0);
    assert_int_equal(symlink("pool/given", at(rig, "link")), 0);
    rig->options.pool_path = at(rig, "link");
    rig_start(rig);
    rig_must(ops->create(rig->backend, 5, &why));
    rig_must(ops->locate(rig->backend, 5, &volume, &why));
    assert_string_equal(volume.path, at(rig, "pool/given/05/5"));
    assert_int_equal(stat(volume.path, &folder), 0);
    assert_int_equal(folder.st_mode & 07777, 0755);
    assert_int_equal(folder.st_gid, 0);
    assert_int_equal(stat(at(rig, "pool/given"), &folder), 0);
    assert_int_equal(folder.st_mode & 07777, 02755);
    rig_must(ops->status(rig->backend, &status, &why));
    assert_false(status.embedded);
    assert_non_null(strstr(status.description, "operator's btrfs"));
    assert_string_equal(status.path, at(rig, "pool/given"));
    rig->options.pool_path = NULL;
}

/* Who may write the folder may swap volumes, and so what containers run. */
static void a_folder_that_others_may_write_is_refused(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};
    struct stat shard;

    rig_start(rig);
    rig_stop(rig);
    assert_int_equal(mkdir(at(rig, "pool/given"), 0755), 0);
    rig->options.pool_path = at(rig, "pool/given");
    assert_int_equal(chown(at(rig, "pool/given"), 1000, 0), 0);
    assert_refused(rig, &rig->options, CONDITION_PRECONDITION, "chown root ");
    assert_int_equal(chown(at(rig, "pool/given"), 0, 0), 0);
    assert_int_equal(chmod(at(rig, "pool/given"), 0775), 0);
    assert_refused(rig, &rig->options, CONDITION_PRECONDITION, "chmod go-w ");
    assert_int_equal(chmod(at(rig, "pool/given"), 0755), 0);
    assert_int_equal(mkdir(at(rig, "pool/given/05"), 0777), 0);
    assert_int_equal(chown(at(rig, "pool/given/05"), 1000, 0), 0);
    assert_refused(rig, &rig->options, CONDITION_PRECONDITION, "belongs to user 1000");
    assert_int_equal(chown(at(rig, "pool/given/05"), 0, 0), 0);
    rig_start(rig);
    rig_must(ops->create(rig->backend, 5, &why));
    assert_int_equal(stat(at(rig, "pool/given/05"), &shard), 0);
    assert_int_equal(shard.st_mode & 07777, 0700);
    rig->options.pool_path = NULL;
}

static void a_root_on_btrfs_needs_no_file(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};
    struct pool_status status;
    struct volume volume;
    struct stat file;

    rig_start(rig);
    rig_stop(rig);
    char inner[256];
    snprintf(inner, sizeof(inner), "%s/pool/inner", rig->path);
    assert_int_equal(mkdir(inner, 0755), 0);
    struct backend_options options = {.root = open(inner, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
                                      .root_path = inner};
    rig_must(ops->open(&rig->backend, &options, &why));
    rig_must(ops->create(rig->backend, 5, &why));
    rig_must(ops->locate(rig->backend, 5, &volume, &why));
    assert_string_equal(volume.path, at(rig, "pool/inner/pool/05/5"));
    rig_must(ops->status(rig->backend, &status, &why));
    assert_false(status.embedded);
    assert_int_equal(stat(at(rig, "pool/inner/pool.img"), &file), -1);
    assert_int_equal(stat(at(rig, "pool/inner/pool"), &file), 0);
    assert_int_equal(file.st_mode & 07777, 0711);
    close(options.root);
}

static void paths_that_cannot_be_a_pool_are_refused(void **state)
{
    struct rig *rig = *state;
    struct backend_options *options = &rig->options;

    options->pool_path = "relative/path";
    assert_refused(rig, options, CONDITION_INVALID, "is not absolute");
    options->pool_path = at(rig, "missing");
    assert_refused(rig, options, CONDITION_INVALID, "is not there: make the folder");
    options->pool_path = rig->path;
    assert_refused(rig, options, CONDITION_INVALID, "is not on btrfs: mount the btrfs first");
    options->pool_path = "/dev/null";
    assert_refused(rig, options, CONDITION_INVALID, "is no folder");
    options->pool_path = NULL;
    assert_int_equal(entries(rig), 0);

    assert_int_equal(mkdir(at(rig, "pool"), 0700), 0);
    assert_int_equal(mount("other", at(rig, "pool"), "tmpfs", 0, NULL), 0);
    assert_refused(rig, options, CONDITION_INVALID, "is not btrfs: unmount it");
    assert_int_equal(umount2(at(rig, "pool"), 0), 0);

    struct backend_options relative = *options;
    relative.root_path = "relative";
    assert_refused(rig, &relative, CONDITION_INVALID, "root folder is not absolute");
}

static void a_pool_has_one_daemon_and_one_root(void **state)
{
    struct rig *rig = *state;
    struct backend_options other = rig->options;

    rig_start(rig);
    other.pool_path = at(rig, "pool");
    assert_refused(rig, &other, CONDITION_UNAVAILABLE, "another daemon uses the pool");
    assert_int_equal(mounts_on(at(rig, "pool")), 1);
    rig_stop(rig);
    other.root_path = "/another/root";
    assert_refused(rig, &other, CONDITION_INVALID, "belongs to the daemon whose root is");
    assert_int_equal(unlink(at(rig, "pool/owner")), 0);
    other.presence = POOL_KNOWN; /* as the daemon asks for it when the store has snapshots */

    struct reason why = {0};
    rig_must(ops->open(&rig->backend, &other, &why));
}

static void a_read_only_pool_is_refused(void **state)
{
    struct rig *rig = *state;

    rig_start(rig);
    rig_stop(rig);
    assert_int_equal(mount(NULL, at(rig, "pool"), NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
    assert_refused(rig, &rig->options, CONDITION_UNAVAILABLE, "is mounted read-only");
}

static void a_pool_that_turns_read_only_says_so(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};
    struct pool_status status;

    rig_start(rig);
    rig_must(ops->create(rig->backend, 1, &why));
    assert_int_equal(mount(NULL, at(rig, "pool"), NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
    assert_int_equal(ops->clone(rig->backend, 2, 1, &why), CONDITION_UNAVAILABLE);
    assert_non_null(strstr(why.text, "serves reads only"));
    /* as after a transaction that could not be written: what was in it is not on the disk */
    assert_int_equal(ops->sync(rig->backend, 1, &why), CONDITION_UNAVAILABLE);
    assert_non_null(strstr(why.text, "serves reads only"));
    rig_must(ops->status(rig->backend, &status, &why));
    assert_false(status.writable);
    /* by the operator, who can take it back: nothing was lost */
    assert_int_equal(mount(NULL, at(rig, "pool"), NULL, MS_REMOUNT, NULL), 0);
    rig_must(ops->sync(rig->backend, 1, &why));
}

/* ---- a pool that is full ---- */

static void assert_full(int result, const struct reason *why)
{
    if (result != CONDITION_EXHAUSTED)
        fail_msg("result is %d: %s", result, why->text);
    assert_non_null(strstr(why->text, "/pool is full: "));
    assert_non_null(strstr(why->text, "remove images or containers"));
}

static void a_full_pool_says_so_and_still_removes(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};
    uint64_t id = 2;
    int result;

    rig->options.pool_size = 128 << 20;
    rig_start(rig);
    rig_must(ops->create(rig->backend, 1, &why));
    int root = rig_root(rig, 1);
    char name[32];
    for (unsigned i = 0, size = 4 << 20; size >= 1024; i++) {
        snprintf(name, sizeof(name), "fill%u", i);
        result = rig_write(root, name, size);
        if (result == -ENOSPC)
            size /= 4;
        else
            assert_int_equal(result, 0);
    }
    close(root);
    /* data is full; now the trees: every clone takes a little */
    while ((result = ops->clone(rig->backend, id, 1, &why)) == 0 && id < 20000)
        id++;
    assert_full(result, &why);
    printf("full after %d clones: %s\n", (int)id - 2, why.text);
    do
        result = ops->create(rig->backend, ++id, &why);
    while (result == 0 && id < 40000);
    assert_full(result, &why);
    assert_false(volume_there(rig, id));

    while (id > 1)
        rig_must(ops->remove(rig->backend, --id, NULL, &why));
    rig_must(ops->settle(rig->backend, NULL, &why));
    rig_must(ops->create(rig->backend, 1, &why));
    rig_must(ops->clone(rig->backend, 2, 1, &why));
    root = rig_root(rig, 2);
    assert_int_equal(rig_write(root, "again", 20 << 20), 0);
    close(root);
    rig_must(ops->sync(rig->backend, 2, &why));
}

#define bare(test) cmocka_unit_test_setup_teardown(test, rig_bare, rig_close)

static void a_pool_is_there_or_not_as_expected(void **state)
{
    struct rig *rig = *state;

    rig->options.presence = POOL_PRESENT;
    assert_refused(rig, &rig->options, CONDITION_NOT_FOUND, "cowsnap pool create");
    rig->options.presence = POOL_ACTIVE;
    assert_refused(rig, &rig->options, CONDITION_NOT_FOUND, "cowsnap pool create");
    assert_int_equal(entries(rig), 0);
    rig->options.presence = POOL_ABSENT;
    rig_start(rig);
    rig_stop(rig);
    assert_refused(rig, &rig->options, CONDITION_EXISTS, "is there already");
    rig->options.presence = POOL_ACTIVE;
    rig_start(rig);
    rig_stop(rig);
    rig_unmount(rig);
    assert_refused(rig, &rig->options, CONDITION_PRECONDITION, "neither mounted nor active");
    assert_int_equal(mounts_on(at(rig, "pool")), 0);
    rig->options.presence = POOL_ABSENT;
    assert_refused(rig, &rig->options, CONDITION_EXISTS, "is there already");
    rig->options.presence = POOL_PRESENT;
    rig_start(rig);
    assert_int_equal(mounts_on(at(rig, "pool")), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bare(the_first_start_makes_and_mounts_a_pool),
        bare(a_pool_still_mounted_is_used_again),
        bare(a_pool_not_mounted_any_more_is_mounted_again),
        bare(an_interrupted_first_start_is_begun_anew),
        bare(a_first_start_killed_at_any_moment_is_begun_anew),
        bare(a_pool_file_of_rubbish_is_not_overwritten),
        bare(sizes_that_cannot_be_are_refused_and_leave_nothing),
        bare(without_a_size_it_is_a_share_of_what_is_free),
        bare(without_room_for_any_pool_the_first_start_says_so),
        bare(a_pool_is_there_or_not_as_expected),
        bare(a_folder_on_btrfs_can_be_given),
        bare(a_folder_that_others_may_write_is_refused),
        bare(a_root_on_btrfs_needs_no_file),
        bare(paths_that_cannot_be_a_pool_are_refused),
        bare(a_pool_has_one_daemon_and_one_root),
        bare(a_read_only_pool_is_refused),
        bare(a_pool_that_turns_read_only_says_so),
        bare(a_full_pool_says_so_and_still_removes),
    };

    if (!rig_can_run())
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
