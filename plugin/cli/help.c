/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

static int run_help(const struct arguments *arguments, struct reason *why)
{
    const struct command *command = NULL;
    size_t used = 0;

    if (arguments->word_count > 0) {
        int result = command_find(&command, arguments->words, arguments->word_count, &used, why);

        if (result)
            return result;
    }
    if (used < arguments->word_count)
        return refuse(why, CONDITION_INVALID, "%s is one word too many; see cowsnap help --help",
                      quoted(bytes_of(arguments->words[used])));
    command_explain(command);
    return 0;
}

const struct command command_help = {
    .name = "help",
    .words = "[COMMAND]",
    .summary = "Explain a command, or list them all",
    .details = "The same as 'cowsnap COMMAND --help' and 'cowsnap --help'.\n",
    .words_most = 2,
    .run = run_help,
};
