/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/pins.h"

#include "base/thread.h"

#include <stddef.h>

#define STOP_LOOK_MS 50u

void pins_init(struct pins *pins)
{
    *pins = (struct pins){0};
    pthread_mutex_init(&pins->lock, NULL);
    pthread_cond_init(&pins->changed, NULL);
}

void pins_deinit(struct pins *pins)
{
    pthread_cond_destroy(&pins->changed);
    pthread_mutex_destroy(&pins->lock);
}

static bool in_the_way(enum pin_mode present, enum pin_mode wanted)
{
    if (present == PIN_ALONE || wanted == PIN_ALONE)
        return true;
    return present != PIN_READ && wanted != PIN_READ;
}

static struct pin **bucket_of(struct pins *pins, uint64_t id)
{
    return &pins->buckets[id % PIN_BUCKETS];
}

static const struct pin *find_blocker(struct pins *pins, uint64_t id, enum pin_mode wanted)
{
    for (const struct pin *pin = *bucket_of(pins, id); pin; pin = pin->next)
        if (pin->id == id && in_the_way(pin->mode, wanted))
            return pin;
    return NULL;
}

static void add(struct pins *pins, struct pin *pin, uint64_t id, enum pin_mode mode,
                atomic_bool *cancel)
{
    struct pin **bucket = bucket_of(pins, id);

    *pin = (struct pin){.id = id, .mode = mode, .cancel = cancel, .next = *bucket};
    *bucket = pin;
}

bool pins_take_unless(struct pins *pins, struct pin *pin, uint64_t id, enum pin_mode mode,
                      atomic_bool *cancel, const atomic_bool *stop)
{
    bool stopped = false;

    pthread_mutex_lock(&pins->lock);
    while (find_blocker(pins, id, mode) && !(stopped = stop && atomic_load(stop))) {
        const struct timespec until = thread_deadline(STOP_LOOK_MS);

        if (stop) /* who sets it wakes nobody */
            pthread_cond_clockwait(&pins->changed, &pins->lock, CLOCK_MONOTONIC, &until);
        else
            pthread_cond_wait(&pins->changed, &pins->lock);
    }
    if (!stopped)
        add(pins, pin, id, mode, cancel);
    pthread_mutex_unlock(&pins->lock);
    return !stopped;
}

void pins_take(struct pins *pins, struct pin *pin, uint64_t id, enum pin_mode mode,
               atomic_bool *cancel)
{
    (void)pins_take_unless(pins, pin, id, mode, cancel, NULL);
}

bool pins_try(struct pins *pins, struct pin *pin, uint64_t id, enum pin_mode mode,
              atomic_bool *cancel, enum pin_mode *blocker)
{
    const struct pin *other;

    pthread_mutex_lock(&pins->lock);
    other = find_blocker(pins, id, mode);
    if (!other)
        add(pins, pin, id, mode, cancel);
    else if (blocker)
        *blocker = other->mode;
    pthread_mutex_unlock(&pins->lock);
    return !other;
}

void pins_drop(struct pins *pins, struct pin *pin)
{
    if (pin->id == 0)
        return;
    pthread_mutex_lock(&pins->lock);
    for (struct pin **at = bucket_of(pins, pin->id); *at; at = &(*at)->next) {
        if (*at == pin) {
            *at = pin->next;
            break;
        }
    }
    *pin = (struct pin){0};
    pthread_cond_broadcast(&pins->changed);
    pthread_mutex_unlock(&pins->lock);
}

void pins_cancel(struct pins *pins, uint64_t id)
{
    pthread_mutex_lock(&pins->lock);
    for (struct pin *pin = *bucket_of(pins, id); pin; pin = pin->next)
        if (pin->id == id && pin->cancel)
            atomic_store(pin->cancel, true);
    pthread_mutex_unlock(&pins->lock);
}

unsigned pins_count(struct pins *pins, enum pin_mode mode)
{
    unsigned count = 0;

    pthread_mutex_lock(&pins->lock);
    for (size_t i = 0; i < PIN_BUCKETS; i++)
        for (const struct pin *pin = pins->buckets[i]; pin; pin = pin->next)
            count += pin->mode == mode;
    pthread_mutex_unlock(&pins->lock);
    return count;
}
