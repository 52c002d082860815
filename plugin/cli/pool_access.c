/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/pool_access.h"

#include "base/log.h"
#include "config/options.h"
#include "daemon/pool_options.h"
#include "rpc/message.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void put_flag(struct options *options, const char *flag, const char *value)
{
    for (size_t i = 0; i < SETTINGS; i++)
        if (settings[i].flag && strcmp(settings[i].flag, flag) == 0)
            options->values[i] = value;
}

static int read_settings(struct pool_access *access, const struct arguments *arguments,
                         struct reason *why)
{
    struct options options = {.config_file = arguments->values[POOL_FLAG_CONFIG]};

    put_flag(&options, "root", arguments->values[POOL_FLAG_ROOT]);
    put_flag(&options, "backend", arguments->values[POOL_FLAG_BACKEND]);
    put_flag(&options, "address", arguments->address);
    return options_configure(&options, &access->config, why);
}

/* By whatever names. */
static bool is_same_folder(const char *left, const char *right)
{
    struct stat one, other;

    return strcmp(left, right) == 0 || (stat(left, &one) == 0 && stat(right, &other) == 0 &&
                                        one.st_dev == other.st_dev && one.st_ino == other.st_ino);
}

/* Whether a daemon answers, and the pool is its. */
static int ask_daemon(struct pool_access *access, const struct arguments *arguments,
                      struct reason *why)
{
    const char *backend = arguments->values[POOL_FLAG_BACKEND];
    struct arguments there = *arguments;
    int result;

    there.address = access->config.address;
    result = daemon_connect(&access->daemon, &there, why);
    if (result == CONDITION_UNAVAILABLE) /* nobody listens */
        return 0;
    if (result == 0)
        result = daemon_status(&access->daemon, &access->status, why);
    if (result)
        return result;
    access->served = !arguments->values[POOL_FLAG_ROOT] ||
                     is_same_folder(access->status->root, access->config.root);
    if (access->served && backend && strcmp(access->status->backend, backend) != 0)
        return refuse(why, CONDITION_PRECONDITION,
                      "cowsnapd runs (process %lld, root %s) with the backend %s, not %s: leave "
                      "--backend out, or stop it first",
                      (long long)access->status->pid, access->status->root, access->status->backend,
                      backend);
    return 0;
}

int pool_access_begin(struct pool_access *access, const struct arguments *arguments,
                      struct reason *why)
{
    int result;

    *access = (struct pool_access){.root = ROOT_CLOSED};
    log_setup(LOG_LEVEL_WARN, LOG_FORMAT_TEXT); /* what is done is told by the command */
    result = read_settings(access, arguments, why);
    return result ? result : ask_daemon(access, arguments, why);
}

void pool_access_end(struct pool_access *access)
{
    if (access->backend)
        access->ops->close(access->backend);
    access->backend = NULL;
    root_close(&access->root);
    message_free_at(&access->status);
    daemon_disconnect(&access->daemon);
    config_clear(&access->config);
}

int pool_access_lock(struct pool_access *access, bool make, struct reason *why)
{
    const char *path = access->config.root;
    int result;

    if (geteuid() != 0)
        return refuse(why, CONDITION_PRECONDITION,
                      "only root may open the pool of %s: run this as root", path);
    if (!make && faccessat(AT_FDCWD, path, F_OK, 0) < 0 && errno == ENOENT)
        return refuse(why, CONDITION_NOT_FOUND,
                      "there is no pool, and no root folder %s: `cowsnap pool create` makes both, "
                      "or the first start of cowsnapd",
                      quoted(bytes_of(path)));
    umask(0); /* every mode is meant as it is written */
    result = backend_find(access->config.backend, &access->ops, why);
    if (result)
        return amend(why, result, "setting backend");
    result = root_open(&access->root, path, why);
    if (result == CONDITION_UNAVAILABLE)
        return amend(why, result, "nobody listens on %s (--address names another socket), but",
                     access->config.address);
    return result;
}

struct backend_options pool_access_options(const struct pool_access *access,
                                           enum pool_presence presence)
{
    struct backend_options options = pool_options(&access->config, &access->root);

    options.presence = presence;
    if (presence != POOL_ABSENT)
        options.pool_size = 0; /* a pool that is there is not to grow by being looked at */
    return options;
}

int pool_access_open(struct pool_access *access, enum pool_presence presence, struct reason *why)
{
    struct backend_options options = pool_access_options(access, presence);

    return access->ops->open(&access->backend, &options, why);
}

int pool_access_explain(const struct pool_access *access, int result, struct reason *why)
{
    size_t length = strlen(why->text), tail;
    const char *name;

    if (result <= 0 || result == CONDITION_UNIMPLEMENTED || result == CONDITION_DEADLINE)
        return daemon_explain(&access->daemon, result, why);
    /* the ending is for containerd's clients */
    name = condition_name((enum condition)result);
    tail = strlen(name) + 2;
    if (length > tail && strcmp(why->text + length - tail + 2, name) == 0 &&
        memcmp(why->text + length - tail, ": ", 2) == 0)
        why->text[length - tail] = '\0';
    return result;
}
