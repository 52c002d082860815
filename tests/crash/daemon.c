/* SPDX-License-Identifier: Apache-2.0 */
#include "crash/daemon.h"

#include "backends/btrfs/pool.h"
#include "base/scoped.h"

#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#define POOL_SIZE "4GiB"
/* Another program that looks at a loop device holds up its end for a moment. */
#define UNMOUNT_MOST_MS 10000

int64_t daemon_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void daemon_pause(void)
{
    const struct timespec moment = {.tv_nsec = 1000000};

    nanosleep(&moment, NULL);
}

void daemon_init(struct daemon *daemon, const char *program, const char *folder, const char *root,
                 const char *content)
{
    const char *slash = strrchr(root, '/');
    const char *name = slash ? slash + 1 : root;

    *daemon = (struct daemon){.program = program};
    snprintf(daemon->root, sizeof(daemon->root), "%s/%s", folder, root);
    snprintf(daemon->socket, sizeof(daemon->socket), "%s/%s.sock", folder, name);
    snprintf(daemon->content, sizeof(daemon->content), "%s", content);
    snprintf(daemon->log, sizeof(daemon->log), "%s/%s.log", folder, name);
    if (mkdir(daemon->root, 0755) < 0)
        err(1, "make %s", daemon->root);
}

/* ---- the process ---- */

/* In the child: the daemon ends with this program. */
static void run(const struct daemon *daemon, const char *step, pid_t parent)
{
    int log = open(daemon->log, O_WRONLY | O_CREAT | O_APPEND, 0644);

    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent || log < 0 ||
        dup2(log, STDERR_FILENO) < 0 || dup2(log, STDOUT_FILENO) < 0)
        _exit(126);
    if (step)
        setenv("COWSNAP_STEP", step, 1);
    execl(daemon->program, "cowsnapd", "--config", "/dev/null", "--root", daemon->root, "--address",
          daemon->socket, "--content-root", daemon->content, "--pool-size", POOL_SIZE, NULL);
    _exit(127);
}

bool daemon_runs(struct daemon *daemon)
{
    if (daemon->pid > 0 && waitpid(daemon->pid, &daemon->status, WNOHANG) == daemon->pid)
        daemon->pid = 0;
    return daemon->pid > 0;
}

bool daemon_was_killed(const struct daemon *daemon)
{
    return daemon->pid == 0 && WIFSIGNALED(daemon->status) && WTERMSIG(daemon->status) == SIGKILL;
}

void daemon_end(struct daemon *daemon, int signal_number)
{
    if (daemon->pid == 0)
        return;
    kill(daemon->pid, signal_number);
    while (waitpid(daemon->pid, &daemon->status, 0) < 0 && errno == EINTR)
        ;
    daemon->pid = 0;
}

void daemon_spawn(struct daemon *daemon, const char *step)
{
    pid_t parent = getpid();

    daemon->pid = fork();
    if (daemon->pid < 0)
        err(1, "fork");
    if (daemon->pid == 0)
        run(daemon, step, parent);
}

bool daemon_start(struct daemon *daemon, const char *step, struct client **client, int64_t *took_ms)
{
    int64_t begun = daemon_now_ms();
    struct reason why;

    daemon_spawn(daemon, step);
    while (client_open(client, daemon->socket, &why) != 0) {
        if (!daemon_runs(daemon))
            return false;
        if (daemon_now_ms() - begun > DAEMON_START_MOST_MS)
            errx(1, "the daemon does not answer %d ms after its start: %s", DAEMON_START_MOST_MS,
                 why.text);
        daemon_pause();
    }
    *took_ms = daemon_now_ms() - begun;
    return true;
}

char *daemon_steps(const char *program)
{
    char *names = NULL;
    size_t length = 0;
    int ends[2];
    pid_t child;

    if (pipe(ends) < 0 || (child = fork()) < 0)
        err(1, "run %s", program);
    if (child == 0) {
        setenv("COWSNAP_STEP", "list", 1);
        dup2(ends[1], STDOUT_FILENO);
        execl(program, "cowsnapd", NULL);
        _exit(127);
    }
    close(ends[1]);
    FILE *from = fdopen(ends[0], "r");
    if (!from || getdelim(&names, &length, '\0', from) < 0)
        errx(1, "%s names no steps: it must be built with COWSNAP_STEPS", program);
    fclose(from);
    waitpid(child, NULL, 0);
    return names;
}

