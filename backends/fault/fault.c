/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/fault/fault.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

struct fault_site {
    unsigned made; /* calls so far */
    unsigned due;  /* the fault strikes when this many were made; 0 for none planned */
    enum fault_moment moment;
    int result;
    bool struck;
};

struct backend {
    const struct backend_ops *ops; /* of the wrapped one; borrowed, as INNER is */
    struct backend *inner;
    pthread_mutex_t lock; /* of the sites; not held during a call */
    struct fault_site sites[FAULT_CALLS];
};

static const char *const fault_names[FAULT_CALLS] = {
    [FAULT_CREATE] = "create", [FAULT_CLONE] = "clone",         [FAULT_REMOVE] = "remove",
    [FAULT_LOCATE] = "locate", [FAULT_OPEN_ROOT] = "open_root", [FAULT_CONFIRM] = "confirm",
    [FAULT_SYNC] = "sync",     [FAULT_SEAL] = "seal",           [FAULT_USAGE] = "usage",
    [FAULT_EACH] = "each",     [FAULT_STATUS] = "status",
};

struct backend *fault_wrap(const struct backend_ops *ops, struct backend *inner)
{
    struct backend *fault = calloc(1, sizeof(*fault));

    if (!fault)
        return NULL;
    fault->ops = ops;
    fault->inner = inner;
    pthread_mutex_init(&fault->lock, NULL);
    return fault;
}

void fault_plan(struct backend *fault, enum fault_call call, unsigned count,
                enum fault_moment moment, int result)
{
    struct fault_site *site = &fault->sites[call];

    pthread_mutex_lock(&fault->lock);
    site->due = count > 0 && result != 0 ? site->made + count : 0;
    site->moment = moment;
    site->result = result;
    site->struck = false;
    pthread_mutex_unlock(&fault->lock);
}

unsigned fault_count(struct backend *fault, enum fault_call call)
{
    pthread_mutex_lock(&fault->lock);
    unsigned made = fault->sites[call].made;
    pthread_mutex_unlock(&fault->lock);
    return made;
}

bool fault_struck(struct backend *fault, enum fault_call call)
{
    pthread_mutex_lock(&fault->lock);
    bool struck = fault->sites[call].struck;
    pthread_mutex_unlock(&fault->lock);
    return struck;
}

/* Counts a call and says what is planned for it: result 0 for nothing. */
static struct fault_site fault_begin(struct backend *fault, enum fault_call call)
{
    struct fault_site *site = &fault->sites[call], planned = {0};

    pthread_mutex_lock(&fault->lock);
    site->made++;
    if (site->due != 0 && site->made == site->due) {
        planned = *site;
        site->due = 0;
        site->struck = true;
    }
    pthread_mutex_unlock(&fault->lock);
    return planned;
}

static int fault_strike(const struct fault_site *planned, enum fault_call call, struct reason *why)
{
    if (planned->result > 0)
        return refuse(why, (enum condition)planned->result, "fault planned for %s",
                      fault_names[call]);
    return failure(why, -planned->result, "fault planned for %s", fault_names[call]);
}

/* The body of each function: CALL is the expression that runs the wrapped one. */
#define FAULT_AROUND(fault, which, why, call)                                                      \
    do {                                                                                           \
        struct fault_site planned_ = fault_begin(fault, which);                                    \
        if (planned_.result != 0 && planned_.moment == FAULT_BEFORE)                               \
            return fault_strike(&planned_, which, why);                                            \
        int result_ = (call);                                                                      \
        return planned_.result != 0 ? fault_strike(&planned_, which, why) : result_;               \
    } while (0)

static int fault_open(struct backend **backend, const struct backend_options *options,
                      struct reason *why)
{
    (void)backend;
    (void)options;
    return refuse(why, CONDITION_UNIMPLEMENTED, "the fault backend is made by fault_wrap()");
}

static void fault_close(struct backend *fault)
{
    if (!fault)
        return;
    pthread_mutex_destroy(&fault->lock);
    free(fault);
}

/* As fault_rest(), and one that is asked before anything is begun. */
static int fault_admit(struct backend *fault, struct reason *why)
{
    return fault->ops->admit ? fault->ops->admit(fault->inner, why) : 0;
}

static int fault_create(struct backend *fault, uint64_t id, struct reason *why)
{
    FAULT_AROUND(fault, FAULT_CREATE, why, fault->ops->create(fault->inner, id, why));
}

