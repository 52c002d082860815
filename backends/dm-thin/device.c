/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/dm-thin/device.h"

#include "base/log.h"
#include "base/scoped.h"
#include "base/step.h"

#include <errno.h>
#include <fcntl.h>
#include <libdevmapper.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>

/*
 * Whose work a node under /dev/mapper is: udev's where it runs, and then we wait for it by a
 * cookie; ours elsewhere (in a container, or a test). Looked for once: a daemon that begins before
 * udev does its own nodes, which udev leaves alone.
 *
 * Never the library's: it queues such work in variables that threads must not share, and making or
 * ending a device waits tens of milliseconds in the kernel, which should not be one after the
 * other. What queues nothing (dm_task_run() of libdm-iface.c): a task with a cookie and without the
 * library's fallback, but where udev does not run no task ever gets a cookie; making a device
 * without a table; giving it one; resuming a device whose node was due when it was made; ending one
 * by its uuid. So without udev a device is made in steps, and ended by its uuid.
 *
 * Rules of udev that open a new block device to see what is on it are told to keep off ours. They
 * would find the same file system under the same id again and again, and their opening of it makes
 * removals fail with EBUSY.
 */
#define DEVICE_UDEV_FLAGS                                                                          \
    (DM_UDEV_DISABLE_LIBRARY_FALLBACK | DM_UDEV_DISABLE_SUBSYSTEM_RULES_FLAG |                     \
     DM_UDEV_DISABLE_DISK_RULES_FLAG | DM_UDEV_DISABLE_OTHER_RULES_FLAG)

/* Levels of the library are those of syslog(3), with marks above. */
#define DEVICE_WARNING 4

#define UDEV_SOCKET "/run/udev/control"
/* udev itself gives up an event after 180 s; calls should be told of sooner. */
#define UDEV_PATIENCE_NS (INT64_C(60) * 1000000000)
#define UDEV_NAP_LEAST_NS 200000
#define UDEV_NAP_MOST_NS 20000000

static pthread_once_t device_once = PTHREAD_ONCE_INIT;
static bool device_udev;

static void task_free(struct dm_task **task)
{
    if (*task)
        dm_task_destroy(*task);
}

#define scoped_task scoped(task_free) struct dm_task *

/* What the library tells stays for those who look closely; our own sentences are for everybody. */
__attribute__((format(printf, 5, 6))) static void
device_tell(int level, const char *file, int line, int error_class, const char *format, ...)
{
    char text[512];
    va_list arguments;

    (void)file;
    (void)line;
    (void)error_class;
    if ((level & 7) > DEVICE_WARNING)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    log_debug("libdevmapper: %s", text);
}

static void device_begin(void)
{
    device_udev = access(UDEV_SOCKET, F_OK) == 0 && !getenv("DM_DISABLE_UDEV");
    dm_log_with_errno_init(device_tell);
    dm_udev_set_sync_support(device_udev);
    dm_hold_control_dev(1);
}

static struct dm_task *task_make(int type, const char *name)
{
    struct dm_task *task = dm_task_create(type);

    if (task && name && !dm_task_set_name(task, name)) {
        dm_task_destroy(task);
        task = NULL;
    }
    return task;
}

static int task_run(struct dm_task *task)
{
    errno = 0;
    if (dm_task_run(task))
        return 0;
    int error = dm_task_get_errno(task);
    return error ? -error : errno ? -errno : -EIO;
}

/* Until udev has done with the cookie. A worker of its that is killed never says so, and the
 * library's own wait has no end: so we look again and again, less often as it lasts. */
