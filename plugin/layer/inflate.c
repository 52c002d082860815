/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/inflate.h"

int inflater_choose(struct inflate_input *input, const struct inflater **inflater,
                    struct reason *why)
{
    /* The last one recognises everything. */
    static const struct inflater *const all[] = {&inflater_gzip, &inflater_zstd, &inflater_plain};
    size_t at = 0;
    int result = inflate_input_want(input, INFLATER_MAGIC_SIZE, why);

    if (result)
        return result;
    while (!all[at]->recognises(input->next, input->available))
        at++;
    *inflater = all[at];
    return 0;
}
