/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/dm-thin/rig.h"

#include "backends/dm-thin/name.h"
#include "backends/loop.h"
#include "base/log.h"
#include "base/scoped.h"
#include "unit/cmocka_setup.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

bool rig_can_run(void)
{
    const char *lacks = NULL;
    struct reason why = {0};

    log_setup(getenv("RIG_DEBUG") ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARN, LOG_FORMAT_TEXT);
    if (geteuid() != 0)
        lacks = "root";
    else if (access("/dev/loop-control", R_OK | W_OK) < 0)
        lacks = "loop devices";
    else if (access("/usr/sbin/mkfs.ext4", X_OK) < 0 && access("/sbin/mkfs.ext4", X_OK) < 0)
        lacks = "mkfs.ext4";
    else if (device_need(&why) != 0)
        lacks = why.text;
    else if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        lacks = "a mount namespace";
    if (lacks)
        printf("SKIP: this test needs device-mapper: %s\n", lacks);
    return !lacks;
}

int rig_bare(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));

    assert_non_null(rig);
    strcpy(rig->path, "/dev/shm/dm-thin-XXXXXX");
    assert_non_null(mkdtemp(rig->path));
    assert_int_equal(mount("test", rig->path, "tmpfs", 0, "mode=0755,size=2g"), 0);
    rig->options.root = open(rig->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(rig->options.root >= 0);
    rig->options.root_path = rig->path;
    rig->options.pool_size = RIG_POOL_SIZE;
    rig->options.volume_size = RIG_VOLUME_SIZE;
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
    struct pool_status status;
    struct reason why = {0};

    rig_must(backend_dm_thin.open(&rig->backend, &rig->options, &why));
    rig_must(backend_dm_thin.status(rig->backend, &status, &why));
    snprintf(rig->pool, sizeof(rig->pool), "%.100s", strrchr(status.path, '/') + 1);
}

void rig_stop(struct rig *rig)
{
    backend_dm_thin.close(rig->backend);
    rig->backend = NULL;
}

void rig_refused(struct rig *rig, int result, const char *words)
{
    struct backend *backend = NULL;
    struct reason why = {0};
    int got = backend_dm_thin.open(&backend, &rig->options, &why);

    if (got != result || !strstr(why.text, words))
        fail_msg("open is %d: %s", got, why.text);
}

void rig_make_device(const struct rig *rig, const char *name, uint64_t size, char path[32])
{
    scoped_fd int file = openat(rig->options.root, name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    struct reason why = {0};
    static int loop; /* closed by the end of the process */

    assert_true(file >= 0);
    assert_int_equal(ftruncate(file, (off_t)size), 0);
    rig_must(loop_attach(file, "cowsnap-test", "skip this", &loop, path, 32, &why));
}

struct names {
    const char *pool;
    char names[2048][DEVICE_NAME];
    unsigned count;
};

static int note_name(void *context, const char *name)
{
    struct names *names = context;
    size_t length = strlen(names->pool);

    if (strncmp(name, names->pool, length) == 0 && (name[length] == '-' || name[length] == '\0') &&
        names->count < 2048)
        snprintf(names->names[names->count++], DEVICE_NAME, "%.127s", name);
    return 0;
}

static struct names *list_names(const struct rig *rig)
{
    struct names *names = calloc(1, sizeof(*names));

    assert_non_null(names);
    names->pool = rig->pool;
    if (rig->pool[0])
        assert_int_equal(device_each(note_name, names), 0);
    return names;
}

unsigned rig_devices(struct rig *rig)
{
    struct names *names = list_names(rig);
    unsigned count = names->count;

    free(names);
    return count;
}

void rig_reboot(struct rig *rig)
{
    struct names *names = list_names(rig);

    for (unsigned i = 0; i < names->count; i++)
        if (strcmp(names->names[i], rig->pool) != 0) {
            device_resume(names->names[i]);
            assert_int_equal(device_remove(names->names[i], false), 0);
        }
    if (names->count > 0)
        assert_int_equal(device_remove(rig->pool, false), 0);
    free(names);
}

int rig_close(void **state)
{
    struct rig *rig = *state;

    rig_stop(rig);
    rig_reboot(rig);
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

    rig_must(backend_dm_thin.open_root(rig->backend, id, &directory, &why));
    assert_true(directory >= 0);
    return directory;
}

struct device_state rig_device(struct rig *rig, uint64_t id)
{
    struct device_state state;
    char name[DEVICE_NAME];

    name_volume(rig->pool, id, name);
    assert_int_equal(device_look(name, &state, NULL), 0);
    return state;
}
