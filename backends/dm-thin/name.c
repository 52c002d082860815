/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/dm-thin/name.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool name_is_fit(const char *pool)
{
    size_t length = strspn(pool, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "0123456789-_.+:");

    return length > 0 && length < NAME_POOL && pool[length] == '\0' && pool[0] != '.';
}

void name_volume(const char *pool, uint64_t id, char name[DEVICE_NAME])
{
    snprintf(name, DEVICE_NAME, "%.96s-snap-%" PRIu64, pool, id);
}

void name_volume_uuid(const char *pool, uint64_t id, char uuid[DEVICE_UUID])
{
    snprintf(uuid, DEVICE_UUID, "COWSNAP-%.96s-%" PRIu64, pool, id);
}

void name_part(const char *pool, const char *what, char name[DEVICE_NAME])
{
    snprintf(name, DEVICE_NAME, "%.96s-%.20s", pool, what);
}

void name_part_uuid(const char *pool, const char *what, char uuid[DEVICE_UUID])
{
    snprintf(uuid, DEVICE_UUID, "COWSNAP-%.96s-%.20s", pool, what);
}

uint64_t name_parse_volume(const char *pool, const char *name)
{
    size_t length = strlen(pool);
    char again[DEVICE_NAME];
    uint64_t id;

    if (strncmp(name, pool, length) != 0 || strncmp(name + length, "-snap-", 6) != 0)
        return 0;
    errno = 0;
    id = strtoull(name + length + 6, NULL, 10);
    if (errno != 0)
        return 0;
    name_volume(pool, id, again);
    return strcmp(name, again) == 0 ? id : 0;
}
