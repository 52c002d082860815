/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_CLI_ARGUMENTS_H
#define COWSNAP_CLI_ARGUMENTS_H

/* The tool's command line. The common flags may stand before the command or after it. */

#include "base/result.h"
#include "cli/command.h"

/* CONDITION_INVALID for a line that is malformed, with a sentence that names what is. Whether the
 * number of words fits the command is not looked at when help is asked for. ARGV may be reordered.
 */
int arguments_parse(struct arguments *arguments, int argc, char **argv, struct reason *why);

/* The common flags, as --help shows them. */
extern const char arguments_common_help[];

#endif
