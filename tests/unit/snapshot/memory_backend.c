/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/snapshot/memory_backend.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#define VOLUMES 65536

struct backend {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool present[VOLUMES], sealed[VOLUMES], ready[VOLUMES];
    int refusals[VOLUMES];
    uint64_t forbidden; /* number; 0 for none */
    _Atomic uint64_t barren;
    _Atomic unsigned barren_tries;
    _Atomic int admission;
    unsigned syncs;
    bool counts_slowly;
    _Atomic uint64_t available, reserve;
    bool gate_closed;
    unsigned waiting;
    unsigned readers[VOLUMES]; /* calls on a volume now, that others may be beside */
    bool alone[VOLUMES];       /* a call is on it that none may be beside */
    unsigned clashes;
};

struct backend *memory_backend_new(void)
{
    struct backend *backend = calloc(1, sizeof(*backend));

    pthread_mutex_init(&backend->lock, NULL);
    pthread_cond_init(&backend->changed, NULL);
    memory_backend_set_room(backend, UINT64_C(1) << 40, 0);
    return backend;
}

static void memory_close(struct backend *backend)
{
    pthread_cond_destroy(&backend->changed);
    pthread_mutex_destroy(&backend->lock);
    free(backend);
}

static int memory_open(struct backend **backend, const struct backend_options *options,
                       struct reason *why)
{
    (void)options;
    (void)why;
    *backend = memory_backend_new();
    return 0;
}

static bool swap(struct backend *backend, uint64_t id, bool present)
{
    bool before;

    pthread_mutex_lock(&backend->lock);
    before = backend->present[id % VOLUMES];
    backend->present[id % VOLUMES] = present;
    if (!present)
        backend->sealed[id % VOLUMES] = false;
    pthread_cond_broadcast(&backend->changed);
    pthread_mutex_unlock(&backend->lock);
    return before;
}

bool memory_backend_has(struct backend *backend, uint64_t id)
{
    bool has;

    pthread_mutex_lock(&backend->lock);
    has = backend->present[id % VOLUMES];
    pthread_mutex_unlock(&backend->lock);
    return has;
}

uint64_t memory_backend_count(struct backend *backend)
{
    uint64_t count = 0;

    pthread_mutex_lock(&backend->lock);
    for (size_t i = 0; i < VOLUMES; i++)
        count += backend->present[i];
    pthread_mutex_unlock(&backend->lock);
    return count;
}

bool memory_backend_sealed(struct backend *backend, uint64_t id)
{
    bool sealed;

    pthread_mutex_lock(&backend->lock);
    sealed = backend->sealed[id % VOLUMES];
    pthread_mutex_unlock(&backend->lock);
    return sealed;
}

bool memory_backend_ready(struct backend *backend, uint64_t id)
{
    bool ready;

    pthread_mutex_lock(&backend->lock);
    ready = backend->ready[id % VOLUMES];
    pthread_mutex_unlock(&backend->lock);
    return ready;
}

void memory_backend_forbid(struct backend *backend, uint64_t id)
{
    pthread_mutex_lock(&backend->lock);
    backend->forbidden = id;
    pthread_mutex_unlock(&backend->lock);
}

void memory_backend_make_barren(struct backend *backend, uint64_t parent)
{
    backend->barren = parent;
}

unsigned memory_backend_barren_tries(struct backend *backend)
{
    return backend->barren_tries;
}

void memory_backend_admit(struct backend *backend, enum condition result)
{
    backend->admission = (int)result;
}

unsigned memory_backend_syncs(struct backend *backend)
{
    unsigned syncs;

    pthread_mutex_lock(&backend->lock);
    syncs = backend->syncs;
    pthread_mutex_unlock(&backend->lock);
    return syncs;
}

void memory_backend_plant(struct backend *backend, uint64_t id)
{
    swap(backend, id, true);
}

void memory_backend_lose(struct backend *backend, uint64_t id)
{
    swap(backend, id, false);
}

void memory_backend_close_gate(struct backend *backend)
{
    pthread_mutex_lock(&backend->lock);
    backend->gate_closed = true;
    pthread_mutex_unlock(&backend->lock);
}

void memory_backend_open_gate(struct backend *backend)
{
    pthread_mutex_lock(&backend->lock);
    backend->gate_closed = false;
    pthread_cond_broadcast(&backend->changed);
    pthread_mutex_unlock(&backend->lock);
}

