/* SPDX-License-Identifier: Apache-2.0 */
#include "crash/mounted.h"

#include "crash/storage.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The number that ends the source of the mount is the volume's, whatever the backend. */
uint64_t mounted_volume(const struct mounts *mounts)
{
    const char *source = mounts->count ? mounts->items[0].source : "";
    const char *digits = source + strlen(source);

    while (digits > source && digits[-1] >= '0' && digits[-1] <= '9')
        digits--;
    return strtoull(digits, NULL, 10);
}

bool mounted_enter(struct load *load, int slot, const struct mounts *mounts, char path[512])
{
    uint64_t id = mounted_volume(mounts);

    load->model->slots[slot].entered = true;
    if (load->daemon->setup->storage->enter(load->daemon, slot, id, mounts, path))
        return true;
    printf("UNEXPECTED: the mounts of snapshot-%d, volume %" PRIu64 ", cannot be used\n", slot, id);
    atomic_fetch_add(&load->surprises, 1);
    return false;
}

void mounted_leave(struct load *load, int slot)
{
    struct slot *place = &load->model->slots[slot];

    if (place->entered)
        load->daemon->setup->storage->leave(load->daemon, slot);
    place->entered = false;
}

void mounted_leave_many(struct load *load, bool all)
{
    for (int i = 0; i < MODEL_SLOTS; i++) {
        const struct slot *place = &load->model->slots[i];

        if (all || place->open || !place->now.there || place->now.kind != SNAPSHOT_VIEW)
            mounted_leave(load, i);
    }
}
