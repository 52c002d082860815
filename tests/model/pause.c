/* SPDX-License-Identifier: Apache-2.0 */
#include "model/pause.h"

#include "crash/chance.h"
#include "snapshot/pins.h"
#include "store/store.h"

#include <time.h>

#define PAUSE_NS 200000u    /* at most: what a call takes */
#define ABSENCE_NS 3000000u /* now and then: what several calls take */

static _Thread_local uint64_t state;

void pause_seed(uint64_t seed)
{
    state = seed;
}

static void pause_here(void)
{
    struct timespec moment = {0};

    if (state == 0)
        return;
    switch (chance_below(&state, 32)) {
    case 0:
        moment.tv_nsec = chance_below(&state, ABSENCE_NS);
        break;
    case 1:
    case 2:
    case 3:
    case 4:
        moment.tv_nsec = chance_below(&state, PAUSE_NS);
        break;
    default:
        return;
    }
    nanosleep(&moment, NULL);
}

int __real_store_write(struct store *store, store_function *function, void *context,
                       struct reason *why);
int __wrap_store_write(struct store *store, store_function *function, void *context,
                       struct reason *why);
int __real_store_write_reserved(struct store *store, store_function *function, void *context,
                                struct reason *why);
int __wrap_store_write_reserved(struct store *store, store_function *function, void *context,
                                struct reason *why);
int __real_store_read(struct store *store, store_function *function, void *context,
                      struct reason *why);
int __wrap_store_read(struct store *store, store_function *function, void *context,
                      struct reason *why);
void __real_pins_take(struct pins *pins, struct pin *pin, uint64_t id, enum pin_mode mode,
                      atomic_bool *cancel);
void __wrap_pins_take(struct pins *pins, struct pin *pin, uint64_t id, enum pin_mode mode,
                      atomic_bool *cancel);
bool __real_pins_try(struct pins *pins, struct pin *pin, uint64_t id, enum pin_mode mode,
                     atomic_bool *cancel, enum pin_mode *blocker);
bool __wrap_pins_try(struct pins *pins, struct pin *pin, uint64_t id, enum pin_mode mode,
                     atomic_bool *cancel, enum pin_mode *blocker);

int __wrap_store_write(struct store *store, store_function *function, void *context,
                       struct reason *why)
{
    int result;

    pause_here();
    result = __real_store_write(store, function, context, why);
    pause_here();
    return result;
}

int __wrap_store_write_reserved(struct store *store, store_function *function, void *context,
                                struct reason *why)
{
    int result;

    pause_here();
    result = __real_store_write_reserved(store, function, context, why);
    pause_here();
    return result;
}

int __wrap_store_read(struct store *store, store_function *function, void *context,
                      struct reason *why)
{
    int result;

    pause_here();
    result = __real_store_read(store, function, context, why);
    pause_here();
    return result;
}

void __wrap_pins_take(struct pins *pins, struct pin *pin, uint64_t id, enum pin_mode mode,
                      atomic_bool *cancel)
{
    pause_here();
    __real_pins_take(pins, pin, id, mode, cancel);
    pause_here();
}

bool __wrap_pins_try(struct pins *pins, struct pin *pin, uint64_t id, enum pin_mode mode,
                     atomic_bool *cancel, enum pin_mode *blocker)
{
    bool pinned;

    pause_here();
    pinned = __real_pins_try(pins, pin, id, mode, cancel, blocker);
    pause_here();
    return pinned;
}
