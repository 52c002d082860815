/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/control_pool.h"

#include "rpc/message.h"

/* Here and not with the backends, so that who only reads messages needs none of them. */
static const char *state_name(enum pool_state state)
{
    static const char *const names[] = {
        [POOL_STATE_OK] = "ok",
        [POOL_STATE_LOW] = "low",
        [POOL_STATE_READ_ONLY] = "read-only",
        [POOL_STATE_NEEDS_CHECK] = "needs-check",
        [POOL_STATE_FAILED] = "failed",
    };

    return names[state];
}

Cowsnap__Control__V1__Pool control_pool(const struct pool_status *status)
{
    Cowsnap__Control__V1__Pool pool = COWSNAP__CONTROL__V1__POOL__INIT;

    pool.description = message_text(status->description);
    pool.path = message_text(status->path);
    pool.size = status->size;
    pool.used = status->used;
    pool.available = status->available;
    pool.metadata_size = status->metadata_size;
    pool.metadata_used = status->metadata_used;
    pool.embedded = status->embedded;
    pool.writable = status->writable;
    pool.kind = message_text(status->kind);
    pool.data_on = message_text(status->data_on);
    pool.metadata_on = message_text(status->metadata_on);
    pool.backing = status->backing;
    pool.metadata_limit = status->metadata_limit;
    pool.state = message_text(state_name(status->state));
    pool.advice = message_text(status->advice.text);
    pool.times_low = status->times_low;
    return pool;
}