static void udev_wait(uint32_t cookie)
{
    struct timespec nap = {.tv_nsec = UDEV_NAP_LEAST_NS};
    int64_t waited = 0;
    int ready = 0;

    while (dm_udev_wait_immediate(cookie, &ready) && !ready && waited < UDEV_PATIENCE_NS) {
        nanosleep(&nap, NULL);
        waited += nap.tv_nsec;
        if (nap.tv_nsec < UDEV_NAP_MOST_NS)
            nap.tv_nsec += nap.tv_nsec / 4;
    }
    if (ready)
        return;
    log_warn("udev has not answered for a device for %lld s: going on without it (is "
             "systemd-udevd well?)",
             (long long)(waited / 1000000000));
    if (dm_udev_complete(cookie)) /* in its place: the wait is over at once */
        dm_udev_wait(cookie);
}

/* Runs a task that makes or ends a device, and waits until udev, where it runs, has seen to it. */
static int task_run_with_udev(struct dm_task *task)
{
    uint32_t cookie = 0;

    if (!dm_task_set_add_node(task, DM_ADD_NODE_ON_CREATE) ||
        !dm_task_set_cookie(task, &cookie, DEVICE_UDEV_FLAGS))
        return -ENOMEM;
    int result = task_run(task);
    if (cookie)
        udev_wait(cookie);
    return result;
}

/* ---- nodes, where there is no udev ---- */

static int node_make(const char *name, unsigned major, unsigned minor)
{
    char path[DEVICE_PATH];
    dev_t number = makedev(major, minor);
    struct stat found;

    device_path(name, path);
    if (mknod(path, S_IFBLK | 0600, number) == 0)
        return 0;
    if (errno != EEXIST)
        return -errno;
    if (stat(path, &found) == 0 && S_ISBLK(found.st_mode) && found.st_rdev == number)
        return 0;
    /* of a device of that name that went at its last close */
    if (unlink(path) < 0 || mknod(path, S_IFBLK | 0600, number) < 0)
        return -errno;
    return 0;
}

/* Of a device that was ended; one that goes, or went, at its last close (LATER) keeps its node, by
 * which it may be had until then. */
static void node_end(const char *name, bool later)
{
    struct device_state state = {0};
    char path[DEVICE_PATH];

    if (!device_udev && (!later || device_look(name, &state, NULL) == 0) && !state.exists)
        unlink(device_path(name, path));
}

/* ---- what the kernel has ---- */

/* Asking for a target's version makes the kernel load its module. */
static int target_look(const char *target)
{
    scoped_task task = task_make(DM_DEVICE_GET_TARGET_VERSION, target);

    return task ? task_run(task) : -ENOMEM;
}

int device_need(struct reason *why)
{
    static const char *const targets[] = {"thin-pool", "thin"};

    if (geteuid() != 0)
        return refuse(why, CONDITION_UNAVAILABLE,
                      "device-mapper is for root alone: run cowsnapd as root");
    /* the node is there before the module, which opening it loads */
    scoped_fd int control = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);
    if (control < 0)
        return refuse(why, CONDITION_UNAVAILABLE,
                      "the kernel has no device-mapper, which the backend dm-thin needs (open "
                      "/dev/mapper/control: %s): load it with `modprobe dm_thin_pool`, or use the "
                      "backend btrfs",
                      strerrordesc_np(errno));
    pthread_once(&device_once, device_begin);
    for (size_t i = 0; i < sizeof(targets) / sizeof(*targets); i++) {
        int error = target_look(targets[i]);
        if (error != 0)
            return refuse(why, CONDITION_UNAVAILABLE,
                          "the kernel's device-mapper lacks the target %s (%s): load it with "
                          "`modprobe dm_thin_pool`, or use the backend btrfs",
                          targets[i], strerrordesc_np(-error));
    }
    return 0;
}

/* ---- making and ending ---- */

/* Runs TASK, which asks about one device. -ENXIO when that is not there. */
static int task_ask(struct dm_task *task, struct device_state *state)
{
    struct dm_info info;
    int result = task_run(task);

    *state = (struct device_state){0};
    if (result != 0)
        return result;
    if (!dm_task_get_info(task, &info))
        return -EIO;
    *state = (struct device_state){
        .exists = info.exists,
        .live = info.live_table,
        .suspended = info.suspended,
        .leaving = info.deferred_remove,
        .opened = (unsigned)info.open_count,
        .major = info.major,
        .minor = info.minor,
    };
    return info.exists ? 0 : -ENXIO;
}