static int fault_clone(struct backend *fault, uint64_t id, uint64_t parent, struct reason *why)
{
    FAULT_AROUND(fault, FAULT_CLONE, why, fault->ops->clone(fault->inner, id, parent, why));
}

static int fault_remove(struct backend *fault, uint64_t id, const atomic_bool *cancel,
                        struct reason *why)
{
    FAULT_AROUND(fault, FAULT_REMOVE, why, fault->ops->remove(fault->inner, id, cancel, why));
}

static int fault_locate(struct backend *fault, uint64_t id, struct volume *volume,
                        struct reason *why)
{
    FAULT_AROUND(fault, FAULT_LOCATE, why, fault->ops->locate(fault->inner, id, volume, why));
}

static int fault_find(struct backend *fault, uint64_t subvolume, uint64_t *id, struct reason *why)
{
    return fault->ops->find
               ? fault->ops->find(fault->inner, subvolume, id, why)
               : refuse(why, CONDITION_NOT_FOUND, "subvolume %llu", (unsigned long long)subvolume);
}

static int fault_open_root(struct backend *fault, uint64_t id, int *directory, struct reason *why)
{
    struct fault_site planned = fault_begin(fault, FAULT_OPEN_ROOT);

    if (planned.result != 0 && planned.moment == FAULT_BEFORE)
        return fault_strike(&planned, FAULT_OPEN_ROOT, why);
    int result = fault->ops->open_root(fault->inner, id, directory, why);
    if (planned.result == 0)
        return result;
    if (result == 0) { /* the caller of a call that failed owns nothing */
        close(*directory);
        *directory = -1;
    }
    return fault_strike(&planned, FAULT_OPEN_ROOT, why);
}

static int fault_open_read(struct backend *fault, uint64_t id, int *directory, struct reason *why)
{
    return fault->ops->open_read ? fault->ops->open_read(fault->inner, id, directory, why)
                                 : fault_open_root(fault, id, directory, why);
}

/* A part of the sync that the caller did himself. */
static int fault_confirm(struct backend *fault, uint64_t id, struct reason *why)
{
    FAULT_AROUND(fault, FAULT_CONFIRM, why,
                 fault->ops->confirm ? fault->ops->confirm(fault->inner, id, why) : 0);
}

static int fault_sync(struct backend *fault, uint64_t id, struct reason *why)
{
    FAULT_AROUND(fault, FAULT_SYNC, why, fault->ops->sync(fault->inner, id, why));
}

/* Those that may be absent below are no-ops then: what the wrapper can do must stay one answer.
 */
static int fault_seal(struct backend *fault, uint64_t id, struct reason *why)
{
    FAULT_AROUND(fault, FAULT_SEAL, why,
                 fault->ops->seal ? fault->ops->seal(fault->inner, id, why) : 0);
}

/* No fault of its own: nobody depends on how it ends. */
static int fault_rest(struct backend *fault, uint64_t id, struct reason *why)
{
    return fault->ops->rest ? fault->ops->rest(fault->inner, id, why) : 0;
}

static int fault_usage(struct backend *fault, uint64_t id, uint64_t parent, bool any_length,
                       struct volume_usage *usage, struct reason *why)
{
    FAULT_AROUND(fault, FAULT_USAGE, why,
                 fault->ops->usage(fault->inner, id, parent, any_length, usage, why));
}

static int fault_each(struct backend *fault, backend_visit *visit, void *context,
                      struct reason *why)
{
    FAULT_AROUND(fault, FAULT_EACH, why, fault->ops->each(fault->inner, visit, context, why));
}

static int fault_settle(struct backend *fault, const atomic_bool *cancel, struct reason *why)
{
    return fault->ops->settle ? fault->ops->settle(fault->inner, cancel, why) : 0;
}

static int fault_status(struct backend *fault, struct pool_status *status, struct reason *why)
{
    FAULT_AROUND(fault, FAULT_STATUS, why, fault->ops->status(fault->inner, status, why));
}

const struct backend_ops backend_fault = {
    .name = "fault",
    .open = fault_open,
    .close = fault_close,
    .admit = fault_admit,
    .create = fault_create,
    .clone = fault_clone,
    .remove = fault_remove,
    .locate = fault_locate,
    .find = fault_find,
    .open_root = fault_open_root,
    .open_read = fault_open_read,
    .confirm = fault_confirm,
    .sync = fault_sync,
    .seal = fault_seal,
    .rest = fault_rest,
    .usage = fault_usage,
    .each = fault_each,
    .settle = fault_settle,
    .status = fault_status,
};
