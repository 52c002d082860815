/* SPDX-License-Identifier: Apache-2.0 */
#include "model/model.h"

#include "base/result.h"

#include <errno.h>
#include <string.h>

static const struct place nobody = {.parent = -1};

static bool has_child(const struct model *model, int key)
{
    for (int other = 0; other < HISTORY_KEYS; other++)
        if (model->places[other].kind && model->places[other].parent == key)
            return true;
    return false;
}

/* A committed layer with that parent and that reference: it need not be unpacked again. */
static bool is_shared(const struct model *model, int parent, uint8_t ref)
{
    for (int other = 0; other < HISTORY_KEYS; other++) {
        const struct place *place = &model->places[other];

        if (place->kind == SNAPSHOT_COMMITTED && place->parent == parent &&
            place->labels[HISTORY_LABEL_REF] == ref)
            return true;
    }
    return false;
}

static bool id_is_known(const struct model *model, uint64_t id)
{
    for (int other = 0; other < HISTORY_KEYS; other++)
        if (model->places[other].kind && model->places[other].id == id)
            return true;
    return false;
}

/* The volume that a snapshot's files are in. */
static uint64_t volume_of(const struct model *model, const struct place *place)
{
    return place->kind == SNAPSHOT_VIEW && place->parent >= 0 ? model->places[place->parent].id
                                                              : place->id;
}

static bool looks_like(const struct place *place, const struct sight *sight)
{
    return place->kind == sight->kind &&
           (place->kind == 0 || (place->parent == sight->parent &&
                                 memcmp(place->labels, sight->labels, HISTORY_LABELS) == 0 &&
                                 (place->id == 0 || place->id == sight->id)));
}

static bool step_prepare(struct model *model, const struct call *call)
{
    const struct place *parent = call->parent < 0 ? NULL : &model->places[call->parent];
    enum snapshot_kind kind = call->kind == CALL_VIEW ? SNAPSHOT_VIEW : SNAPSHOT_ACTIVE;
    bool views_parent = parent && kind == SNAPSHOT_VIEW;
    uint8_t ref = call->labels[HISTORY_LABEL_REF];
    struct place *place = &model->places[call->key];

    if (parent && !parent->kind)
        return call->result == CONDITION_NOT_FOUND;
    if (parent && parent->kind != SNAPSHOT_COMMITTED)
        return call->result == CONDITION_INVALID;
    if (place->kind)
        return call->result == CONDITION_EXISTS;
    if (kind == SNAPSHOT_ACTIVE && ref && is_shared(model, call->parent, ref))
        return call->result == CONDITION_EXISTS;
    if (call->result || call->readonly != (kind == SNAPSHOT_VIEW) || call->id == 0)
        return false;
    if (views_parent ? call->id != parent->id : id_is_known(model, call->id))
        return false;
    *place = (struct place){
        .id = views_parent ? 0 : (uint32_t)call->id,
        .kind = (uint8_t)kind,
        .parent = (int8_t)call->parent,
    };
    memcpy(place->labels, call->labels, HISTORY_LABELS);
    return true;
}

static bool step_commit(struct model *model, const struct call *call)
{
    struct place *active = &model->places[call->key];
    struct place *committed = &model->places[call->name];

    if (!active->kind && call->result == CONDITION_NOT_FOUND)
        return true;
    if (committed->kind)
        return call->result == CONDITION_EXISTS;
    if (!active->kind)
        return false;
    if (active->kind != SNAPSHOT_ACTIVE)
        return call->result == CONDITION_PRECONDITION;
    if (call->parent >= 0 && call->parent != active->parent)
        return call->result == CONDITION_INVALID;
    *committed = *active;
    *active = nobody;
    committed->kind = SNAPSHOT_COMMITTED;
    memcpy(committed->labels, call->labels, HISTORY_LABELS);
    return call->result == 0;
}

/* A Cleanup that began when this call was answered must not have found the volume any more. */
static bool was_cleaned(const struct history *history, const struct call *removal, uint64_t id)
{
    for (unsigned i = 0; i < history->count; i++) {
        const struct call *call = &history->calls[i];

        if (call->kind == CALL_CLEANUP && call->result == 0 && call->began > removal->ended &&
            call_left(history, call, id))
            return false;
    }
    return true;
}

static bool step_remove(struct model *model, const struct history *history, const struct call *call)
{
    struct place *place = &model->places[call->key];

    if (!place->kind)
        return call->result == CONDITION_NOT_FOUND;
    if (has_child(model, call->key))
        return call->result == CONDITION_PRECONDITION;
    if (call->result || (place->id && !was_cleaned(history, call, place->id)))
        return false;
    *place = nobody;
    return true;
}

static bool step_update(struct model *model, const struct call *call)
{
    struct place *place = &model->places[call->key];

    if (!place->kind)
        return call->result == CONDITION_NOT_FOUND;
    for (int label = 0; label < HISTORY_LABELS; label++)
        if (call->mask < 0 || call->mask == label)
            place->labels[label] = call->labels[label];
    return call->result == 0 && looks_like(place, &call->seen[call->key]);
}

static bool step_list(const struct model *model, const struct call *call)
{
    for (int key = 0; key < HISTORY_KEYS; key++)
        if (!looks_like(&model->places[key], &call->seen[key]))
            return false;
    return call->result == 0;
}

static bool step_mounts(const struct model *model, const struct call *call)
{
    const struct place *place = &model->places[call->key];

    if (!place->kind)
        return call->result == CONDITION_NOT_FOUND;
    if (place->kind == SNAPSHOT_COMMITTED)
        return call->result == CONDITION_PRECONDITION;
    return call->result == 0 && call->id == volume_of(model, place) &&
           call->readonly == (place->kind == SNAPSHOT_VIEW);
}

/* A view has no usage of its own. */
static bool step_usage(const struct model *model, const struct call *call)
{
    const struct place *place = &model->places[call->key];

    if (!place->kind)
        return call->result == CONDITION_NOT_FOUND;
    return call->result == 0 && call->id == (place->kind == SNAPSHOT_VIEW ? 0 : place->id);
}

static bool step_stat(const struct model *model, const struct call *call)
{
    const struct place *place = &model->places[call->key];

    if (!place->kind && call->kind == CALL_STAT)
        return call->result == CONDITION_NOT_FOUND;
    return call->result == 0 && looks_like(place, &call->seen[call->key]);
}

bool model_step(const struct model *before, const struct history *history, const struct call *call,
                struct model *after)
{
    *after = *before;
    if (call->result == -EIO)
        return call->may_fail;
    switch (call->kind) {
    case CALL_PREPARE:
    case CALL_VIEW:
        return step_prepare(after, call);
    case CALL_COMMIT:
        return step_commit(after, call);
    case CALL_REMOVE:
        return step_remove(after, history, call);
    case CALL_UPDATE:
        return step_update(after, call);
    case CALL_STAT:
    case CALL_PART:
        return step_stat(after, call);
    case CALL_LIST:
        return step_list(after, call);
    case CALL_MOUNTS:
        return step_mounts(after, call);
    case CALL_USAGE:
        return step_usage(after, call);
    case CALL_CLEANUP:
        return call->result == 0;
    case CALL_KINDS:
        break;
    }
    return false;
}

bool model_only_looks(const struct call *call)
{
    return call->result != 0 ||
           !(call->kind == CALL_PREPARE || call->kind == CALL_VIEW || call->kind == CALL_COMMIT ||
             call->kind == CALL_REMOVE || call->kind == CALL_UPDATE);
}
