/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/presence.h"

int presence_expect(enum pool_presence presence, bool made, const char *name, struct reason *why)
{
    if ((presence == POOL_ABSENT || presence == POOL_LOST) && made)
        return refuse(why, CONDITION_EXISTS,
                      "the pool %s is there already: `cowsnap pool status` shows it", name);
    if ((presence == POOL_KNOWN || presence == POOL_LOST) && !made)
        return refuse(why, CONDITION_PRECONDITION,
                      "the store in root has snapshots, and their pool %s is not there: mount or "
                      "restore what it lies on, and look at the settings of the pool; if it is "
                      "lost, move the folder meta in root away as well, and begin anew",
                      name);
    if ((presence == POOL_PRESENT || presence == POOL_ACTIVE) && !made)
        return refuse(why, CONDITION_NOT_FOUND,
                      "the pool %s is not there: if there was one, mount or restore what it lies "
                      "on; `cowsnap pool create` makes the first",
                      name);
    return 0;
}

int presence_expect_active(enum pool_presence presence, bool active, const char *name,
                           struct reason *why)
{
    if (presence != POOL_ACTIVE || active)
        return 0;
    return refuse(
        why, CONDITION_PRECONDITION,
        "the pool %s is there, but neither mounted nor active: the start of cowsnapd sees "
        "to that",
        name);
}
