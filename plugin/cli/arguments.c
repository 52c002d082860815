/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/arguments.h"

#include "base/flag.h"
#include "config/config.h"

#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

const char arguments_common_help[] =
    "      --address SOCKET  the daemon's socket (as " CONFIG_FILE " says, or else\n"
    "                        /run/cowsnap/cowsnap.sock)\n"
    "      --json            print JSON: sizes in bytes, times in UTC\n"
    "      --help            print help and leave\n";

/* Values of getopt_long(): a flag of the command by its place, then these. They keep clear of '?'
 * and ':'. */
enum {
    FLAG_OWN = 256,
    FLAG_ADDRESS = FLAG_OWN + COMMAND_FLAGS,
    FLAG_JSON,
    FLAG_HELP,
    FLAG_VERSION
};

#define FLAGS_MOST (COMMAND_FLAGS + 4)

/* The flags that may stand before a command (COMMAND is NULL) or after this one. --version belongs
 * to the tool as a whole: a command may have one of its own that means something else. */
static size_t list_flags(struct option *flags, const struct command *command)
{
    size_t count = 0;

    flags[count++] = (struct option){"address", required_argument, NULL, FLAG_ADDRESS};
    flags[count++] = (struct option){"json", no_argument, NULL, FLAG_JSON};
    flags[count++] = (struct option){"help", no_argument, NULL, FLAG_HELP};
    if (!command)
        flags[count++] = (struct option){"version", no_argument, NULL, FLAG_VERSION};
    for (int i = 0; command && command->flags && command->flags[i].name; i++)
        flags[count++] = (struct option){
            command->flags[i].name, command->flags[i].takes_value ? required_argument : no_argument,
            NULL, FLAG_OWN + i};
    flags[count] = (struct option){0};
    return count;
}

/* "cowsnap --help" or "cowsnap ls --help": where the flags are told that a word should be one of.
 */
#define HELP "cowsnap %s%s--help"
#define HELP_WORDS(command) (command) ? (command)->name : "", (command) ? " " : ""

static int refuse_flag(const char *word, const struct option *flags, size_t count,
                       const struct command *command, struct reason *why)
{
    char see[64];

    snprintf(see, sizeof(see), HELP, HELP_WORDS(command));
    return flag_refuse(word, flags, count, see, why);
}

static void put_flag(struct arguments *arguments, int flag)
{
    switch (flag) {
    case FLAG_ADDRESS:
        arguments->address = optarg;
        break;
    case FLAG_JSON:
        arguments->json = true;
        break;
    case FLAG_HELP:
        arguments->help = true;
        break;
    case FLAG_VERSION:
        arguments->version = true;
        break;
    default:
        arguments->values[flag - FLAG_OWN] = optarg ? optarg : "";
    }
}

/* What getopt_long() has just refused, as it was written. Of short flags there are none, and they
 * may stand in a cluster, so that the word is not over yet; a long one getopt has stepped over. */
static const char *refused_word(char *const *argv, char letter[3])
{
    if (optopt <= 0 || optopt >= FLAG_OWN)
        return argv[optind - 1];
    letter[0] = '-';
    letter[1] = (char)optopt;
    letter[2] = '\0';
    return letter;
}

/* Flags up to the first word; after the command, flags among the words as well. ARGV[0] is not
 * looked at. *REST is the place of the first word. */
static int parse_flags(struct arguments *arguments, int argc, char **argv, int *rest,
                       struct reason *why)
{
    const struct command *command = arguments->command;
    struct option flags[FLAGS_MOST + 1];
    size_t count = list_flags(flags, command);
    int flag;

    optind = 0; /* getopt starts anew */
    opterr = 0;
    while ((flag = getopt_long(argc, argv, command ? ":" : "+:", flags, NULL)) >= 0) {
        char letter[3];
        const char *word = flag == ':' || flag == '?' ? refused_word(argv, letter) : NULL;

        if (flag == ':')
            return refuse(why, CONDITION_INVALID, "%s wants a value; see " HELP, word,
                          HELP_WORDS(command));
        if (flag == '?' && optopt >= FLAG_OWN)
            return refuse(why, CONDITION_INVALID, "%s takes no value; see " HELP,
                          quoted(bytes_from(word, strcspn(word, "="))), HELP_WORDS(command));
        if (flag == '?')
            return refuse_flag(word, flags, count, command, why);
        put_flag(arguments, flag);
    }
    *rest = optind;
    return 0;
}

static int check_words(const struct arguments *arguments, struct reason *why)
{
    const struct command *command = arguments->command;

    if (arguments->word_count < command->words_least)
        return refuse(why, CONDITION_INVALID, "%s wants %s; see cowsnap %s --help", command->name,
                      command->words, command->name);
    if (arguments->word_count > command->words_most)
        return refuse(why, CONDITION_INVALID, "%s is one word too many; see cowsnap %s --help",
                      quoted(bytes_of(arguments->words[command->words_most])), command->name);
    return 0;
}

int arguments_parse(struct arguments *arguments, int argc, char **argv, struct reason *why)
{
    int at = argc, rest = 0;
    size_t used = 1;
    int result;

    *arguments = (struct arguments){0};
    result = parse_flags(arguments, argc, argv, &at, why);
    if (result || at >= argc)
        return result;
    result = command_find(&arguments->command, argv + at, (size_t)(argc - at), &used, why);
    if (result)
        return result;
    at += (int)used - 1; /* getopt passes over the last word of the name */
    result = parse_flags(arguments, argc - at, argv + at, &rest, why);
    if (result)
        return result;
    arguments->words = argv + at + rest;
    arguments->word_count = (size_t)(argc - at - rest);
    return arguments->help ? 0 : check_words(arguments, why);
}