/* ---- what it leaves ---- */

void daemon_pool_path(const struct daemon *daemon, char path[512])
{
    snprintf(path, 512, "%s/pool", daemon->root);
}

void daemon_volume_path(const struct daemon *daemon, uint64_t id, char path[512])
{
    snprintf(path, 512, "%s/pool/%02x/%llu", daemon->root, (unsigned)(id % POOL_SHARDS),
             (unsigned long long)id);
}

void daemon_unmount(const char *point)
{
    int64_t until = daemon_now_ms() + UNMOUNT_MOST_MS;

    while (umount(point) < 0) {
        if (errno == EINVAL || errno == ENOENT) /* it is not mounted */
            return;
        if (errno != EBUSY || daemon_now_ms() > until)
            err(1, "unmount %s", point);
        daemon_pause();
    }
}

void daemon_unmount_pool(const struct daemon *daemon)
{
    int64_t until = daemon_now_ms() + UNMOUNT_MOST_MS;
    char path[512];

    daemon_pool_path(daemon, path);
    daemon_unmount(path);
    while (daemon_loops(daemon) > 0 && daemon_now_ms() < until)
        daemon_pause();
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

bool daemon_forget(const struct daemon *daemon)
{
    char path[512];

    daemon_unmount_pool(daemon);
    snprintf(path, sizeof(path), "%s/pool.img.new", daemon->root);
    bool unfinished = access(path, F_OK) == 0;
    if (nftw(daemon->root, remove_entry, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) != 0)
        err(1, "remove %s", daemon->root);
    return !unfinished;
}

static bool is_number(const char *name)
{
    return name[0] && strspn(name, "0123456789") == strlen(name);
}

uint64_t *daemon_volumes(const struct daemon *daemon, size_t *count)
{
    uint64_t *ids = NULL;

    *count = 0;
    for (unsigned shard = 0; shard < POOL_SHARDS; shard++) {
        char path[512];
        struct dirent *entry;

        snprintf(path, sizeof(path), "%s/pool/%02x", daemon->root, shard);
        DIR *folder = opendir(path);
        while (folder && (entry = readdir(folder)) != NULL) {
            if (!is_number(entry->d_name))
                continue;
            ids = reallocarray(ids, *count + 1, sizeof(*ids));
            if (!ids)
                err(1, "memory");
            ids[(*count)++] = strtoull(entry->d_name, NULL, 10);
        }
        if (folder)
            closedir(folder);
    }
    return ids;
}

unsigned daemon_mounts(const struct daemon *daemon)
{
    char *line = NULL, below[300];
    size_t room = 0;
    unsigned count = 0;
    FILE *mounts = fopen("/proc/self/mountinfo", "re");

    snprintf(below, sizeof(below), " %s/", daemon->root);
    while (mounts && getline(&line, &room, mounts) >= 0)
        count += strstr(line, below) != NULL;
    free(line);
    if (mounts)
        fclose(mounts);
    return count;
}

unsigned daemon_loops(const struct daemon *daemon)
{
    char image[300];
    unsigned count = 0;
    struct dirent *entry;
    DIR *devices = opendir("/sys/block");

    snprintf(image, sizeof(image), "%s/pool.img\n", daemon->root);
    while (devices && (entry = readdir(devices)) != NULL) {
        char path[512], line[4096];

        if (strncmp(entry->d_name, "loop", 4) != 0)
            continue;
        snprintf(path, sizeof(path), "/sys/block/%s/loop/backing_file", entry->d_name);
        FILE *file = fopen(path, "re");
        count += file && fgets(line, sizeof(line), file) && strcmp(line, image) == 0;
        if (file)
            fclose(file);
    }
    if (devices)
        closedir(devices);
    return count;
}