void memory_backend_wait_at_gate(struct backend *backend)
{
    memory_backend_wait_for_many(backend, 1);
}

void memory_backend_wait_for_many(struct backend *backend, unsigned count)
{
    pthread_mutex_lock(&backend->lock);
    while (backend->waiting < count)
        pthread_cond_wait(&backend->changed, &backend->lock);
    pthread_mutex_unlock(&backend->lock);
}

void memory_backend_wait_for_end(struct backend *backend, uint64_t id)
{
    pthread_mutex_lock(&backend->lock);
    while (backend->present[id % VOLUMES])
        pthread_cond_wait(&backend->changed, &backend->lock);
    pthread_mutex_unlock(&backend->lock);
}

void memory_backend_refuse(struct backend *backend, uint64_t id, int result)
{
    pthread_mutex_lock(&backend->lock);
    backend->refusals[id % VOLUMES] = result;
    pthread_mutex_unlock(&backend->lock);
}

void memory_backend_set_room(struct backend *backend, uint64_t available, uint64_t reserve)
{
    backend->available = available;
    backend->reserve = reserve;
}

void memory_backend_count_slowly(struct backend *backend)
{
    pthread_mutex_lock(&backend->lock);
    backend->counts_slowly = true;
    pthread_mutex_unlock(&backend->lock);
}

unsigned memory_backend_clashes(struct backend *backend)
{
    unsigned clashes;

    pthread_mutex_lock(&backend->lock);
    clashes = backend->clashes;
    pthread_mutex_unlock(&backend->lock);
    return clashes;
}

/* A call begins to read a volume, or to change it, which must be ALONE (backend.h). */
static void enter(struct backend *backend, uint64_t id, bool alone)
{
    uint64_t at = id % VOLUMES;

    pthread_mutex_lock(&backend->lock);
    backend->clashes += backend->alone[at] || (alone && backend->readers[at]);
    if (alone)
        backend->alone[at] = true;
    else
        backend->readers[at]++;
    pthread_mutex_unlock(&backend->lock);
    sched_yield(); /* files would take a while, too */
}

static void leave(struct backend *backend, uint64_t id, bool alone)
{
    uint64_t at = id % VOLUMES;

    pthread_mutex_lock(&backend->lock);
    if (alone)
        backend->alone[at] = false;
    else
        backend->readers[at]--;
    pthread_mutex_unlock(&backend->lock);
}

/* What was asked for by memory_backend_refuse(). */
static int refusal(struct backend *backend, uint64_t id, struct reason *why)
{
    int result;

    pthread_mutex_lock(&backend->lock);
    result = backend->refusals[id % VOLUMES];
    pthread_mutex_unlock(&backend->lock);
    if (result > 0)
        return refuse(why, (enum condition)result, "volume %llu is busy", (unsigned long long)id);
    return result ? failure(why, -result, "volume %llu", (unsigned long long)id) : 0;
}

static void pass_gate(struct backend *backend)
{
    pthread_mutex_lock(&backend->lock);
    backend->waiting++;
    pthread_cond_broadcast(&backend->changed);
    while (backend->gate_closed)
        pthread_cond_wait(&backend->changed, &backend->lock);
    backend->waiting--;
    pthread_mutex_unlock(&backend->lock);
}

static int memory_admit(struct backend *backend, struct reason *why)
{
    int result = backend->admission;

    return result ? refuse(why, (enum condition)result, "the pool takes no volume") : 0;
}

static int memory_create(struct backend *backend, uint64_t id, struct reason *why)
{
    pthread_mutex_lock(&backend->lock);
    bool forbidden = id == backend->forbidden;
    pthread_mutex_unlock(&backend->lock);
    if (forbidden)
        return refuse(why, CONDITION_EXISTS, "number %llu", (unsigned long long)id);
    enter(backend, id, true);
    swap(backend, id, true);
    leave(backend, id, true);
    return 0;
}

static int memory_clone(struct backend *backend, uint64_t id, uint64_t parent, struct reason *why)
{
    int result;

    pass_gate(backend);
    if (parent == backend->barren) {
        backend->barren_tries++;
        return refuse(why, CONDITION_PRECONDITION, "volume %llu", (unsigned long long)parent);
    }
    enter(backend, parent, false);
    if (memory_backend_has(backend, parent))
        result = memory_create(backend, id, why);
    else
        result = refuse(why, CONDITION_NOT_FOUND, "volume %llu", (unsigned long long)parent);
    leave(backend, parent, false);
    return result;
}

