/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/dm-thin/inventory.h"

#include <stdlib.h>
#include <string.h>

struct inventory_node {
    struct inventory_item item;
    struct inventory_node *next;
};

void inventory_init(struct inventory *inventory)
{
    memset(inventory->buckets, 0, sizeof(inventory->buckets));
    inventory->count = 0;
    pthread_mutex_init(&inventory->lock, NULL);
}

void inventory_deinit(struct inventory *inventory)
{
    for (size_t i = 0; i < INVENTORY_BUCKETS; i++)
        while (inventory->buckets[i]) {
            struct inventory_node *node = inventory->buckets[i];
            inventory->buckets[i] = node->next;
            free(node);
        }
    pthread_mutex_destroy(&inventory->lock);
}

/* The place that points to the node with the thin id of ID, or to the end of its bucket. */
static struct inventory_node **inventory_place(struct inventory *inventory, uint64_t id)
{
    struct inventory_node **place = &inventory->buckets[thin_id(id) % INVENTORY_BUCKETS];

    while (*place && thin_id((*place)->item.id) != thin_id(id))
        place = &(*place)->next;
    return place;
}

bool inventory_put(struct inventory *inventory, struct inventory_item item)
{
    struct inventory_node *fresh = malloc(sizeof(*fresh));

    if (!fresh)
        return false;
    pthread_mutex_lock(&inventory->lock);
    struct inventory_node **place = inventory_place(inventory, item.id);
    if (*place) {
        (*place)->item = item;
    } else {
        *fresh = (struct inventory_node){.item = item};
        *place = fresh;
        fresh = NULL;
        inventory->count++;
    }
    pthread_mutex_unlock(&inventory->lock);
    free(fresh);
    return true;
}

void inventory_update(struct inventory *inventory, struct inventory_item item)
{
    pthread_mutex_lock(&inventory->lock);
    struct inventory_node *node = *inventory_place(inventory, item.id);
    if (node && node->item.id == item.id) {
        item.whole = node->item.whole;
        node->item = item;
    }
    pthread_mutex_unlock(&inventory->lock);
}

void inventory_mark(struct inventory *inventory, uint64_t id, bool whole)
{
    pthread_mutex_lock(&inventory->lock);
    struct inventory_node *node = *inventory_place(inventory, id);
    if (node && node->item.id == id)
        node->item.whole = whole;
    pthread_mutex_unlock(&inventory->lock);
}

bool inventory_find(struct inventory *inventory, uint64_t id, struct inventory_item *item)
{
    pthread_mutex_lock(&inventory->lock);
    const struct inventory_node *node = *inventory_place(inventory, id);
    bool found = node && node->item.id == id;
    if (found)
        *item = node->item;
    pthread_mutex_unlock(&inventory->lock);
    return found;
}

bool inventory_is_taken(struct inventory *inventory, uint64_t id)
{
    pthread_mutex_lock(&inventory->lock);
    const struct inventory_node *node = *inventory_place(inventory, id);
    bool taken = node && node->item.id != id;
    pthread_mutex_unlock(&inventory->lock);
    return taken;
}

uint64_t *inventory_list(struct inventory *inventory, size_t *count)
{
    *count = 0;
    pthread_mutex_lock(&inventory->lock);
    uint64_t *ids = calloc(inventory->count + 1, sizeof(*ids));
    for (size_t i = 0; ids && i < INVENTORY_BUCKETS; i++)
        for (const struct inventory_node *node = inventory->buckets[i]; node; node = node->next)
            ids[(*count)++] = node->item.id;
    pthread_mutex_unlock(&inventory->lock);
    return ids;
}

void inventory_drop(struct inventory *inventory, uint64_t id)
{
    pthread_mutex_lock(&inventory->lock);
    struct inventory_node **place = inventory_place(inventory, id), *node = *place;
    if (node && node->item.id == id) {
        *place = node->next;
        inventory->count--;
    } else {
        node = NULL;
    }
    pthread_mutex_unlock(&inventory->lock);
    free(node);
}
