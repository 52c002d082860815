/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/backend.h"

#include "base/bytes.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const struct backend_ops *const backends[] = {&backend_btrfs, &backend_dm_thin};

#define BACKENDS (sizeof(backends) / sizeof(backends[0]))

int backend_check(const struct backend_ops *ops, struct reason *why)
{
    const struct {
        const char *name;
        bool there;
    } required[] = {
        {"open", ops->open},           {"close", ops->close},   {"create", ops->create},
        {"clone", ops->clone},         {"remove", ops->remove}, {"locate", ops->locate},
        {"open_root", ops->open_root}, {"sync", ops->sync},     {"usage", ops->usage},
        {"each", ops->each},           {"status", ops->status},
    };

    if (!ops->name || !ops->name[0])
        return refuse(why, CONDITION_INVALID, "a backend has no name");
    for (size_t i = 0; i < sizeof(required) / sizeof(*required); i++)
        if (!required[i].there)
            return refuse(why, CONDITION_INVALID, "backend %s lacks the function %s", ops->name,
                          required[i].name);
    return 0;
}

int backend_find(const char *name, const struct backend_ops **ops, struct reason *why)
{
    char names[256] = "";

    for (size_t i = 0; i < BACKENDS; i++) {
        if (strcmp(backends[i]->name, name) == 0) {
            *ops = backends[i];
            return backend_check(backends[i], why);
        }
        size_t length = strlen(names);
        snprintf(names + length, sizeof(names) - length, "%s%s", i > 0 ? ", " : "",
                 backends[i]->name);
    }
    return refuse(why, CONDITION_INVALID, "there is no backend %s; there are: %s",
                  quoted(bytes_of(name)), names);
}
