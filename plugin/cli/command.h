/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_CLI_COMMAND_H
#define COWSNAP_CLI_COMMAND_H

/*
 * The commands of the tool: one file each, all in one table (commands.c). A new one is a file with
 * a struct command, and a line in the table. A name may be two words: "pool grow".
 */

#include "base/bytes.h"
#include "base/result.h"

#include <stdbool.h>
#include <stddef.h>

/* A flag that one command has beside the common ones. */
struct command_flag {
    const char *name; /* without dashes; NULL ends a list */
    bool takes_value;
};

#define COMMAND_FLAGS 8 /* that a command may have of its own */

#define COMMAND_NO 1000 /* no enum condition */

struct command;

/* A command line that was understood. Borrows from the argument vector. */
struct arguments {
    const struct command *command; /* NULL: none was named */
    const char *address;           /* --address; NULL: not given */
    bool json, help, version;
    const char *values[COMMAND_FLAGS]; /* of the command's own flags, by place; "" for one that
                                          takes no value, NULL for one that is not given */
    char **words;                      /* what stands after the command */
    size_t word_count;
};

struct command {
    const char *name;
    const char *words;   /* that follow it, for people: "KEY"; "" for none */
    const char *summary; /* begins with a verb; one line in the list of commands */
    const char *details; /* the rest of its help, flags of its own included; ends in a newline */
    const struct command_flag *flags; /* NULL for none */
    size_t words_least, words_most;
    int failed; /* exit status when run() fails; 0: 1, as usual */

    /* Prints to standard output; whoever calls it looks whether that was possible. A result of
     * CONDITION_INVALID tells that the command line was wrong; COMMAND_NO that all was done and
     * printed, and the answer is no: exit status 1. */
    int (*run)(const struct arguments *arguments, struct reason *why);
};

extern const struct command command_check;
extern const struct command command_containerd_config;
extern const struct command command_help;
extern const struct command command_ls;
extern const struct command command_pool;
extern const struct command command_pool_check;
extern const struct command command_pool_create;
extern const struct command command_pool_grow;
extern const struct command command_pool_status;
extern const struct command command_stages;
extern const struct command command_status;
extern const struct command command_tree;
extern const struct command command_usage;
extern const struct command command_version;

/* In the order in which --help lists them; ends with NULL. */
extern const struct command *const commands[];

/* The command that the COUNT words (at least one) begin with; *USED of them are its name.
 * CONDITION_INVALID suggests the nearest. */
int command_find(const struct command **command, char *const *words, size_t count, size_t *used,
                 struct reason *why);

/* Prints the help of one command, or of the tool when COMMAND is NULL. */
void command_explain(const struct command *command);

#endif
