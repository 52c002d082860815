/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/btrfs/rig.h"

#include "base/log.h"
#include "base/scoped.h"
#include "unit/cmocka_setup.h"

#include <btrfsutil.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

bool rig_can_run(void)
{
    const char *lacks = NULL;
    char *line = NULL;
    size_t room = 0;
    bool btrfs = false;
    FILE *filesystems;

    log_setup(LOG_LEVEL_WARN, LOG_FORMAT_TEXT);
    if (geteuid() != 0)
        lacks = "root";
    else if (access("/dev/loop-control", R_OK | W_OK) < 0)
        lacks = "loop devices";
    else if (access("/usr/sbin/mkfs.btrfs", X_OK) < 0 && access("/sbin/mkfs.btrfs", X_OK) < 0)
        lacks = "mkfs.btrfs";
    filesystems = fopen("/proc/filesystems", "re");
    while (filesystems && getline(&line, &room, filesystems) >= 0)
        btrfs = btrfs || strstr(line, "\tbtrfs\n");
    free(line);
    if (filesystems)
        fclose(filesystems);
    if (!lacks && !btrfs)
        lacks = "btrfs in the kernel";
    if (!lacks &&
        (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0))
        lacks = "a mount namespace";
    if (lacks)
        printf("SKIP: this test needs %s\n", lacks);
    return !lacks;
}

int rig_bare(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));

    assert_non_null(rig);
    strcpy(rig->path, "/tmp/btrfs-XXXXXX");
    assert_non_null(mkdtemp(rig->path));
    assert_int_equal(mount("test", rig->path, "tmpfs", 0, "mode=0755,size=2g"), 0);
    rig->options.root = open(rig->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(rig->options.root >= 0);
    rig->options.root_path = rig->path;
    rig->options.pool_size = RIG_POOL_SIZE;
    *state = rig;
    return 0;
}

int rig_open(void **state)
{
    rig_bare(state);
    rig_start(*state);
    return 0;
}

void rig_start(struct rig *rig)
{
    struct reason why = {0};

    rig_must(backend_btrfs.open(&rig->backend, &rig->options, &why));
}

void rig_stop(struct rig *rig)
{
    backend_btrfs.close(rig->backend);
    rig->backend = NULL;
}

void rig_unmount(struct rig *rig)
{
    char pool[80];

    snprintf(pool, sizeof(pool), "%s/pool", rig->path);
    assert_int_equal(umount2(pool, 0), 0);
}

int rig_close(void **state)
{
    struct rig *rig = *state;
    char pool[80];

    rig_stop(rig);
    snprintf(pool, sizeof(pool), "%s/pool", rig->path);
    while (umount2(pool, MNT_DETACH) == 0)
        ;
    close(rig->options.root);
    umount2(rig->path, MNT_DETACH);
    rmdir(rig->path);
    free(rig);
    return 0;
}

int rig_root(struct rig *rig, uint64_t id)
{
    struct reason why = {0};
    int directory = -1;

    rig_must(backend_btrfs.open_root(rig->backend, id, &directory, &why));
    assert_true(directory >= 0);
    return directory;
}

void rig_nest(int directory, const char *name)
{
    const char *slash = strrchr(name, '/');
    char parent[256] = ".";

    if (slash)
        snprintf(parent, sizeof(parent), "%.*s", (int)(slash - name), name);
    scoped_fd int fd = openat(directory, parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(btrfs_util_create_subvolume_fd(fd, slash ? slash + 1 : name, 0, NULL, NULL),
                     BTRFS_UTIL_OK);
}

void rig_freeze(int directory, const char *name)
{
    scoped_fd int fd = openat(directory, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(btrfs_util_set_subvolume_read_only_fd(fd, true), BTRFS_UTIL_OK);
}
