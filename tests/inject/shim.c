/* SPDX-License-Identifier: Apache-2.0 */
#include "inject/shim.h"

#include <stdatomic.h>

static atomic_uint left[2]; /* uses up to the one that fails; 0: none will */
static atomic_bool struck;
static atomic_int chosen_error;

void shim_arm(enum shim_kind kind, unsigned nth, int error)
{
    atomic_store(&struck, false);
    atomic_store(&chosen_error, error);
    atomic_store(&left[kind], nth);
}

bool shim_disarm(void)
{
    atomic_store(&left[SHIM_MEMORY], 0);
    atomic_store(&left[SHIM_FILES], 0);
    return atomic_load(&struck);
}

bool shim_strikes(enum shim_kind kind)
{
    unsigned now = atomic_load(&left[kind]);

    while (now && !atomic_compare_exchange_weak(&left[kind], &now, now - 1))
        ;
    if (now != 1)
        return false;
    atomic_store(&struck, true);
    return true;
}

int shim_error(void)
{
    return atomic_load(&chosen_error);
}