static void task_uuid(struct dm_task *task, char uuid[DEVICE_UUID])
{
    const char *text = dm_task_get_uuid(task);

    snprintf(uuid, DEVICE_UUID, "%s", text ? text : "");
}

int device_look(const char *name, struct device_state *state, char uuid[DEVICE_UUID])
{
    scoped_task task = task_make(DM_DEVICE_INFO, name);

    *state = (struct device_state){0};
    int result = task ? task_ask(task, state) : -ENOMEM;
    if (result != 0 && result != -ENXIO)
        return result;
    if (uuid)
        uuid[0] = '\0';
    if (uuid && state->exists)
        task_uuid(task, uuid);
    return 0;
}

int device_look_ours(const char *name, const char *uuid, struct device_state *state)
{
    char found[DEVICE_UUID];
    int error = device_look(name, state, found);

    return error == 0 && state->exists && strcmp(found, uuid) != 0 ? -EEXIST : error;
}

int device_refuse(const char *name, struct reason *why)
{
    return refuse(why, CONDITION_INVALID,
                  "the device %s is not cowsnap's, though it has the name of one that cowsnap "
                  "needs: give it another (`dmsetup rename`)",
                  name);
}

/* Where udev runs. */
static int device_create_at_once(const char *name, const char *uuid, const char *target,
                                 uint64_t sectors, const char *line)
{
    scoped_task task = task_make(DM_DEVICE_CREATE, name);

    if (!task || !dm_task_set_uuid(task, uuid) ||
        !dm_task_add_target(task, 0, sectors, target, line))
        return -ENOMEM;
    return task_run_with_udev(task);
}

/* The new line comes into force with a resume, which waits for what the old one does. */
static int device_load(const char *name, const char *target, uint64_t sectors, const char *line)
{
    scoped_task task = task_make(DM_DEVICE_RELOAD, name);

    if (!task || !dm_task_add_target(task, 0, sectors, target, line))
        return -ENOMEM;
    int result = task_run(task);
    return result == 0 ? device_resume(name) : result;
}

/* Where it does not. */
static int device_create_in_steps(const char *name, const char *uuid, const char *target,
                                  uint64_t sectors, const char *line)
{
    scoped_task task = task_make(DM_DEVICE_CREATE, name);
    struct dm_info info;

    if (!task || !dm_task_set_uuid(task, uuid))
        return -ENOMEM;
    int result = task_run(task);
    if (result != 0)
        return result;
    if (!dm_task_get_info(task, &info))
        result = -EIO;
    if (result == 0)
        result = device_load(name, target, sectors, line);
    STEP("dm-thin.device-made");
    if (result == 0)
        result = node_make(name, info.major, info.minor);
    if (result != 0)
        device_remove(name, false);
    return result;
}

int device_create(const char *name, const char *uuid, const char *target, uint64_t sectors,
                  const char *line)
{
    if (device_udev)
        return device_create_at_once(name, uuid, target, sectors, line);
    return device_create_in_steps(name, uuid, target, sectors, line);
}

int device_take_over(const char *name, const struct device_state *state)
{
    return device_udev ? 0 : node_make(name, state->major, state->minor);
}

int device_reload(const char *name, const char *target, uint64_t sectors, const char *line)
{
    return device_load(name, target, sectors, line);
}

int device_remove(const char *name, bool later)
{
    scoped_task task = dm_task_create(DM_DEVICE_REMOVE);
    struct device_state state = {0};
    char uuid[DEVICE_UUID] = "";
    int result = device_udev ? 0 : device_look(name, &state, uuid);

    if (result != 0 || (!device_udev && !state.exists))
        return result;
    if (!task || !(uuid[0] ? dm_task_set_uuid(task, uuid) : dm_task_set_name(task, name)) ||
        (later && !dm_task_deferred_remove(task)))
        return -ENOMEM;
    result = task_run_with_udev(task);
    if (result == 0)
        node_end(name, later);
    return result == -ENXIO ? 0 : result;
}

