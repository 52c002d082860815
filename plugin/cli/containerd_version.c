/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/containerd_version.h"

#include "base/scoped.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>

static bool take_number(struct bytes *text, unsigned *number)
{
    size_t digits = 0;
    unsigned value = 0;

    for (; digits < text->length && text->data[digits] >= '0' && text->data[digits] <= '9';
         digits++)
        value = value < VERSION_NEWEST ? value * 10 + text->data[digits] - '0' : value;
    if (digits == 0)
        return false;
    *number = value < VERSION_NEWEST ? value : VERSION_NEWEST - 1;
    *text = bytes_from(text->data + digits, text->length - digits);
    return true;
}

static bool take(struct bytes *text, char wanted)
{
    if (text->length == 0 || *text->data != (uint8_t)wanted)
        return false;
    *text = bytes_from(text->data + 1, text->length - 1);
    return true;
}

int containerd_version_parse(struct containerd_version *version, struct bytes text,
                             struct reason *why)
{
    struct containerd_version read = {VERSION_NEWEST, VERSION_NEWEST, VERSION_NEWEST};
    static const char marks[] = {'~', '+', '-'}; /* of what may follow, as in 2.0.0-rc.1 */
    struct bytes rest = text;
    bool good;

    take(&rest, 'v');
    good = take_number(&rest, &read.major);
    if (good && take(&rest, '.'))
        good = take_number(&rest, &read.minor);
    if (good && read.minor != VERSION_NEWEST && take(&rest, '.'))
        good = take_number(&rest, &read.patch);
    if (!good || (rest.length > 0 && !memchr(marks, *rest.data, sizeof(marks))))
        return refuse(why, CONDITION_INVALID,
                      "%s is no version of containerd; write one such as 1.7.24, 1.7 or 2",
                      quoted(text));
    if (!containerd_version_since(&read, 1, 6, 0))
        return refuse(why, CONDITION_UNIMPLEMENTED,
                      "containerd %s is too old: cowsnap works with 1.6 and newer", quoted(text));
    *version = read;
    return 0;
}

int containerd_version_read(struct containerd_version *version, struct bytes output,
                            struct reason *why)
{
    const uint8_t *at = output.data, *end = output.data + output.length;
    struct bytes word = {0};

    /* "containerd github.com/containerd/containerd v1.7.24 88bf19b2105c…" */
    for (int i = 0; i < 3; i++) {
        while (at < end && (*at == ' ' || *at == '\n'))
            at++;
        word = bytes_from(at, 0);
        while (at < end && *at != ' ' && *at != '\n')
            at++;
        word.length = (size_t)(at - word.data);
    }
    if (word.length == 0)
        return refuse(why, CONDITION_INVALID, "%s names no version", quoted(output));
    return containerd_version_parse(version, word, why);
}

/* Runs it with its standard output at the end of a pipe. */
static int start(pid_t *pid, int *output, struct reason *why)
{
    static char name[] = "containerd", flag[] = "--version";
    char *const arguments[] = {name, flag, NULL};
    posix_spawn_file_actions_t actions;
    int ends[2];
    int error;

    if (pipe2(ends, O_CLOEXEC))
        return failure(why, errno, "make a pipe");
    error = posix_spawn_file_actions_init(&actions);
    if (error == 0) {
        error = posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
        if (error == 0)
            error = posix_spawnp(pid, name, &actions, NULL, arguments, environ);
        posix_spawn_file_actions_destroy(&actions);
    }
    close(ends[1]);
    *output = ends[0];
    if (error == ENOENT)
        return refuse(why, CONDITION_NOT_FOUND, "there is no containerd in PATH");
    return error ? failure(why, error, "run containerd --version") : 0;
}

int containerd_version_ask(struct containerd_version *version, struct reason *why)
{
    char output[512];
    size_t used = 0;
    scoped_fd int fd = -1;
    pid_t pid = -1;
    int state;
    int result = start(&pid, &fd, why);

    if (result)
        return result;
    for (;;) {
        ssize_t got = read(fd, output + used, sizeof(output) - used);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        used += (size_t)got;
    }
    /* closed before the wait: one that prints without end gets SIGPIPE and ends */
    close(take_fd(&fd));
    while (waitpid(pid, &state, 0) < 0)
        if (errno != EINTR)
            return failure(why, errno, "wait for containerd --version");
    result = containerd_version_read(version, bytes_from(output, used), why);
    return result ? amend(why, result, "containerd --version") : 0;
}

bool containerd_version_since(const struct containerd_version *version, unsigned major,
                              unsigned minor, unsigned patch)
{
    if (version->major != major)
        return version->major > major;
    if (version->minor != minor)
        return version->minor > minor;
    return version->patch >= patch;
}

const char *containerd_version_text(const struct containerd_version *version,
                                    char buffer[VERSION_ROOM])
{
    int used = snprintf(buffer, VERSION_ROOM, "%u", version->major);

    if (version->minor != VERSION_NEWEST)
        used += snprintf(buffer + used, VERSION_ROOM - (size_t)used, ".%u", version->minor);
    if (version->patch != VERSION_NEWEST)
        snprintf(buffer + used, VERSION_ROOM - (size_t)used, ".%u", version->patch);
    return buffer;
}
