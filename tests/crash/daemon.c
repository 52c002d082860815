/* SPDX-License-Identifier: Apache-2.0 */
#include "crash/daemon.h"

#include "base/scoped.h"
#include "crash/machine.h"
#include "crash/storage.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define POOL_SIZE "4GiB"

static void make_folder(const char *path)
{
    if (mkdir(path, 0755) < 0 && errno != EEXIST)
        err(1, "make %s", path);
}

static void write_settings(const struct daemon *daemon)
{
    const char *text = daemon->setup->storage->settings;
    scoped_fd int file = open(daemon->settings, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (file < 0 || write(file, text, strlen(text)) != (ssize_t)strlen(text))
        err(1, "write %s", daemon->settings);
}

void daemon_init(struct daemon *daemon, const struct daemon_setup *setup, const char *root)
{
    const char *slash = strrchr(root, '/');
    const char *name = slash ? slash + 1 : root, *folder = setup->folder;

    *daemon = (struct daemon){.setup = setup};
    snprintf(daemon->root, sizeof(daemon->root), "%s/%s", folder, root);
    snprintf(daemon->socket, sizeof(daemon->socket), "%s/%s.sock", folder, name);
    snprintf(daemon->settings, sizeof(daemon->settings), "%s/%s.toml", folder, name);
    snprintf(daemon->log, sizeof(daemon->log), "%s/%s.log", folder, name);
    snprintf(daemon->mounts, sizeof(daemon->mounts), "%s/%s.mounts", folder, name);
    make_folder(daemon->root);
    make_folder(daemon->mounts);
    write_settings(daemon);
}

/* ---- the process ---- */

/* In the child: the daemon ends with this program. */
static void run(const struct daemon *daemon, const char *step, pid_t parent)
{
    const struct daemon_setup *setup = daemon->setup;
    sigset_t none;
    int log = open(daemon->log, O_WRONLY | O_CREAT | O_APPEND, 0644);

    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent || log < 0 ||
        dup2(log, STDERR_FILENO) < 0 || dup2(log, STDOUT_FILENO) < 0)
        _exit(126);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (step)
        setenv("COWSNAP_STEP", step, 1);
    execl(setup->program, "cowsnapd", "--config", daemon->settings, "--root", daemon->root,
          "--address", daemon->socket, "--content-root", setup->content, "--backend",
          setup->storage->name, "--pool-size", POOL_SIZE, NULL);
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
    int64_t begun = machine_now_ms(), most = (int64_t)DAEMON_START_MOST_MS * daemon->setup->slow;
    struct reason why;

    daemon_spawn(daemon, step);
    while (client_open(client, daemon->socket, &why) != 0) {
        if (!daemon_runs(daemon))
            return false;
        if (machine_now_ms() - begun > most)
            errx(1, "the daemon does not answer %" PRId64 " ms after its start: %s", most,
                 why.text);
        machine_pause();
    }
    *took_ms = machine_now_ms() - begun;
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

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

bool daemon_forget(const struct daemon *daemon)
{
    const struct storage *storage = daemon->setup->storage;
    char path[512];

    storage->detach(daemon);
    snprintf(path, sizeof(path), "%s/%s", daemon->root, storage->unfinished);
    bool unfinished = access(path, F_OK) == 0;
    if (nftw(daemon->root, remove_entry, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) != 0)
        err(1, "remove %s", daemon->root);
    return !unfinished;
}
