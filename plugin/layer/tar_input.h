/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_LAYER_TAR_INPUT_H
#define COWSNAP_LAYER_TAR_INPUT_H

/*
 * The bytes of an archive, taken from a source of chunks and counted. At most one chunk is held,
 * and none while the source is asked for the next: the source may have to wait for it.
 */

#include "layer/tar_reader.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tar_input {
    tar_source *source;
    void *context;
    struct chunk *chunk; /* held; NULL between chunks */
    size_t at;           /* bytes of it that were taken */
    uint64_t offset;     /* bytes of the archive that were taken */
    bool ended;          /* the source has no more; it is not asked again */
};

/* Gives the chunk back. */
void tar_input_deinit(struct tar_input *input);

/* Up to LIMIT bytes inside one chunk, at least one. *LENGTH is 0 at the end. *DATA stays valid
 * until the next call, or as long as the caller holds a reference of its own to input->chunk. */
int tar_input_run(struct tar_input *input, uint64_t limit, const uint8_t **data, size_t *length,
                  struct reason *why);

/* Copies the next LENGTH bytes, or what is there before the end: *GOT tells. */
int tar_input_copy(struct tar_input *input, uint8_t *target, size_t length, size_t *got,
                   struct reason *why);

/* Steps over LENGTH bytes, or what is there: *SKIPPED tells. */
int tar_input_skip(struct tar_input *input, uint64_t length, uint64_t *skipped, struct reason *why);

#endif
