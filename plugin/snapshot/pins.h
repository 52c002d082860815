/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_SNAPSHOT_PINS_H
#define COWSNAP_SNAPSHOT_PINS_H

/*
 * Who is at work on which volume now. A backend asks that no two calls meet on one volume, save
 * that many may read it; the store cannot tell, since no transaction is open during a backend call.
 *
 * A pin lies in its holder's memory and is no more than a note: it is taken after the id is known
 * and before the volume is touched. The snapshot may be gone by then: whoever takes it looks at the
 * record again, or takes the backend's CONDITION_NOT_FOUND for the answer.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum pin_mode {
    PIN_READ,   /* clone it, measure it; any number of these */
    PIN_WRITE,  /* a layer is being written into it; one, beside readers */
    PIN_COMMIT, /* it is being committed; one, beside readers */
    PIN_ALONE,  /* it is being removed or sealed; nobody else */
};

struct pin {
    uint64_t id;
    enum pin_mode mode;
    atomic_bool *cancel; /* set by pins_cancel(); may be NULL */
    struct pin *next;    /* the table's own */
};

#define PIN_BUCKETS 64

struct pins {
    pthread_mutex_t lock; /* innermost: nothing else is locked while it is held */
    pthread_cond_t changed;
    struct pin *buckets[PIN_BUCKETS];
};

void pins_init(struct pins *pins);
void pins_deinit(struct pins *pins);

/* Waits until nobody is in the way, and pins. PIN must stay where it is until dropped. CANCEL: see
 * pins_cancel(); may be NULL. */
void pins_take(struct pins *pins, struct pin *pin, uint64_t id, enum pin_mode mode,
               atomic_bool *cancel);

/* The same; false soon after *STOP (which may be NULL) is set, and then nothing is pinned. */
bool pins_take_unless(struct pins *pins, struct pin *pin, uint64_t id, enum pin_mode mode,
                      atomic_bool *cancel, const atomic_bool *stop);

/* Pins if nobody is in the way; else false, and *BLOCKER (may be NULL) tells what is. */
bool pins_try(struct pins *pins, struct pin *pin, uint64_t id, enum pin_mode mode,
              atomic_bool *cancel, enum pin_mode *blocker);

/* A pin that was never taken (all zero) is fine: fit for scoped use by way of a wrapper. */
void pins_drop(struct pins *pins, struct pin *pin);

/* Sets the cancel flags of those who are at the volume: it is to be removed. */
void pins_cancel(struct pins *pins, uint64_t id);

/* How many pins of that mode there are. */
unsigned pins_count(struct pins *pins, enum pin_mode mode);

#endif
