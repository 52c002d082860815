/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The rules of snapshots over a real store, and the configuration, without memory; the backend
 * keeps no files and is not counted on.
 */

#include "config/config.h"
#include "config/options.h"
#include "inject/turns.h"
#include "snapshot/check.h"
#include "snapshot/labels.h"
#include "unit/snapshot/rig.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the state: a layer, a child and a view of it, an active snapshot, a removed one ---- */

static void must(int result)
{
    if (result)
        errx(2, "the state cannot be made");
}

static void *begin_service(void)
{
    void *rig;

    rig_setup(&rig);
    must(rig_prepare_ref(rig, "layer-active", "", "ref"));
    must(rig_commit_ref(rig, "layer", "layer-active", "ref"));
    must(rig_prepare(rig, "child", "layer"));
    must(rig_view(rig, "view", "layer"));
    must(rig_prepare(rig, "active", ""));
    must(rig_prepare(rig, "removed", ""));
    must(rig_remove(rig, "removed"));
    return rig;
}

/* A volume that nobody knows. */
static void *begin_damaged(void)
{
    struct rig *rig = begin_service();

    memory_backend_plant(rig->backend, 999);
    return rig;
}

static void end_service(void *rig)
{
    must(rig_teardown(&rig));
}

struct text {
    char *at;
    size_t room;
};

static int write_snapshot(void *context, const struct snapshot_info *info, struct reason *why)
{
    struct text *text = context;
    size_t used = strlen(text->at);

    (void)why;
    used +=
        (size_t)snprintf(text->at + used, text->room - used, "%.*s(%d,%.*s", (int)info->key.length,
                         (const char *)info->key.data, info->kind, (int)info->parent.length,
                         info->parent.length ? (const char *)info->parent.data : "");
    for (size_t i = 0; i < info->label_count; i++)
        used += (size_t)snprintf(
            text->at + used, text->room - used, ",%.*s=%.*s", (int)info->labels[i].key.length,
            (const char *)info->labels[i].key.data, (int)info->labels[i].value.length,
            (const char *)info->labels[i].value.data);
    snprintf(text->at + used, text->room - used, ") ");
    return 0;
}

/* All snapshots, and whether any volume is there that none of them has. */
static void describe_service(void *state, char *text, size_t room)
{
    struct rig *rig = state;
    struct text into = {text, room};
    struct snapshots_figures figures;
    size_t used;

    must(rig_cleanup(rig));
    must(snapshots_list(rig->snapshots, NULL, 0, write_snapshot, &into, NULL));
    must(snapshots_figures(rig->snapshots, &figures, NULL));
    used = strlen(text);
    snprintf(text + used, room - used, "and %lld volumes of none, %llu intents, %llu holds",
             (long long)(memory_backend_count(rig->backend) -
                         (figures.store.snapshots - 1)), /* the view has none */
             (unsigned long long)figures.store.intents, (unsigned long long)figures.holds);
}

/* ---- the calls ---- */

static const struct label labels[] = {{{(const uint8_t *)"k", 1}, {(const uint8_t *)"v", 1}},
                                      {{(const uint8_t *)"l", 1}, {(const uint8_t *)"w", 1}}};

static int make(struct rig *rig, bool view, const char *parent, struct reason *why)
{
    struct mounts mounts = {0};
    int result = (view ? snapshots_view : snapshots_prepare)(
        rig->snapshots, bytes_of("new"), bytes_of(parent), labels, 2, &mounts, why);

    mounts_clear(&mounts);
    return result;
}

static int prepare(void *state, struct reason *why)
{
    return make(state, false, "", why);
}

static int prepare_child(void *state, struct reason *why)
{
    return make(state, false, "layer", why);
}

static int view(void *state, struct reason *why)
{
    return make(state, true, "layer", why);
}

static int commit(void *state, struct reason *why)
{
    struct rig *rig = state;

    return snapshots_commit(rig->snapshots, bytes_of("new"), bytes_of("child"), bytes_of("layer"),
                            labels, 2, why);
}

static int remove_one(void *state, struct reason *why)
{
    struct rig *rig = state;

    return snapshots_remove(rig->snapshots, bytes_of("active"), why);
}

static int look(void *context, const struct snapshot_info *info, struct reason *why)
{
    (void)context;
    (void)info;
    (void)why;
    return 0;
}

static int update(void *state, struct reason *why)
{
    struct rig *rig = state;
    const struct bytes paths[] = {bytes_of("labels.k"), bytes_of("labels.l")};

    return snapshots_update(rig->snapshots, bytes_of("layer"), labels, 2, paths, 2, look, NULL,
                            why);
}

