/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_BACKENDS_FAULT_FAULT_H
#define COWSNAP_BACKENDS_FAULT_FAULT_H

/*
 * A backend for tests that wraps any other and makes chosen calls go wrong. It is in no release
 * binary.
 */

#include "backends/backend.h"

enum fault_call {
    FAULT_CREATE,
    FAULT_CLONE,
    FAULT_REMOVE,
    FAULT_LOCATE,
    FAULT_OPEN_ROOT,
    FAULT_CONFIRM,
    FAULT_SYNC,
    FAULT_SEAL,
    FAULT_USAGE,
    FAULT_EACH,
    FAULT_STATUS,
    FAULT_CALLS, /* how many there are */
};

/* When a fault strikes: the wrapped call may have run before it. */
enum fault_moment { FAULT_BEFORE, FAULT_AFTER };

extern const struct backend_ops backend_fault;

/* Wraps INNER, an open backend of OPS; both stay the caller's. NULL when memory is out. To be
 * closed by backend_fault.close. */
struct backend *fault_wrap(const struct backend_ops *ops, struct backend *inner);

/* The COUNT-th call of that kind from now on returns RESULT (a condition or minus an errno), before
 * or after the wrapped call ran; 0 takes a planned fault back. Any thread. */
void fault_plan(struct backend *fault, enum fault_call call, unsigned count,
                enum fault_moment moment, int result);

/* How often CALL was made. */
unsigned fault_count(struct backend *fault, enum fault_call call);

/* Whether the fault that was planned last for CALL has struck; false again once that was taken
 * back. */
bool fault_struck(struct backend *fault, enum fault_call call);

#endif