void device_forget(const char *name)
{
    node_end(name, true);
}

int device_stay(const char *name)
{
    return device_message(name, "@cancel_deferred_remove");
}

int device_suspend(const char *name, bool freeze)
{
    scoped_task task = task_make(DM_DEVICE_SUSPEND, name);

    if (!task || (!freeze && !dm_task_skip_lockfs(task)))
        return -ENOMEM;
    return task_run(task);
}

int device_resume(const char *name)
{
    scoped_task task = task_make(DM_DEVICE_RESUME, name);

    return task ? task_run_with_udev(task) : -ENOMEM;
}

/* ---- messages and questions ---- */

int device_message(const char *name, const char *message)
{
    scoped_task task = task_make(DM_DEVICE_TARGET_MSG, name);

    if (!task || !dm_task_set_sector(task, 0) || !dm_task_set_message(task, message))
        return -ENOMEM;
    return task_run(task);
}

/* Of a TASK that ran. */
static void task_line(struct dm_task *task, char line[DEVICE_LINE], char target[16],
                      uint64_t *sectors)
{
    char *name = NULL, *text = NULL;
    uint64_t start = 0, length = 0;

    dm_get_next_target(task, NULL, &start, &length, &name, &text);
    snprintf(line, DEVICE_LINE, "%s", text ? text : "");
    if (target)
        snprintf(target, 16, "%s", name ? name : "");
    if (sectors)
        *sectors = length;
}

int device_status(const char *name, char line[DEVICE_LINE], struct device_state *state,
                  char uuid[DEVICE_UUID])
{
    scoped_task task = task_make(DM_DEVICE_STATUS, name);
    struct device_state found = {0};

    int result = task && dm_task_no_flush(task) ? task_ask(task, &found) : -ENOMEM;
    if (result == 0)
        task_line(task, line, NULL, NULL);
    if (result == 0 && uuid)
        task_uuid(task, uuid);
    if (state)
        *state = found;
    return result;
}

int device_table(const char *name, char line[DEVICE_LINE], char target[16], uint64_t *sectors)
{
    scoped_task task = task_make(DM_DEVICE_TABLE, name);
    struct device_state state;

    int result = task ? task_ask(task, &state) : -ENOMEM;
    if (result == 0)
        task_line(task, line, target, sectors);
    return result;
}

int device_each(device_visit *visit, void *context)
{
    scoped_task task = task_make(DM_DEVICE_LIST, NULL);
    int result = task ? task_run(task) : -ENOMEM;
    const struct dm_names *names = result == 0 ? dm_task_get_names(task) : NULL;

    if (result != 0 || !names || names->dev == 0) /* an empty list has one entry without a number */
        return result;
    for (;;) {
        result = visit(context, names->name);
        if (result != 0 || names->next == 0)
            return result;
        names = (const struct dm_names *)((const char *)names + names->next);
    }
}

const char *device_path(const char *name, char path[DEVICE_PATH])
{
    snprintf(path, DEVICE_PATH, "/dev/mapper/%s", name);
    return path;
}

int device_find(unsigned major, unsigned minor, char path[DEVICE_PATH])
{
    char file[64], line[128];
    int result = -ENODEV;

    /* the name the kernel gave it, under which devtmpfs has it whoever runs */
    snprintf(file, sizeof(file), "/sys/dev/block/%u:%u/uevent", major, minor);
    FILE *uevent = fopen(file, "re");
    while (uevent && fgets(line, sizeof(line), uevent)) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "DEVNAME=", 8) == 0) {
            snprintf(path, DEVICE_PATH, "/dev/%s", line + 8);
            result = 0;
        }
    }
    if (uevent)
        (void)fclose(uevent);
    return result;
}
