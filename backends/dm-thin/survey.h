/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_BACKENDS_DM_THIN_SURVEY_H
#define COWSNAP_BACKENDS_DM_THIN_SURVEY_H

/*
 * Which thin devices a pool holds. The kernel has no call for that; they are read from the pool's
 * metadata device, out of a metadata snapshot that the pool keeps still meanwhile (as thin_ls(8)
 * does), or, when the pool writes nothing any more, from the metadata itself.
 */

#include "backends/dm-thin/line.h"
#include "backends/dm-thin/metadata.h"
#include "base/result.h"

#include <pthread.h>

/* A result other than 0 ends the walk and is returned. */
typedef int survey_visit(void *context, const struct metadata_device *device, struct reason *why);

/* In all of these POOL is the device-mapper name of an active pool, and MESSAGES what is held while
 * the pool is sent one (thin_pool.h), or NULL. */

/* CONDITION_UNAVAILABLE: it is not active any more. */
int survey_status(const char *pool, struct line_pool_status *status, struct reason *why);

/* Has the pool keep a metadata snapshot, of which there is one at a time: others are kept out by
 * thin_pool.checks, and one that was left, by who was killed, is given back. 0 or minus an errno.
 */
int survey_hold(const char *pool, pthread_mutex_t *messages);
void survey_let_go(const char *pool, pthread_mutex_t *messages);

/* METADATA is the path of the pool's metadata device. */
int survey_pool(const char *pool, const char *metadata, pthread_mutex_t *messages,
                survey_visit *visit, void *context, struct reason *why);

/* Whether a pool was ever made on the metadata device METADATA: 1, 0 when it is blank.
 * CONDITION_INVALID when it holds something else. */
int survey_look(const char *metadata, struct reason *why);

#endif
