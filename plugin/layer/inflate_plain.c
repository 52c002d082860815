/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/inflate.h"

#include <string.h>

static int plain_open(struct inflater_handle **handle, struct reason *why)
{
    (void)why;
    *handle = NULL;
    return 0;
}

static void plain_close(struct inflater_handle *handle)
{
    (void)handle;
}

static int plain_inflate(struct inflater_handle *handle, struct inflate_input *input, uint8_t *out,
                         size_t room, size_t *got, struct reason *why)
{
    /* What the window holds from the look at the first bytes; the rest is read into its place. */
    size_t held = input->available < room ? input->available : room;

    (void)handle;
    if (held > 0)
        memcpy(out, input->next, held);
    inflate_input_skip(input, held);
    *got = held;
    while (*got < room && !input->ended) {
        size_t count = 0;
        int result = input->read(input->context, out + *got, room - *got, &count, why);

        if (result)
            return result;
        input->offset += count;
        input->ended = count == 0;
        *got += count;
    }
    return 0;
}

const struct inflater inflater_plain = {
    .name = "plain",
    .open = plain_open,
    .close = plain_close,
    .inflate = plain_inflate,
};
