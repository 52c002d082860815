/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/tar_input.h"

#include <string.h>

void tar_input_deinit(struct tar_input *input)
{
    chunk_unref(input->chunk);
    input->chunk = NULL;
}

/* Makes a chunk with bytes left current, or none at the end. */
static int ensure_chunk(struct tar_input *input, struct reason *why)
{
    int result;

    while (!input->ended && (!input->chunk || input->at == input->chunk->length)) {
        chunk_unref(input->chunk);
        input->chunk = NULL;
        input->at = 0;
        result = input->source(input->context, &input->chunk, why);
        if (result != 0) {
            input->chunk = NULL;
            return result;
        }
        input->ended = !input->chunk;
    }
    return 0;
}

int tar_input_run(struct tar_input *input, uint64_t limit, const uint8_t **data, size_t *length,
                  struct reason *why)
{
    size_t left;
    int result;

    *data = NULL;
    *length = 0;
    result = ensure_chunk(input, why);
    if (result != 0 || !input->chunk)
        return result;
    left = input->chunk->length - input->at;
    *data = input->chunk->data + input->at;
    *length = left < limit ? left : (size_t)limit;
    input->at += *length;
    input->offset += *length;
    return 0;
}

int tar_input_copy(struct tar_input *input, uint8_t *target, size_t length, size_t *got,
                   struct reason *why)
{
    *got = 0;
    while (*got < length) {
        const uint8_t *data;
        size_t run;
        int result = tar_input_run(input, length - *got, &data, &run, why);

        if (result != 0)
            return result;
        if (run == 0)
            break;
        memcpy(target + *got, data, run);
        *got += run;
    }
    return 0;
}

int tar_input_skip(struct tar_input *input, uint64_t length, uint64_t *skipped, struct reason *why)
{
    *skipped = 0;
    while (*skipped < length) {
        const uint8_t *data;
        size_t run;
        int result = tar_input_run(input, length - *skipped, &data, &run, why);

        if (result != 0)
            return result;
        if (run == 0)
            break;
        *skipped += run;
    }
    return 0;
}
