/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/stock.h"

#include <string.h>
#include <time.h>

void stock_init(struct stock *stock, unsigned limit)
{
    memset(stock, 0, sizeof(*stock));
    pthread_mutex_init(&stock->lock, NULL);
    stock->limit = limit < STOCK_MOST ? limit : STOCK_MOST;
}

void stock_deinit(struct stock *stock)
{
    pthread_mutex_destroy(&stock->lock);
}

int64_t stock_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- with the lock held ---- */

static struct stock_demand *find_demand(struct stock *stock, uint64_t parent)
{
    for (unsigned i = 0; i < STOCK_PARENTS; i++)
        if (stock->demands[i].parent == parent)
            return &stock->demands[i];
    return NULL;
}

static unsigned count_of(const struct stock *stock, uint64_t parent)
{
    unsigned count = 0;

    for (unsigned i = 0; i < stock->count; i++)
        count += stock->clones[i].parent == parent;
    return count;
}

/* Its clones are not wanted any more; returns how many. */
static unsigned drop_demand(struct stock *stock, struct stock_demand *demand)
{
    unsigned dropped = 0;

    for (unsigned i = 0; i < stock->count; i++) {
        if (stock->clones[i].parent == demand->parent) {
            stock->clones[i].parent = 0;
            dropped++;
        }
    }
    *demand = (struct stock_demand){0};
    return dropped;
}

/* The demand that was asked for longest ago, or a free place. */
static struct stock_demand *oldest_demand(struct stock *stock)
{
    struct stock_demand *oldest = &stock->demands[0];

    for (unsigned i = 0; i < STOCK_PARENTS; i++) {
        struct stock_demand *demand = &stock->demands[i];

        if (demand->parent == 0)
            return demand;
        if (demand->last < oldest->last)
            oldest = demand;
    }
    return oldest;
}

/* PARENT is asked for at NOW. */
static struct stock_demand *note_demand(struct stock *stock, uint64_t parent, int64_t now)
{
    struct stock_demand *demand = find_demand(stock, parent);

    if (!demand) {
        demand = oldest_demand(stock);
        drop_demand(stock, demand);
        demand->parent = parent;
    } else if (demand->wanted == 0 && now - demand->last <= STOCK_WINDOW_MS) {
        demand->wanted = STOCK_LEAST;
    }
    demand->last = now;
    return demand;
}

static void want_more(const struct stock *stock, struct stock_demand *demand)
{
    unsigned most = stock->limit > 1 ? stock->limit / 2 : stock->limit;

    demand->wanted *= 2;
    if (demand->wanted > most)
        demand->wanted = most;
}

/* The demand that was asked for last of those that want more than lies ready. */
static const struct stock_demand *neediest_demand(const struct stock *stock)
{
    const struct stock_demand *neediest = NULL;

    for (unsigned i = 0; i < STOCK_PARENTS; i++) {
        const struct stock_demand *demand = &stock->demands[i];

        if (demand->wanted > count_of(stock, demand->parent) &&
            (!neediest || demand->last > neediest->last))
            neediest = demand;
    }
    return neediest;
}

/* The demand that was asked for longest ago of those that have clones, but not that one. */
static struct stock_demand *idlest_holder(struct stock *stock, const struct stock_demand *but)
{
    struct stock_demand *idlest = NULL;

    for (unsigned i = 0; i < STOCK_PARENTS; i++) {
        struct stock_demand *demand = &stock->demands[i];

        if (demand != but && demand->parent && count_of(stock, demand->parent) > 0 &&
            (!idlest || demand->last < idlest->last))
            idlest = demand;
    }
    return idlest;
}

static uint64_t take_clone(struct stock *stock, unsigned at)
{
    uint64_t id = stock->clones[at].id;

    stock->clones[at] = stock->clones[--stock->count];
    return id;
}

/* ---- what others call ---- */

uint64_t stock_take(struct stock *stock, uint64_t parent, int64_t now, bool *low)
{
    struct stock_demand *demand;
    uint64_t id = 0;

    *low = false;
    pthread_mutex_lock(&stock->lock);
    if (stock->limit > 0) {
        demand = note_demand(stock, parent, now);
        for (unsigned i = 0; i < stock->count && id == 0; i++)
            if (stock->clones[i].parent == parent)
                id = take_clone(stock, i);
        if (id == 0)
            want_more(stock, demand);
        *low = count_of(stock, parent) < (demand->wanted + 3) / 4;
    }
    pthread_mutex_unlock(&stock->lock);
    return id;
}

bool stock_put(struct stock *stock, uint64_t id, uint64_t parent)
{
    bool room;

    pthread_mutex_lock(&stock->lock);
    room = stock->count < STOCK_MOST;
    if (room)
        stock->clones[stock->count++] =
            (struct stock_clone){id, find_demand(stock, parent) ? parent : 0};
    pthread_mutex_unlock(&stock->lock);
    return room;
}

bool stock_forget(struct stock *stock, uint64_t parent)
{
    struct stock_demand *demand;
    bool dropped;

    pthread_mutex_lock(&stock->lock);
    demand = find_demand(stock, parent);
    dropped = demand && drop_demand(stock, demand) > 0;
    pthread_mutex_unlock(&stock->lock);
    return dropped;
}

void stock_forget_all(struct stock *stock)
{
    pthread_mutex_lock(&stock->lock);
    for (unsigned i = 0; i < STOCK_PARENTS; i++)
        drop_demand(stock, &stock->demands[i]);
    pthread_mutex_unlock(&stock->lock);
}

unsigned stock_lacks(struct stock *stock, uint64_t *parent)
{
    const struct stock_demand *demand;
    unsigned lacking = 0;

    pthread_mutex_lock(&stock->lock);
    demand = neediest_demand(stock);
    if (demand) {
        unsigned held = stock->count - count_of(stock, 0);
        struct stock_demand *idle;

        lacking = demand->wanted - count_of(stock, demand->parent);
        while (held + lacking > stock->limit && (idle = idlest_holder(stock, demand)))
            held -= drop_demand(stock, idle);
        if (lacking > stock->limit - held)
            lacking = stock->limit - held;
        if (lacking > STOCK_MOST - stock->count)
            lacking = STOCK_MOST - stock->count;
        *parent = demand->parent;
    }
    pthread_mutex_unlock(&stock->lock);
    return lacking;
}

size_t stock_sort_out(struct stock *stock, int64_t now, uint64_t *ids, size_t room)
{
    size_t count = 0;

    pthread_mutex_lock(&stock->lock);
    for (unsigned i = 0; i < STOCK_PARENTS; i++)
        if (stock->demands[i].parent && now - stock->demands[i].last >= STOCK_LIFE_MS)
            drop_demand(stock, &stock->demands[i]);
    for (unsigned i = 0; i < stock->count && count < room;) {
        if (stock->clones[i].parent == 0)
            ids[count++] = take_clone(stock, i);
        else
            i++;
    }
    pthread_mutex_unlock(&stock->lock);
    return count;
}

unsigned stock_count(struct stock *stock)
{
    unsigned count;

    pthread_mutex_lock(&stock->lock);
    count = stock->count;
    pthread_mutex_unlock(&stock->lock);
    return count;
}