static int stat_one(void *state, struct reason *why)
{
    struct rig *rig = state;

    return snapshots_stat(rig->snapshots, bytes_of("layer"), look, NULL, why);
}

static int list(void *state, struct reason *why)
{
    struct rig *rig = state;
    const struct bytes filters[] = {bytes_of("kind==active,labels.\"a b\"!=x"),
                                    bytes_of("name~=^lay,parent==''")};

    return snapshots_list(rig->snapshots, filters, 2, look, NULL, why);
}

static int mounts_of(void *state, struct reason *why)
{
    struct rig *rig = state;
    struct mounts mounts = {0};
    int result = snapshots_mounts(rig->snapshots, bytes_of("child"), &mounts, why);

    mounts_clear(&mounts);
    return result;
}

static int usage(void *state, struct reason *why)
{
    struct rig *rig = state;
    struct volume_usage usage;

    return snapshots_usage(rig->snapshots, bytes_of("child"), &usage, why);
}

static int cleanup(void *state, struct reason *why)
{
    struct rig *rig = state;

    return snapshots_cleanup(rig->snapshots, NULL, why);
}

static int figures(void *state, struct reason *why)
{
    struct rig *rig = state;
    struct snapshots_figures figures;

    return snapshots_figures(rig->snapshots, &figures, why);
}

static int see_finding(void *context, const struct check_finding *finding, struct reason *why)
{
    (void)context;
    (void)finding;
    (void)why;
    return 0;
}

static int check(void *state, struct reason *why)
{
    struct rig *rig = state;

    return snapshots_check(rig->snapshots, true, see_finding, NULL, why);
}

/* An end and a new start, as the daemon makes them; a start that fails is made again. */
static int start_again(void *state, struct reason *why)
{
    struct rig *rig = state;
    struct store_options store = {.root = rig->root, .root_path = rig->path};
    struct snapshots_options options = {.ops = &backend_memory,
                                        .backend = rig->backend,
                                        .mount_style = MOUNT_STYLE_BIND,
                                        .share_layers = true,
                                        .seal = true};
    int result;

    rig_stop(rig);
    result = store_open(&rig->store, &store, why);
    options.store = rig->store;
    if (!result)
        result = snapshots_open(&rig->snapshots, &options, why);
    if (result) {
        rig->store = store_close(rig->store);
        rig_start(rig);
    }
    return result;
}

#define SERVICE(name, act)                                                                         \
    {                                                                                              \
        name, begin_service, act, describe_service, end_service, false, false                      \
    }

/* ---- the configuration ---- */

struct configuration {
    struct config config;
    char path[64];
};

static void *begin_configuration(void)
{
    struct configuration *made = calloc(1, sizeof(*made));
    static const char document[] = "root = '/r'\n[pool]\npath = '/p'\n"
                                   "[log]\nlevel = 'error'\n[server]\nworkers = 3\n";
    int fd;

    if (!made)
        errx(2, "memory is out");
    strcpy(made->path, "/tmp/cowsnap-inject-XXXXXX");
    fd = mkstemp(made->path);
    if (fd < 0 || write(fd, document, sizeof(document) - 1) < 0)
        err(2, "%s", made->path);
    close(fd);
    return made;
}

static void end_configuration(void *state)
{
    struct configuration *made = state;

    config_clear(&made->config);
    unlink(made->path);
    free(made);
}

static int configure(void *state, struct reason *why)
{
    struct configuration *made = state;
    char file[80];
    char *arguments[] = {"cowsnapd", "--address", "/a", "--config", file, NULL};
    struct options options = {0};
    int result;

    config_clear(&made->config);
    made->config = (struct config){0};
    snprintf(file, sizeof(file), "%s", made->path);
    result = options_parse(&options, 5, arguments, why);
    return result ? result : options_configure(&options, &made->config, why);
}

int main(void)
{
    static const struct turn_call calls[] = {
        SERVICE("Prepare", prepare),
        SERVICE("Prepare of a child", prepare_child),
        SERVICE("View", view),
        SERVICE("Commit", commit),
        SERVICE("Remove", remove_one),
        SERVICE("Update", update),
        SERVICE("Stat", stat_one),
        SERVICE("List", list),
        SERVICE("Mounts", mounts_of),
        SERVICE("Usage", usage),
        SERVICE("Cleanup", cleanup),
        SERVICE("status", figures),
        {"check", begin_damaged, check, describe_service, end_service, false, false},
        SERVICE("start", start_again),
        {"configuration", begin_configuration, configure, NULL, end_configuration, false, false},
    };
    struct turns turns = {0};

    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
        turns_take(&turns, &calls[i], SHIM_MEMORY, 0);
    return turns_end(&turns, "allocations of the rules, the store and the configuration");
}
