/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/inflate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int inflate_input_init(struct inflate_input *input, inflate_read *read, void *context,
                       struct reason *why)
{
    *input = (struct inflate_input){.read = read, .context = context};
    input->memory = malloc(INFLATE_INPUT_MARGIN + INFLATE_INPUT_SIZE);
    if (!input->memory)
        return failure(why, ENOMEM, "make room to read the layer's blob");
    memset(input->memory, 0, INFLATE_INPUT_MARGIN);
    input->next = input->memory + INFLATE_INPUT_MARGIN;
    return 0;
}

void inflate_input_deinit(struct inflate_input *input)
{
    free(input->memory);
    input->memory = NULL;
}

/* Moves the end of what was read into the margin and reads the next bytes behind it. Called with
 * fewer bytes available than the margin holds. */
static int inflate_input_read(struct inflate_input *input, struct reason *why)
{
    uint8_t *start = input->memory + INFLATE_INPUT_MARGIN;
    const uint8_t *end = input->next + input->available;
    size_t got = 0;
    int result;

    memmove(input->memory, end - INFLATE_INPUT_MARGIN, INFLATE_INPUT_MARGIN);
    input->next = start - input->available;
    result = input->read(input->context, start, INFLATE_INPUT_SIZE, &got, why);
    if (result)
        return result;
    input->available += got;
    input->ended = got == 0;
    return 0;
}

int inflate_input_want(struct inflate_input *input, size_t count, struct reason *why)
{
    while (input->available < count && !input->ended) {
        int result = inflate_input_read(input, why);

        if (result)
            return result;
    }
    return 0;
}

void inflate_input_skip(struct inflate_input *input, size_t count)
{
    input->next += count;
    input->available -= count;
    input->offset += count;
}

void inflate_input_unskip(struct inflate_input *input, size_t count)
{
    input->next -= count;
    input->available += count;
    input->offset -= count;
}