static int memory_remove(struct backend *backend, uint64_t id, const atomic_bool *cancel,
                         struct reason *why)
{
    (void)cancel;
    int result = refusal(backend, id, why);

    pass_gate(backend);
    enter(backend, id, true);
    if (!result)
        swap(backend, id, false);
    leave(backend, id, true);
    return result;
}

static int memory_locate(struct backend *backend, uint64_t id, struct volume *volume,
                         struct reason *why)
{
    bool has;

    enter(backend, id, false);
    has = memory_backend_has(backend, id);
    pthread_mutex_lock(&backend->lock);
    backend->ready[id % VOLUMES] = has;
    pthread_mutex_unlock(&backend->lock);
    leave(backend, id, false);
    if (!has)
        return refuse(why, CONDITION_NOT_FOUND, "volume %llu", (unsigned long long)id);
    *volume = (struct volume){.kind = VOLUME_DIRECTORY, .fstype = "memory"};
    snprintf(volume->path, sizeof(volume->path), "/memory/%llu", (unsigned long long)id);
    return 0;
}

static int memory_open_root(struct backend *backend, uint64_t id, int *directory,
                            struct reason *why)
{
    if (!memory_backend_has(backend, id))
        return refuse(why, CONDITION_NOT_FOUND, "volume %llu", (unsigned long long)id);
    *directory = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *directory < 0 ? failure(why, errno, "open /") : 0;
}

static int memory_sync(struct backend *backend, uint64_t id, struct reason *why)
{
    pass_gate(backend);
    enter(backend, id, false);
    pthread_mutex_lock(&backend->lock);
    backend->syncs++;
    pthread_mutex_unlock(&backend->lock);
    leave(backend, id, false);
    return refusal(backend, id, why);
}

static int memory_seal(struct backend *backend, uint64_t id, struct reason *why)
{
    int result = refusal(backend, id, why);

    if (result)
        return result;
    pthread_mutex_lock(&backend->lock);
    backend->sealed[id % VOLUMES] = true;
    pthread_mutex_unlock(&backend->lock);
    return 0;
}

static int memory_rest(struct backend *backend, uint64_t id, struct reason *why)
{
    (void)why;
    pthread_mutex_lock(&backend->lock);
    backend->ready[id % VOLUMES] = false;
    pthread_mutex_unlock(&backend->lock);
    return 0;
}

static int memory_usage(struct backend *backend, uint64_t id, uint64_t parent, bool any_length,
                        struct volume_usage *usage, struct reason *why)
{
    (void)why;
    enter(backend, id, false);
    pthread_mutex_lock(&backend->lock);
    if (any_length && backend->counts_slowly) /* it needs both of them ready */
        backend->ready[id % VOLUMES] = backend->ready[parent % VOLUMES] = true;
    *usage = (struct volume_usage){.exact = any_length || !backend->counts_slowly};
    pthread_mutex_unlock(&backend->lock);
    leave(backend, id, false);
    if (usage->exact) {
        usage->bytes = id * 4096;
        usage->inodes = id;
    }
    return 0;
}

static int memory_each(struct backend *backend, backend_visit *visit, void *context,
                       struct reason *why)
{
    for (uint64_t id = 0; id < VOLUMES; id++) {
        int result = memory_backend_has(backend, id) ? visit(context, id, why) : 0;

        if (result)
            return result;
    }
    return 0;
}

static int memory_status(struct backend *backend, struct pool_status *status, struct reason *why)
{
    (void)why;
    *status = (struct pool_status){.description = "memory",
                                   .path = "/memory",
                                   .available = backend->available,
                                   .reserve = backend->reserve,
                                   .block = 1 << 16,
                                   .writable = true};
    return 0;
}

const struct backend_ops backend_memory = {
    .name = "memory",
    .open = memory_open,
    .close = memory_close,
    .admit = memory_admit,
    .create = memory_create,
    .clone = memory_clone,
    .remove = memory_remove,
    .locate = memory_locate,
    .open_root = memory_open_root,
    .sync = memory_sync,
    .seal = memory_seal,
    .rest = memory_rest,
    .usage = memory_usage,
    .each = memory_each,
    .status = memory_status,
};
