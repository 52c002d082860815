/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

static int run_pool(const struct arguments *arguments, struct reason *why)
{
    (void)arguments;
    return refuse(why, CONDITION_INVALID,
                  "pool wants status, create, grow or check right after it; see cowsnap pool "
                  "--help");
}

const struct command command_pool = {
    .name = "pool",
    .words = "COMMAND",
    .summary = "Look after the pool: what COMMAND may be follows here",
    .details = "  status            how it is\n"
               "  create            make it\n"
               "  grow SIZE         make it larger\n"
               "  check             look for damage\n"
               "\n"
               "'cowsnap pool COMMAND --help' tells more. They ask the running cowsnapd, or, when\n"
               "none runs, take its place for so long.\n",
    .words_most = 1,
    .run = run_pool,
};
