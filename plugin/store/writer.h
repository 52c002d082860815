/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_STORE_WRITER_H
#define COWSNAP_STORE_WRITER_H

/* The store's only writer: a thread that runs the functions of store_write(). writer.c says how. */

#include "store/table.h"

#include <pthread.h>
#include <stdatomic.h>

struct request;

struct writer {
    struct environment *environment;
    const struct tables *tables;
    pthread_t thread;

    /* Never held while the map's lock is taken, nor in a transaction. */
    pthread_mutex_t lock;
    pthread_cond_t arrived; /* a request, or closing */
    pthread_cond_t left;    /* the last caller, while closing */
    /* under the lock: */
    struct request *first, **last; /* requests in the order they came */
    unsigned callers;              /* threads inside writer_run() */
    bool closing;

    atomic_int broken; /* the errno after which no write is trusted; 0 */
    atomic_uint_fast64_t commits, requests;
};

/* After a failure there is nothing to stop. */
int writer_start(struct writer *writer, struct environment *environment,
                 const struct tables *tables, struct reason *why);
/* Finishes what waits; returns when the thread has ended and every caller has left. */
void writer_stop(struct writer *writer);

/* As store_write(), or as store_write_reserved(). */
int writer_run(struct writer *writer, bool may_use_reserve, store_function *function, void *context,
               struct reason *why);

#endif
