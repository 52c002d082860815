/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_TESTS_MEMORY_BACKEND_H
#define COWSNAP_TESTS_MEMORY_BACKEND_H

/* A backend that keeps a set of numbers and no files: for tests of the rules above it. */

#include "backends/backend.h"

extern const struct backend_ops backend_memory;

/* Opens one; closed by backend_memory.close. */
struct backend *memory_backend_new(void);

bool memory_backend_has(struct backend *backend, uint64_t id);
uint64_t memory_backend_count(struct backend *backend);
bool memory_backend_sealed(struct backend *backend, uint64_t id);
/* Whether mounts of it were asked for since it was last put to rest. */
bool memory_backend_ready(struct backend *backend, uint64_t id);
unsigned memory_backend_syncs(struct backend *backend);
/* How often two calls met on a volume that must not: one of the two makes or ends it. */
unsigned memory_backend_clashes(struct backend *backend);

/* Puts a volume there, or takes it away, behind everybody's back. */
void memory_backend_plant(struct backend *backend, uint64_t id);
void memory_backend_lose(struct backend *backend, uint64_t id);

/* From now on no clone can be made of the volume PARENT; how often one was wanted. */
void memory_backend_make_barren(struct backend *backend, uint64_t parent);
unsigned memory_backend_barren_tries(struct backend *backend);

/* From now on no volume can have the number ID. */
void memory_backend_forbid(struct backend *backend, uint64_t id);

/* What admit answers from now on; 0: as ever. */
void memory_backend_admit(struct backend *backend, enum condition result);

/* From now on every call of clone, remove and sync waits at a gate; to be opened by the test. */
void memory_backend_close_gate(struct backend *backend);
void memory_backend_open_gate(struct backend *backend);
/* Waits until somebody stands at the gate; until COUNT do. */
void memory_backend_wait_at_gate(struct backend *backend);
void memory_backend_wait_for_many(struct backend *backend, unsigned count);
/* Waits until that volume is gone. */
void memory_backend_wait_for_end(struct backend *backend, uint64_t id);

/* What remove, sync and seal answer for that volume from now on; 0: as ever. */
void memory_backend_refuse(struct backend *backend, uint64_t id, int result);
/* What status tells from now on; at first there is room for everything. */
void memory_backend_set_room(struct backend *backend, uint64_t available, uint64_t reserve);
/* From now on usage is exact only when any length of time is allowed, and then makes the volume and
 * its parent ready. */
void memory_backend_count_slowly(struct backend *backend);

#endif
