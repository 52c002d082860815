/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/io_engine.h"

#include "base/bytes.h"
#include "base/log.h"

#include <stddef.h>
#include <string.h>

/* The best first: io_uring costs more processor time and saves none (docs/performance.md). */
static const struct io_engine *const io_engines[] = {&io_engine_plain, &io_engine_uring};
#define IO_ENGINE_COUNT (sizeof(io_engines) / sizeof(io_engines[0]))

static int io_engine_choose_best(const struct io_engine **engine, struct reason *why)
{
    for (size_t i = 0; i < IO_ENGINE_COUNT; i++) {
        struct reason missing = {0};

        if (io_engines[i]->probe(&missing) == 0) {
            log_info("files are written by the I/O engine \"%s\"", io_engines[i]->name);
            *engine = io_engines[i];
            return 0;
        }
        log_info("the I/O engine \"%s\" is not for this machine: %s", io_engines[i]->name,
                 missing.text);
    }
    return refuse(why, CONDITION_UNAVAILABLE, "no I/O engine works on this machine");
}

int io_engine_choose(const char *name, const struct io_engine **engine, struct reason *why)
{
    if (strcmp(name, "auto") == 0)
        return io_engine_choose_best(engine, why);
    for (size_t i = 0; i < IO_ENGINE_COUNT; i++) {
        struct reason missing = {0};

        if (strcmp(name, io_engines[i]->name) != 0)
            continue;
        if (io_engines[i]->probe(&missing) != 0)
            return refuse(why, CONDITION_UNAVAILABLE,
                          "the I/O engine \"%s\" does not work on this machine: %s; use \"auto\" "
                          "or \"plain\"",
                          name, missing.text);
        *engine = io_engines[i];
        return 0;
    }
    return refuse(why, CONDITION_INVALID,
                  "there is no I/O engine %s; use \"auto\", \"io_uring\" or \"plain\"",
                  quoted(bytes_of(name)));
}
