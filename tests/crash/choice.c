/* SPDX-License-Identifier: Apache-2.0 */
#include "crash/choice.h"

#include "crash/chance.h"

bool choice_absent(const struct model *model, int slot)
{
    const struct slot *place = &model->slots[slot];

    return !place->now.there && !place->open && place->users == 0;
}

static bool choice_committed(const struct model *model, int slot)
{
    const struct slot *place = &model->slots[slot];

    return place->now.there && place->now.kind == SNAPSHOT_COMMITTED;
}

bool choice_writable(const struct model *model, int slot)
{
    const struct shape *now = &model->slots[slot].now;

    return now->there && now->kind == SNAPSHOT_ACTIVE && !now->torn && now->id != 0;
}

bool choice_loose(const struct model *model, int slot)
{
    return choice_writable(model, slot) && model->slots[slot].now.loose;
}

bool choice_with_room(const struct model *model, int slot)
{
    return choice_writable(model, slot) && model->slots[slot].now.tree.count < TREE_PARTS;
}

bool choice_there(const struct model *model, int slot)
{
    return model->slots[slot].now.there;
}

bool choice_leaf(const struct model *model, int slot)
{
    return choice_there(model, slot) && !model_has_child(model, slot);
}

bool choice_passing(const struct model *model, int slot)
{
    return choice_leaf(model, slot) && !choice_committed(model, slot);
}

bool choice_raced(const struct model *model, int slot)
{
    return choice_committed(model, slot) && model->slots[slot].users > 0;
}

static int pick(const struct model *model, uint64_t *state, choice *fits)
{
    unsigned from = chance_below(state, MODEL_SLOTS);

    for (unsigned i = 0; i < MODEL_SLOTS; i++) {
        int slot = (int)((from + i) % MODEL_SLOTS);

        if (!model->slots[slot].busy && fits(model, slot))
            return slot;
    }
    return -1;
}

int choice_claim(struct model *model, uint64_t *state, choice *fits)
{
    int slot = pick(model, state, fits);

    if (slot >= 0)
        model->slots[slot].busy = true;
    return slot;
}

int choice_of_parent(const struct model *model, uint64_t *state)
{
    if (chance_below(state, 6) == 0)
        return -1;
    if (chance_below(state, 2) == 0)
        for (int i = 0; i < MODEL_SLOTS; i++)
            if (!model->slots[i].busy && choice_committed(model, i))
                return i;
    return pick(model, state, choice_committed);
}
