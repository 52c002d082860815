/* SPDX-License-Identifier: Apache-2.0 */

/* cowsnap: understands the command line, runs one command, and tells how that went. */

#include "cli/arguments.h"
#include "cli/command.h"

#include <errno.h>
#include <locale.h>
#include <stdio.h>

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* What a peer sent may stand in the sentence: no control character of it reaches the terminal. */
static int complain(int result, const struct command *command, struct reason *why)
{
    for (char *at = why->text; *at; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            *at = '?';
    fprintf(stderr, "cowsnap: %s\n", why->text);
    if (result == CONDITION_INVALID)
        return EXIT_USAGE;
    return command && command->failed ? command->failed : EXIT_FAILED;
}

static int run(const struct arguments *arguments, struct reason *why)
{
    int result = 0;

    if (arguments->help)
        command_explain(arguments->command);
    else if (arguments->version)
        result = command_version.run(arguments, why);
    else if (arguments->command)
        result = arguments->command->run(arguments, why);
    else
        result = refuse(why, CONDITION_INVALID, "a command is missing; cowsnap --help lists them");
    if (result != 0 && result != COMMAND_NO)
        return result;
    /* An output that is not whole, on a full disk for example, is no success. */
    errno = 0;
    if (fflush(stdout) || ferror(stdout))
        return failure(why, errno, "write the output");
    return result;
}

int main(int argc, char **argv)
{
    struct arguments arguments;
    struct reason why = {0};
    int result;

    setlocale(LC_ALL, "");
    result = arguments_parse(&arguments, argc, argv, &why);
    if (result == 0)
        result = run(&arguments, &why);
    if (result == COMMAND_NO)
        return EXIT_FAILED;
    return result ? complain(result, arguments.command, &why) : EXIT_DONE;
}
