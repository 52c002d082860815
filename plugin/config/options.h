/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_CONFIG_OPTIONS_H
#define COWSNAP_CONFIG_OPTIONS_H

/* The daemon's command line. */

#include "base/result.h"
#include "config/config.h"
#include "config/settings.h"

#include <stdbool.h>

/* Borrows from the argument vector. */
struct options {
    const char *config_file; /* --config; NULL: CONFIG_FILE when it exists */
    bool help, version;
    bool forget_volumes; /* as in snapshots_options */
    const char
        *values[SETTINGS]; /* of the flags given, by place of their setting; NULL: not given */
};

/* CONDITION_INVALID for a line that is malformed, with a sentence that names the flag. Values are
 * checked by options_apply(). ARGV may be reordered. */
int options_parse(struct options *options, int argc, char **argv, struct reason *why);

/* Puts the flags' values over CONFIG. CONDITION_INVALID: "--FLAG must be …". */
int options_apply(const struct options *options, struct config *config, struct reason *why);

/* All three sources, one over the other: CONFIG, which need not be filled before, is to be ended by
 * config_clear(), also after a failure. */
int options_configure(const struct options *options, struct config *config, struct reason *why);

/* The text of --help. */
extern const char options_help[];

#endif
