/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store.h"

#include <stdlib.h>

static int by_key(const void *key, const void *label)
{
    return bytes_compare(*(const struct bytes *)key, ((const struct label *)label)->key);
}

const struct bytes *label_value(const struct label *labels, size_t count, struct bytes key)
{
    const struct label *found = NULL;

    if (count > 0)
        found = bsearch(&key, labels, count, sizeof(*labels), by_key);
    return found ? &found->value : NULL;
}
