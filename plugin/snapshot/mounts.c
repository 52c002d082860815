/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/mounts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool mounts_make(struct mounts *mounts, size_t count)
{
    *mounts = (struct mounts){0};
    mounts->items = calloc(count ? count : 1, sizeof(*mounts->items));
    if (!mounts->items)
        return false;
    mounts->count = count;
    return true;
}

bool mount_set(struct mount *mount, const char *type, const char *source, const char *target)
{
    mount->type = strdup(type);
    mount->source = strdup(source);
    mount->target = strdup(target);
    return mount->type && mount->source && mount->target;
}

bool mount_add_option(struct mount *mount, const char *option)
{
    char **grown = realloc(mount->options, (mount->option_count + 1) * sizeof(*grown));

    if (!grown)
        return false;
    mount->options = grown;
    grown[mount->option_count] = strdup(option);
    if (!grown[mount->option_count])
        return false;
    mount->option_count++;
    return true;
}

void mounts_clear(struct mounts *mounts)
{
    for (size_t i = 0; i < mounts->count; i++) {
        struct mount *mount = &mounts->items[i];

        free(mount->type);
        free(mount->source);
        free(mount->target);
        for (size_t j = 0; j < mount->option_count; j++)
            free(mount->options[j]);
        free(mount->options);
    }
    free(mounts->items);
    *mounts = (struct mounts){0};
}

/* A folder, bound. rbind, as containerd's own snapshotters that hand out folders do. */
static bool describe_bind(struct mount *mount, const struct volume *volume, bool readonly)
{
    return mount_set(mount, "bind", volume->path, "") &&
           mount_add_option(mount, readonly ? "ro" : "rw") && mount_add_option(mount, "rbind");
}

static bool describe_btrfs(struct mount *mount, const struct volume *volume, bool readonly)
{
    char option[64];

    snprintf(option, sizeof(option), "subvolid=%llu", (unsigned long long)volume->subvolume);
    return mount_set(mount, "btrfs", volume->device, "") && mount_add_option(mount, option) &&
           mount_add_option(mount, readonly ? "ro" : "rw");
}

static bool describe_device(struct mount *mount, const struct volume *volume, bool readonly)
{
    if (!mount_set(mount, volume->fstype, volume->path, ""))
        return false;
    /* Clones bear the id of what they were cloned from, which xfs takes for the same volume twice.
     */
    if (strcmp(volume->fstype, "xfs") == 0 && !mount_add_option(mount, "nouuid"))
        return false;
    /* What is deleted in a volume shall come back to the pool. */
    if (!readonly)
        return mount_add_option(mount, "rw") && mount_add_option(mount, "discard");
    /* A read-only mount may still replay a journal; these keep it from writing at all. */
    if (strcmp(volume->fstype, "ext4") == 0)
        return mount_add_option(mount, "ro") && mount_add_option(mount, "noload");
    if (strcmp(volume->fstype, "xfs") == 0)
        return mount_add_option(mount, "ro") && mount_add_option(mount, "norecovery");
    return mount_add_option(mount, "ro");
}

int mounts_of_volume(struct mounts *mounts, const struct volume *volume, enum mount_style style,
                     bool readonly, struct reason *why)
{
    bool complete;

    if (volume->kind == VOLUME_DIRECTORY && style == MOUNT_STYLE_BTRFS &&
        (volume->device[0] == '\0' || volume->subvolume == 0))
        return refuse(why, CONDITION_UNIMPLEMENTED,
                      "mount type btrfs cannot be had for %s: its file system is not one btrfs "
                      "device; set pool.mount_type = \"bind\"",
                      volume->path);
    if (!mounts_make(mounts, 1))
        return failure(why, ENOMEM, "describe the mount of %s", volume->path);
    if (volume->kind == VOLUME_DEVICE)
        complete = describe_device(&mounts->items[0], volume, readonly);
    else if (style == MOUNT_STYLE_BTRFS)
        complete = describe_btrfs(&mounts->items[0], volume, readonly);
    else
        complete = describe_bind(&mounts->items[0], volume, readonly);
    if (complete)
        return 0;
    mounts_clear(mounts);
    return failure(why, ENOMEM, "describe the mount of %s", volume->path);
}

/* The decimal number that ends TEXT; 0 when there is none or it does not fit. */
static uint64_t number_at_end(const char *text)
{
    size_t end = strlen(text);
    size_t at = end;
    unsigned long long number;

    while (at > 0 && text[at - 1] >= '0' && text[at - 1] <= '9')
        at--;
    if (at == end)
        return 0;
    errno = 0;
    number = strtoull(text + at, NULL, 10);
    return errno ? 0 : number;
}

struct mounts_candidate mounts_candidate(const struct mounts *mounts)
{
    static const char by_subvolume[] = "subvolid=";
    const struct mount *mount = mounts->items;

    if (mounts->count != 1)
        return (struct mounts_candidate){0};
    for (size_t i = 0; i < mount->option_count; i++)
        if (strncmp(mount->options[i], by_subvolume, sizeof(by_subvolume) - 1) == 0)
            return (struct mounts_candidate){.subvolume = number_at_end(mount->options[i])};
    return (struct mounts_candidate){.id = number_at_end(mount->source)};
}

static bool has_option(const struct mount *mount, const char *option)
{
    for (size_t i = 0; i < mount->option_count; i++)
        if (strcmp(mount->options[i], option) == 0)
            return true;
    return false;
}

static bool mount_equal(const struct mount *a, const struct mount *b)
{
    if (strcmp(a->type, b->type) != 0 || strcmp(a->source, b->source) != 0 ||
        strcmp(a->target, b->target) != 0 || a->option_count != b->option_count)
        return false;
    for (size_t i = 0; i < a->option_count; i++)
        if (!has_option(b, a->options[i]))
            return false;
    return true;
}

bool mounts_equal(const struct mounts *a, const struct mounts *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (!mount_equal(&a->items[i], &b->items[i]))
            return false;
    return true;
}
