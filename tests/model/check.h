/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_TESTS_MODEL_CHECK_H
#define COWSNAP_TESTS_MODEL_CHECK_H

/*
 * Whether a history is linearizable: whether its calls, put in some order that has each of them
 * between its begin and its end, would have been answered to one caller as they were (Herlihy and
 * Wing, "Linearizability", 1990).
 */

#include "model/history.h"

/* False when there is no such order from no snapshot at all. *STUCK (may be NULL) are then the
 * calls, as bits, that the longest order found has no place for. Aborts when memory is out. */
bool check_history(const struct history *history, uint64_t *stuck);

#endif
