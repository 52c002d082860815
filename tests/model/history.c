/* SPDX-License-Identifier: Apache-2.0 */
#include "model/history.h"

#include "base/result.h"

#include <string.h>

static const char *const names[CALL_KINDS] = {
    [CALL_PREPARE] = "Prepare", [CALL_VIEW] = "View",       [CALL_COMMIT] = "Commit",
    [CALL_REMOVE] = "Remove",   [CALL_STAT] = "Stat",       [CALL_UPDATE] = "Update",
    [CALL_LIST] = "List",       [CALL_PART] = "ListPart",   [CALL_MOUNTS] = "Mounts",
    [CALL_USAGE] = "Usage",     [CALL_CLEANUP] = "Cleanup",
};

bool call_left(const struct history *history, const struct call *call, uint64_t id)
{
    uint64_t at = id - history->first_id;

    return id >= history->first_id && at < HISTORY_IDS && (call->left[at / 8] >> at % 8 & 1);
}

static void print_sight(int key, const struct sight *sight, FILE *stream)
{
    static const char *const kinds[] = {"gone", "view", "active", "committed"};

    fprintf(stream, " k%d=%s", key, kinds[sight->kind & 3]);
    if (sight->kind)
        fprintf(stream, "(id %llu, on %d, labels %u %u)", (unsigned long long)sight->id,
                sight->parent, sight->labels[0], sight->labels[1]);
}

static void print_request(const struct call *call, FILE *stream)
{
    fprintf(stream, "%s(", names[call->kind]);
    if (call->key >= 0)
        fprintf(stream, "k%d", call->key);
    if (call->kind == CALL_COMMIT)
        fprintf(stream, " as k%d", call->name);
    if (call->parent >= 0)
        fprintf(stream, " on k%d", call->parent);
    if (call->kind == CALL_PREPARE || call->kind == CALL_VIEW || call->kind == CALL_COMMIT ||
        call->kind == CALL_UPDATE)
        fprintf(stream, ", labels %u %u", call->labels[0], call->labels[1]);
    if (call->kind == CALL_UPDATE && call->mask >= 0)
        fprintf(stream, ", label %d alone", call->mask);
    fputc(')', stream);
}

static void print_answer(const struct call *call, FILE *stream)
{
    if (call->result > 0)
        fprintf(stream, " %s", condition_name((enum condition)call->result));
    else if (call->result < 0)
        fprintf(stream, " %s", strerror(-call->result));
    else if (call->kind == CALL_STAT || call->kind == CALL_UPDATE || call->kind == CALL_PART)
        print_sight(call->key, &call->seen[call->key], stream);
    else if (call->kind == CALL_LIST)
        for (int key = 0; key < HISTORY_KEYS; key++)
            print_sight(key, &call->seen[key], stream);
    else if (call->id)
        fprintf(stream, " volume %llu%s", (unsigned long long)call->id,
                call->readonly ? ", read-only" : "");
    else
        fputs(" done", stream);
}

void history_print(const struct history *history, uint64_t marked, FILE *stream)
{
    uint64_t printed = 0;

    for (unsigned round = 0; round < history->count; round++) {
        unsigned next = HISTORY_CALLS;

        for (unsigned i = 0; i < history->count; i++)
            if (!(printed >> i & 1) &&
                (next == HISTORY_CALLS || history->calls[i].began < history->calls[next].began))
                next = i;
        const struct call *call = &history->calls[next];

        printed |= UINT64_C(1) << next;
        fprintf(stream, "%s %3u-%-3u thread %d: ", marked >> next & 1 ? "->" : "  ", call->began,
                call->ended, call->thread);
        print_request(call, stream);
        print_answer(call, stream);
        fputc('\n', stream);
    }
}
