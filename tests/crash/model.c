/* SPDX-License-Identifier: Apache-2.0 */
#include "crash/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void model_init(struct model *model)
{
    memset(model, 0, sizeof(*model));
    pthread_mutex_init(&model->lock, NULL);
    pthread_cond_init(&model->opened, NULL);
    model->number = TREE_LAYERS; /* parts below are layers */
    for (int i = 0; i < MODEL_SLOTS; i++) {
        model->slots[i].now.parent = -1;
        model->slots[i].partner = -1;
    }
}

void model_key(int slot, char key[16])
{
    snprintf(key, 16, "snapshot-%d", slot);
}

int model_slot(struct bytes key)
{
    for (int i = 0; i < MODEL_SLOTS; i++) {
        char text[16];

        model_key(i, text);
        if (bytes_equal(key, bytes_of(text)))
            return i;
    }
    return -1;
}

bool model_has_child(const struct model *model, int slot)
{
    for (int i = 0; i < MODEL_SLOTS; i++) {
        const struct slot *other = &model->slots[i];

        if ((other->now.there && other->now.parent == slot) ||
            (other->open && other->maybe.there && other->maybe.parent == slot))
            return true;
    }
    return false;
}

void model_close(struct model *model, int slot, bool happened)
{
    struct slot *place = &model->slots[slot];

    if (happened && place->open)
        place->now = place->maybe;
    place->open = false;
    place->partner = -1;
}

void model_freeze(struct model *model, struct model *copy)
{
    pthread_mutex_lock(&model->lock);
    model->closed = true;
    memcpy(copy->slots, model->slots, sizeof(copy->slots));
    pthread_mutex_unlock(&model->lock);
}

void model_restore(struct model *model, const struct model *copy)
{
    memcpy(model->slots, copy->slots, sizeof(model->slots));
    model->gone_count = model->cleaned = 0; /* a number may be given again */
    model->closed = false;
    for (int i = 0; i < MODEL_SLOTS; i++) {
        struct slot *place = &model->slots[i];

        place->busy = place->entered = false;
        place->users = 0;
        place->now.torn = place->now.torn || place->now.loose;
        place->maybe.torn = place->maybe.torn || place->maybe.loose;
    }
}

void model_label(uint32_t number, struct model_labels *labels)
{
    static const char *const keys[] = {"crash/first", "crash/second"};

    labels->count = number ? 2 : 0;
    for (uint32_t i = 0; i < 2; i++) {
        snprintf(labels->text[i], sizeof(labels->text[i]), "%u", number + i);
        labels->list[i] = (struct label){bytes_of(keys[i]), bytes_of(labels->text[i])};
    }
}
