/* SPDX-License-Identifier: Apache-2.0 */
#include "base/word.h"
#include "cli/arguments.h"
#include "cli/command.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

const struct command *const commands[] = {
    &command_status,      &command_ls,          &command_tree,
    &command_usage,       &command_stages,      &command_pool,
    &command_pool_status, &command_pool_create, &command_pool_grow,
    &command_pool_check,  &command_check,       &command_containerd_config,
    &command_version,     &command_help,        NULL,
};

static int refuse_name(struct bytes name, struct reason *why)
{
    const char *nearest = NULL;
    unsigned least = UINT_MAX;

    for (size_t i = 0; commands[i]; i++) {
        unsigned distance = word_distance(name, bytes_of(commands[i]->name));

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

static const struct command *find_name(const char *name)
{
    for (size_t i = 0; commands[i]; i++)
        if (strcmp(name, commands[i]->name) == 0)
            return commands[i];
    return NULL;
}

/* Whether WORD is the first of two in some name. */
static bool is_first_word(const char *word)
{
    size_t length = strlen(word);

    for (size_t i = 0; commands[i]; i++)
        if (strncmp(word, commands[i]->name, length) == 0 && commands[i]->name[length] == ' ')
            return true;
    return false;
}

int command_find(const struct command **command, char *const *words, size_t count, size_t *used,
                 struct reason *why)
{
    char name[128];

    *used = count > 1 && words[1][0] != '-' && is_first_word(words[0]) ? 2 : 1;
    if (*used == 1) {
        *command = find_name(words[0]);
        return *command ? 0 : refuse_name(bytes_of(words[0]), why);
    }
    snprintf(name, sizeof(name), "%s %s", words[0], words[1]);
    *command = find_name(name);
    return *command ? 0 : refuse_name(bytes_of(name), why);
}

static void explain_all(void)
{
    fputs("Usage: cowsnap [OPTION]… COMMAND [ARGUMENT]…\n"
          "Look into a running cowsnapd, and after its pool.\n"
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
