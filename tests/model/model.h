/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_TESTS_MODEL_MODEL_H
#define COWSNAP_TESTS_MODEL_MODEL_H

/*
 * The rules of snapshots as they are for one caller at a time: small enough to be seen to be right,
 * and written without a look at plugin/snapshot's ways. (tests/crash/model.h is another thing: what
 * a daemon should hold by what it answered, when no two calls are about one key.)
 */

#include "model/history.h"

/* A key's snapshot. No padding: states are compared byte by byte. */
struct place {
    uint32_t id;  /* of its volume; 0 when no answer tells it (a view of a parent) */
    uint8_t kind; /* enum snapshot_kind; 0: none */
    int8_t parent;
    uint8_t labels[HISTORY_LABELS];
};

struct model {
    struct place places[HISTORY_KEYS];
};

/* Whether CALL, if it happens in the state BEFORE, may be answered as it was; AFTER is the state
 * then. Three answers are freer than one caller would see them:
 *   - Commit may say "not found" of a key that is not there although its name is taken;
 *   - a call that a fault was planned for may fail, and then nothing happened;
 *   - a List of several reads is told as one CALL_PART for each key, each at a moment of its own.
 */
bool model_step(const struct model *before, const struct history *history, const struct call *call,
                struct model *after);

/* Whether a call, if it may be answered as it was, leaves every state as it is. */
bool model_only_looks(const struct call *call);

#endif
