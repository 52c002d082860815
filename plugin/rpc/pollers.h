/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_RPC_POLLERS_H
#define COWSNAP_RPC_POLLERS_H

/*
 * Two threads that take turns at gRPC's completion queue. One polls: it does gRPC's input and
 * output and runs what each event's tag says. The other sleeps, and takes over when the first is
 * held up by what it began under pollers_begin().
 *
 * So what is mostly over in microseconds can be done where it arrives: to hand it to another thread
 * and back takes longer than a read of the store. One thread is enough for polling itself: with two
 * in the queue at once each event wakes both.
 */

#include "base/result.h"

#include <grpc/grpc.h>
#include <stdbool.h>

struct pollers;

/* QUEUE is borrowed until pollers_close(). */
int pollers_open(struct pollers **pollers, grpc_completion_queue *queue, struct reason *why);

/* On the thread that polls, before something that may block: from now until pollers_end() the other
 * takes over when it lasts. False when the other is not there to do so; then nothing was begun, and
 * what may block has to be done elsewhere. */
bool pollers_begin(struct pollers *pollers);
void pollers_end(struct pollers *pollers);

/* Once the queue was told to shut down: both have ended, the queue is empty. NULL is allowed;
 * returns NULL. */
struct pollers *pollers_close(struct pollers *pollers);

/* Runs what comes out of QUEUE until it has shut down. */
void pollers_drain(grpc_completion_queue *queue);

#endif
