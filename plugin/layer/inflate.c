/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/inflate.h"

int inflater_choose(struct inflate_input *input, const struct inflater **inflater,
                    struct reason *why)
{
    static const struct inflater *const compressed[] = {&inflater_gzip, &inflater_zstd};
    int result = inflate_input_want(input, INFLATER_MAGIC_SIZE, why);

    if (result)
        return result;
    *inflater = &inflater_plain;
    for (size_t i = 0; i < sizeof(compressed) / sizeof(compressed[0]); i++)
        if (compressed[i]->recognises(input->next, input->available))
            *inflater = compressed[i];
    return 0;
}
