/* SPDX-License-Identifier: Apache-2.0 */
#include "base/owner.h"

#include "base/bytes.h"

#include <unistd.h>

bool owner_is_trusted(uid_t user)
{
    return user == 0 || user == geteuid();
}

int owner_check(const struct stat *status, const char *path, struct reason *why)
{
    const char *name = quoted(bytes_of(path));

    if (!owner_is_trusted(status->st_uid))
        return refuse(why, CONDITION_PRECONDITION,
                      "%s belongs to user %u, who could make the daemon do anything: chown root %s",
                      name, status->st_uid, name);
    if (status->st_mode & (S_IWGRP | S_IWOTH))
        return refuse(why, CONDITION_PRECONDITION,
                      "%s may be written by others than its owner (mode %04o): chmod go-w %s", name,
                      status->st_mode & 07777, name);
    return 0;
}
