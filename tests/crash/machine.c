/* SPDX-License-Identifier: Apache-2.0 */
#include "crash/machine.h"

#include "snapshot/mounts.h"

#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <time.h>

int64_t machine_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void machine_pause(void)
{
    const struct timespec moment = {.tv_nsec = 1000000};

    nanosleep(&moment, NULL);
}

/* As mount(8) takes them: some are flags of the system call, the file system reads the others. */
static unsigned long flags_of(const struct mount *mount, char rest[256])
{
    unsigned long flags = 0;

    rest[0] = '\0';
    for (size_t i = 0; i < mount->option_count; i++) {
        const char *option = mount->options[i];

        if (strcmp(option, "ro") == 0)
            flags |= MS_RDONLY;
        else if (strcmp(option, "rbind") == 0)
            flags |= MS_BIND | MS_REC;
        else if (strcmp(option, "rw") != 0)
            snprintf(rest + strlen(rest), 256 - strlen(rest), "%s%s", rest[0] ? "," : "", option);
    }
    return flags;
}

bool machine_mount(const struct mounts *mounts, const char *point)
{
    char rest[256];

    for (size_t i = 0; i < mounts->count; i++) {
        const struct mount *one = &mounts->items[i];
        unsigned long flags = flags_of(one, rest);

        if (mount(one->source, point, one->type, flags, rest) == 0)
            continue;
        printf("mount %s at %s (type %s, flags 0x%lx, \"%s\"): %s\n", one->source, point, one->type,
               flags, rest, strerror(errno));
        return false;
    }
    return mounts->count > 0;
}

void machine_unmount(const char *point)
{
    int64_t until = machine_now_ms() + MACHINE_MOST_MS;

    while (umount(point) < 0) {
        if (errno == EINVAL || errno == ENOENT) /* it is not mounted */
            return;
        if (errno != EBUSY || machine_now_ms() > until)
            err(1, "unmount %s", point);
        machine_pause();
    }
}

unsigned machine_mounts(const char *folder)
{
    char *line = NULL, below[300];
    size_t room = 0;
    unsigned count = 0;
    FILE *mounts = fopen("/proc/self/mountinfo", "re");

    snprintf(below, sizeof(below), " %s/", folder);
    while (mounts && getline(&line, &room, mounts) >= 0)
        count += strstr(line, below) != NULL;
    free(line);
    if (mounts)
        fclose(mounts);
    return count;
}

unsigned machine_loops(const char *folder)
{
    char below[300];
    unsigned count = 0;
    struct dirent *entry;
    DIR *devices = opendir("/sys/block");

    snprintf(below, sizeof(below), "%s/", folder);
    while (devices && (entry = readdir(devices)) != NULL) {
        char path[512], line[4096];

        if (strncmp(entry->d_name, "loop", 4) != 0)
            continue;
        snprintf(path, sizeof(path), "/sys/block/%s/loop/backing_file", entry->d_name);
        FILE *file = fopen(path, "re");
        count +=
            file && fgets(line, sizeof(line), file) && strncmp(line, below, strlen(below)) == 0;
        if (file)
            fclose(file);
    }
    if (devices)
        closedir(devices);
    return count;
}

void machine_wait_for_loops(const char *folder)
{
    int64_t until = machine_now_ms() + MACHINE_MOST_MS;

    while (machine_loops(folder) > 0 && machine_now_ms() < until)
        machine_pause();
}
