/* SPDX-License-Identifier: Apache-2.0 */

/* cowsnapd: the order in which the parts start, and in which they stop. */

#include "backends/backend.h"
#include "base/disk.h"
#include "base/log.h"
#include "base/step.h"
#include "config/config.h"
#include "config/options.h"
#include "daemon/limits.h"
#include "daemon/notify.h"
#include "daemon/pool_options.h"
#include "daemon/root.h"
#include "daemon/signals.h"
#include "diff/diff.h"
#include "layer/io_engine.h"
#include "rpc/server.h"
#include "snapshot/snapshots.h"
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Statuses; 2 tells a service manager not to try again. */
enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* What is running; NULL and -1 for what is not. Each part borrows from those above it. */
struct daemon {
    struct config config;
    bool forget_volumes;
    struct root root;
    int manifests;
    struct store *store;
    const struct backend_ops *ops;
    struct backend *backend;
    struct snapshots *snapshots;
    const struct io_engine *engine;
    struct diff *diff;
    struct server *server;
};

static int daemon_open_storage(struct daemon *daemon, struct reason *why)
{
    const struct config *config = &daemon->config;
    struct store_options store = {.root = daemon->root.directory, .root_path = config->root};
    struct backend_options backend = pool_options(config, &daemon->root);
    struct store_figures figures;
    int result = store_open(&daemon->store, &store, why);

    if (!result)
        result = store_figures(daemon->store, &figures, why);
    if (result)
        return result;
    if (figures.snapshots > 0) /* or a disk that is not mounted would get a new pool in its place */
        backend.presence = POOL_KNOWN;
    return daemon->ops->open(&daemon->backend, &backend, why);
}

