/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_BACKENDS_DM_THIN_SURVEY_H
#define COWSNAP_BACKENDS_DM_THIN_SURVEY_H

/*
 * Which thin devices a pool holds. The kernel has no call for that; they are read from the pool's
 * metadata device, out of a metadata snapshot that the pool keeps still meanwhile (as thin_ls(8)
 * does), or, when the pool writes nothing any more, from the metadata itself.
 */

#include "backends/dm-thin/metadata.h"
#include "base/result.h"

#include <pthread.h>

/* A result other than 0 ends the walk and is returned. */
typedef int survey_visit(void *context, const struct metadata_device *device, struct reason *why);

/* POOL is the device-mapper name of an active pool, METADATA the path of its metadata device,
 * MESSAGES what is held while the pool is sent one (thin_pool.h), or NULL. A metadata snapshot left
 * by a survey that was cut short is given back. */
int survey_pool(const char *pool, const char *metadata, pthread_mutex_t *messages,
                survey_visit *visit, void *context, struct reason *why);

/* Whether a pool was ever made on the metadata device METADATA: 1, 0 when it is blank.
 * CONDITION_INVALID when it holds something else. */
int survey_look(const char *metadata, struct reason *why);

#endif
