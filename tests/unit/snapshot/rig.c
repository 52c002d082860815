/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/snapshot/rig.h"

#include "base/log.h"
#include "snapshot/labels.h"
#include "unit/cmocka_setup.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int rig_try_start(struct rig *rig)
{
    struct store_options store = {.root = rig->root, .root_path = rig->path};
    struct snapshots_options options = {
        .ops = rig->ops ? rig->ops : &backend_memory,
        .backend = rig->front ? rig->front : rig->backend,
        .mount_style = MOUNT_STYLE_BIND,
        .share_layers = true,
        .seal = true,
        .stock = rig->stock,
        .manifests = rig->manifests,
        .forget_volumes = rig->forget_volumes,
    };

    rig->why = (struct reason){0};
    if (store_open(&rig->store, &store, &rig->why)) {
        print_error("%s\n", rig->why.text);
        fail();
    }
    options.store = rig->store;
    return snapshots_open(&rig->snapshots, &options, &rig->why);
}

void rig_start(struct rig *rig)
{
    assert_int_equal(rig_try_start(rig), 0);
}

void rig_stop(struct rig *rig)
{
    rig->snapshots = snapshots_close(rig->snapshots);
    rig->store = store_close(rig->store);
}

void rig_restart(struct rig *rig)
{
    rig_stop(rig);
    rig_start(rig);
}

int rig_setup(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    const char *scratch = getenv("TMPDIR");
    int length;

    log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
    length = snprintf(rig->path, sizeof(rig->path), "%s/cowsnap-snapshot-XXXXXX",
                      scratch ? scratch : "/tmp");
    assert_in_range(length, 1, sizeof(rig->path) - 1);
    assert_non_null(mkdtemp(rig->path));
    rig->root = open(rig->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    rig->backend = memory_backend_new();
    rig_start(rig);
    *state = rig;
    return 0;
}

int rig_teardown(void **state)
{
    struct rig *rig = *state;
    char command[sizeof(rig->path) + 16];

    rig_stop(rig);
    backend_memory.close(rig->backend);
    close(rig->root);
    snprintf(command, sizeof(command), "rm -rf '%s'", rig->path);
    free(rig);
    return system(command);
}

static int prepare(struct rig *rig, const char *key, const char *parent, const struct label *labels,
                   size_t count)
{
    struct mounts mounts = {0};
    int result;

    rig->why = (struct reason){0};
    result = snapshots_prepare(rig->snapshots, bytes_of(key), bytes_of(parent), labels, count,
                               &mounts, &rig->why);
    mounts_clear(&mounts);
    return result;
}

int rig_prepare(struct rig *rig, const char *key, const char *parent)
{
    return prepare(rig, key, parent, NULL, 0);
}

int rig_prepare_ref(struct rig *rig, const char *key, const char *parent, const char *ref)
{
    const struct label label = {bytes_of(LABEL_REF), bytes_of(ref)};

    return prepare(rig, key, parent, &label, 1);
}

int rig_view(struct rig *rig, const char *key, const char *parent)
{
    struct mounts mounts = {0};
    int result;

    rig->why = (struct reason){0};
    result = snapshots_view(rig->snapshots, bytes_of(key), bytes_of(parent), NULL, 0, &mounts,
                            &rig->why);
    mounts_clear(&mounts);
    return result;
}

int rig_commit(struct rig *rig, const char *name, const char *key)
{
    rig->why = (struct reason){0};
    return snapshots_commit(rig->snapshots, bytes_of(name), bytes_of(key), bytes_of(NULL), NULL, 0,
                            &rig->why);
}

int rig_commit_ref(struct rig *rig, const char *name, const char *key, const char *ref)
{
    const struct label label = {bytes_of(LABEL_REF), bytes_of(ref)};

    rig->why = (struct reason){0};
    return snapshots_commit(rig->snapshots, bytes_of(name), bytes_of(key), bytes_of(NULL), &label,
                            1, &rig->why);
}

int rig_remove(struct rig *rig, const char *key)
{
    rig->why = (struct reason){0};
    return snapshots_remove(rig->snapshots, bytes_of(key), &rig->why);
}

int rig_cleanup(struct rig *rig)
{
    return snapshots_cleanup(rig->snapshots, NULL, &rig->why);
}

static int take_id(void *context, const struct snapshot_info *info, struct reason *why)
{
    (void)why;
    *(uint64_t *)context = info->id;
    return 0;
}

uint64_t rig_id(struct rig *rig, const char *key)
{
    uint64_t id = 0;

    snapshots_stat(rig->snapshots, bytes_of(key), take_id, &id, NULL);
    return id;
}

static char listing[4096];

static int append(void *context, const struct snapshot_info *info, struct reason *why)
{
    static const char *const kinds[] = {"?", "view", "active", "committed"};
    size_t used = strlen(listing);

    (void)context;
    (void)why;
    snprintf(listing + used, sizeof(listing) - used, "%s%.*s(%s,%.*s)", used ? " " : "",
             (int)info->key.length, (const char *)info->key.data, kinds[info->kind],
             (int)info->parent.length, info->parent.length ? (const char *)info->parent.data : "");
    return 0;
}

const char *rig_list(struct rig *rig)
{
    listing[0] = '\0';
    assert_int_equal(snapshots_list(rig->snapshots, NULL, 0, append, NULL, NULL), 0);
    return listing;
}