/* What was recorded can be looked at, and has to be removed, also when nothing more is. */
static int daemon_open_manifests(struct daemon *daemon, struct reason *why)
{
    const char name[] = "manifests";
    int root = daemon->root.directory;

    if (daemon->config.apply.record_content && mkdirat(root, name, 0700) < 0 && errno != EEXIST)
        return disk_failure(why, errno, daemon->config.root, "make the folder %s in root", name);
    daemon->manifests = openat(root, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (daemon->manifests < 0 && errno != ENOENT)
        return failure(why, errno, "open the folder %s in root", name);
    return 0;
}

static int daemon_open_services(struct daemon *daemon, struct reason *why)
{
    const struct config *config = &daemon->config;
    struct snapshots_options snapshots = {.store = daemon->store,
                                          .ops = daemon->ops,
                                          .backend = daemon->backend,
                                          .mount_style = config->pool.mount_style,
                                          .share_layers = config->snapshots.share_layers,
                                          .seal = config->snapshots.seal,
                                          .stock = config->snapshots.stock,
                                          .manifests = daemon->manifests,
                                          .forget_volumes = daemon->forget_volumes};
    int result = snapshots_open(&daemon->snapshots, &snapshots, why);

    if (result)
        return result;
    result = io_engine_choose(config->apply.io_engine, &daemon->engine, why);
    if (result)
        return result;

    struct diff_options diff = {.snapshots = daemon->snapshots,
                                .content_root = config->content_root,
                                .engine = daemon->engine,
                                .writers = config->apply.writers,
                                .verify_blobs = config->apply.verify_blobs,
                                .size_limit = config->apply.size_limit,
                                .ratio_limit = config->apply.ratio_limit,
                                .refuse_devices = !config->apply.allow_device_nodes,
                                .record_content = config->apply.record_content};

    result = diff_open(&daemon->diff, &diff, why);
    if (result)
        return result;

    struct server_options server = {.looks_are_short = daemon->ops->looks_are_short,
                                    .address = config->address,
                                    .snapshots = daemon->snapshots,
                                    .diff = daemon->diff,
                                    .facts = {.backend = daemon->ops->name,
                                              .io_engine = daemon->engine->name,
                                              .root = config->root,
                                              .address = config->address,
                                              .content_root = config->content_root},
                                    .workers = config->server.workers,
                                    .layers = config->apply.concurrent,
                                    .queue_limit = config->server.queue_limit};

    return server_open(&daemon->server, &server, why);
}

static void daemon_announce(struct daemon *daemon)
{
    struct pool_status pool = {0};
    struct reason why = {0};

    if (daemon->ops->status(daemon->backend, &pool, &why)) {
        log_warn("%s", why.text);
        snprintf(pool.description, sizeof(pool.description), "a pool of unknown state");
    }
    log_info("cowsnapd " COWSNAP_VERSION " serves %s: %s, %s, engine %s", daemon->config.address,
             daemon->ops->name, pool.description, daemon->engine->name);
}

static void daemon_notify(const char *state)
{
    struct reason why = {0};

    if (notify_send(state, &why))
        log_warn("%s", why.text);
}

static int daemon_start(struct daemon *daemon, struct reason *why)
{
    int result = backend_find(daemon->config.backend, &daemon->ops, why);

    if (result)
        return amend(why, result, "setting backend");
    result = root_open(&daemon->root, daemon->config.root, why);
    if (result)
        return result;
    result = daemon_open_storage(daemon, why);
    if (result)
        return result;
    result = daemon_open_manifests(daemon, why);
    if (result)
        return result;
    result = daemon_open_services(daemon, why);
    if (result)
        return result;
    daemon_announce(daemon);
    daemon_notify("READY=1");
    return 0;
}

/* Of whatever has started. Mounts stay: containers run on them. The lock goes last. */
static void daemon_stop(struct daemon *daemon)
{
    if (daemon->snapshots)
        snapshots_wind_down(daemon->snapshots);
    daemon->server = server_close(daemon->server, daemon->config.server.grace_seconds);
    daemon->diff = diff_close(daemon->diff);
    daemon->snapshots = snapshots_close(daemon->snapshots);
    if (daemon->backend)
        daemon->ops->close(daemon->backend);
    daemon->backend = NULL;
    daemon->store = store_close(daemon->store);
    if (daemon->manifests >= 0)
        close(daemon->manifests);
    daemon->manifests = -1;
    root_close(&daemon->root);
    config_clear(&daemon->config);
}

static int complain(int status, const struct reason *why)
{
    fprintf(stderr, "cowsnapd: %s\n", why->text);
    return status;
}

static int print(const char *text)
{
    fputs(text, stdout);
    return fflush(stdout) == 0 ? EXIT_DONE : EXIT_FAILED;
}

/* What is opened next must not become the standard error of a daemon that was started without one:
 * the log would be written into it. */
static void descriptors_begin(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

int main(int argc, char **argv)
{
    struct daemon daemon = {.root = ROOT_CLOSED, .manifests = -1};
    struct options options;
    struct reason why = {0};
    int result;

    steps_begin();
    if (options_parse(&options, argc, argv, &why))
        return complain(EXIT_USAGE, &why);
    if (options.help)
        return print(options_help);
    if (options.version)
        return print("cowsnapd " COWSNAP_VERSION "\n");

    descriptors_begin();
    umask(0); /* every mode is meant as it is written */
    signals_block();
    daemon.forget_volumes = options.forget_volumes;
    result = options_configure(&options, &daemon.config, &why);
    if (result) { /* what is refused here does not heal by itself, as a missing device may */
        config_clear(&daemon.config);
        return complain(result > 0 ? EXIT_USAGE : EXIT_FAILED, &why);
    }
    log_setup(daemon.config.log.level, daemon.config.log.format);
    limits_raise();
    result = daemon_start(&daemon, &why);
    if (result == 0) {
        int signal_number = signals_wait();

        log_info("SIG%s: stopping", sigabbrev_np(signal_number));
        daemon_notify("STOPPING=1");
    } else if (daemon.config.log.format == LOG_FORMAT_JSON) {
        log_error("%s", why.text); /* who reads it expects objects */
    } else {
        complain(EXIT_FAILED, &why);
    }
    daemon_stop(&daemon);
    if (result == 0)
        log_info("stopped");
    return result == 0 ? EXIT_DONE : EXIT_FAILED;
}
