/* SPDX-License-Identifier: Apache-2.0 */
#include "crash/storage.h"

#include <string.h>

const struct storage *storage_find(const char *name)
{
    static const struct storage *const all[] = {&storage_btrfs, &storage_thin};

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (strcmp(all[i]->name, name) == 0)
            return all[i];
    return NULL;
}
