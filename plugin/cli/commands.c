/* SPDX-License-Identifier: Apache-2.0 */
#include "base/word.h"
#include "cli/arguments.h"
#include "cli/command.h"

#include <limits.h>
#include <stdio.h>

const struct command *const commands[] = {
    &command_status,  &command_ls,     &command_tree,
    &command_usage,   &command_stages, &command_containerd_config,
    &command_version, &command_help,   NULL,
};

int command_find(const struct command **command, struct bytes name, struct reason *why)
{
    const char *nearest = NULL;
    unsigned least = UINT_MAX;

    for (size_t i = 0; commands[i]; i++) {
        unsigned distance = word_distance(name, bytes_of(commands[i]->name));

        if (distance == 0) {
            *command = commands[i];
            return 0;
        }
        if (distance < least && word_is_near(name, distance)) {
            least = distance;
            nearest = commands[i]->name;
        }
    }
    if (nearest)
        return refuse(why, CONDITION_INVALID, "%s is not a command; did you mean %s?", quoted(name),
                      nearest);
    return refuse(why, CONDITION_INVALID, "%s is not a command; cowsnap --help lists them",
                  quoted(name));
}

static void explain_all(void)
{
    fputs("Usage: cowsnap [OPTION]… COMMAND [ARGUMENT]…\n"
          "Look into a running cowsnapd.\n"
          "\n"
          "Commands:\n",
          stdout);
    for (size_t i = 0; commands[i]; i++)
        printf("  %-18s  %s\n", commands[i]->name, commands[i]->summary);
    printf("\n"
           "Options of every command:\n"
           "%s"
           "\n"
           "'cowsnap COMMAND --help' tells more about one. See also cowsnap(1).\n",
           arguments_common_help);
}

void command_explain(const struct command *command)
{
    if (!command) {
        explain_all();
        return;
    }
    printf("Usage: cowsnap %s [OPTION]…%s%s\n"
           "%s.\n"
           "\n"
           "%s"
           "\n"
           "Options of every command:\n"
           "%s",
           command->name, *command->words ? " " : "", command->words, command->summary,
           command->details, arguments_common_help);
}
