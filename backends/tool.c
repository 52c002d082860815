/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/tool.h"

#include "base/bytes.h"
#include "base/scoped.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define TOOL_FILE_NUMBER 3

/* A service's PATH often lacks the last three. */
static const char *const tool_places[] = {"", "/usr/sbin/", "/sbin/", "/usr/local/sbin/"};

/* Starts it with its output going to OUTPUT; a positive errno, ENOENT when it is nowhere. */
static int tool_spawn(char *const *arguments, int file, int output, pid_t *child)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    char program[256];
    sigset_t none, all;
    int error;

    error = posix_spawn_file_actions_init(&actions);
    if (error != 0)
        return error;
    error = posix_spawnattr_init(&attributes);
    if (error != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return error;
    }

    /* the daemon blocks and ignores signals that its child should know as usual */
    sigemptyset(&none);
    sigfillset(&all);
    error = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    if (error == 0)
        error = posix_spawnattr_setsigmask(&attributes, &none);
    if (error == 0)
        error = posix_spawnattr_setsigdefault(&attributes, &all);
    if (error == 0)
        error = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (error == 0)
        error = posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    if (error == 0)
        error = posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
    if (error == 0)
        error = posix_spawn_file_actions_adddup2(&actions, file, TOOL_FILE_NUMBER);

    if (error == 0)
        error = ENOENT;
    for (size_t i = 0; error == ENOENT && i < sizeof(tool_places) / sizeof(*tool_places); i++) {
        snprintf(program, sizeof(program), "%s%s", tool_places[i], arguments[0]);
        error = posix_spawnp(child, program, &actions, &attributes, arguments, environ);
    }

    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

/* How often a program that says nothing is looked after. */
#define TOOL_LOOK_MS 200

/* Whether PIPE has something, or its end, to be read; false when the caller gives up first. */
static bool tool_wait(int pipe, const atomic_bool *cancel)
{
    struct pollfd wanted = {.fd = pipe, .events = POLLIN};

    while (poll(&wanted, 1, cancel ? TOOL_LOOK_MS : -1) <= 0)
        if (cancel && atomic_load(cancel))
            return false;
    return !cancel || !atomic_load(cancel);
}

/* Keeps the end of what comes from PIPE until it is closed; returns its length. Kills CHILD when
 * the caller gives up. */
static size_t tool_listen(int pipe, pid_t child, const atomic_bool *cancel, char *tail, size_t room)
{
    char part[512];
    size_t length = 0;

    for (;;) {
        if (!tool_wait(pipe, cancel)) {
            kill(child, SIGKILL); /* and its end of the pipe is closed */
            cancel = NULL;
        }
        ssize_t got = read(pipe, part, sizeof(part));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return length;

        size_t fresh = (size_t)got < room ? (size_t)got : room;
        size_t kept = length + fresh <= room ? length : room - fresh;
        memmove(tail, tail + (length - kept), kept);
        memcpy(tail + kept, part + ((size_t)got - fresh), fresh);
        length = kept + fresh;
    }
}

/* The last line of TAIL, quoted. */
static void tool_quote(const char *tail, size_t length, char words[TOOL_WORDS])
{
    while (length > 0 && tail[length - 1] == '\n')
        length--;
    const char *line = memrchr(tail, '\n', length);
    size_t start = line ? (size_t)(line - tail) + 1 : 0;

    words[0] = '\0';
    if (length > start)
        bytes_quote(bytes_from(tail + start, length - start), words, TOOL_WORDS);
}

int tool_ask(char *const *arguments, int file, const char *advice, const atomic_bool *cancel,
             struct tool_end *end, struct reason *why)
{
    const char *name = arguments[0];
    int ends[2], status;
    char tail[300];
    pid_t child;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return failure(why, errno, "pipe to %s", name);
    scoped_fd int reading = ends[0], writing = ends[1];

    int error = tool_spawn(arguments, file, writing, &child);
    if (error == ENOENT)
        return refuse(why, CONDITION_UNAVAILABLE, "%s is not installed: %s", name, advice);
    if (error != 0)
        return failure(why, error, "start %s", name);
    close(take_fd(&writing));
    size_t length = tool_listen(reading, child, cancel, tail, sizeof(tail));

    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return failure(why, errno, "wait for %s", name);
    if (cancel && atomic_load(cancel))
        return refuse(why, CONDITION_CANCELLED, "nobody waits for %s any more", name);
    end->status = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    tool_quote(tail, length, end->words);
    return 0;
}

int tool_run(char *const *arguments, int file, const char *advice, struct reason *why)
{
    struct tool_end end;
    int result = tool_ask(arguments, file, advice, NULL, &end, why);

    if (result != 0 || end.status == 0)
        return result;
    return failure(why, EIO, "%s ended with %s %d, its last words: %s", arguments[0],
                   end.status < 0 ? "signal" : "status", abs(end.status), end.words);
}
