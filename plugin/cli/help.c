/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

static int run_help(const struct arguments *arguments, struct reason *why)
{
    const struct command *command = NULL;

    if (arguments->word_count > 0) {
        int result = command_find(&command, bytes_of(arguments->words[0]), why);

        if (result)
            return result;
    }
    command_explain(command);
    return 0;
}

const struct command command_help = {
    .name = "help",
    .words = "[COMMAND]",
    .summary = "Explain a command, or list them all",
    .details = "The same as 'cowsnap COMMAND --help' and 'cowsnap --help'.\n",
    .words_most = 1,
    .run = run_help,
};
