/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_TESTS_RPC_FAKES_H
#define COWSNAP_TESTS_RPC_FAKES_H

/*
 * The functions of snapshot/snapshots.h and diff/diff.h with canned answers, for tests of the
 * server.
 *
 * Keys: "missing" is not found, "taken" exists, "children" may not be removed, "fails" is a failure
 * of the disk, "gate" waits at the gate, anything else succeeds. Digests: "sha256:cancel" waits
 * until it is cancelled, "sha256:gate" waits at the gate, "sha256:other" is not implemented,
 * "sha256:fails" is a failure of the disk.
 */

#include "base/bytes.h"
#include "snapshot/snapshots.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void fakes_reset(void);

/* Waits until COUNT calls stand at the gate. */
void fakes_await_gate(unsigned count);
/* Lets all pass, those that come later too. */
void fakes_open_gate(void);
/* Waits until COUNT Applies have begun to wait for their cancellation, or have seen it. */
void fakes_await_cancellable(unsigned count);
void fakes_await_cancelled(unsigned count);
/* How many have begun so far. */
unsigned fakes_cancellable(void);
/* Calls that reached a function since the reset. */
unsigned fakes_calls(void);

/* Entries that List has, and the bytes of one label of each. */
void fakes_set_list(unsigned entries, size_t label_bytes);
/* How many of them were visited. */
unsigned fakes_listed(void);

/* From now on the figures, and List after its last entry, fail with that errno; 0: as ever. */
void fakes_break_disk(int error);

/* The last request, as text: the name of the function, then its arguments, quoted. Good until the
 * next call. */
const char *fakes_last(void);

#endif
