/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"
#include "cli/json.h"

#include <stdio.h>

static int run_version(const struct arguments *arguments, struct reason *why)
{
    (void)why;
    if (arguments->json) {
        struct json json = JSON_TO(stdout);

        json_object(&json, NULL);
        json_text(&json, "version", COWSNAP_VERSION);
        json_end(&json);
    } else {
        puts("cowsnap " COWSNAP_VERSION);
    }
    return 0;
}

const struct command command_version = {
    .name = "version",
    .words = "",
    .summary = "Print the version of this tool",
    .details = "The daemon's own version is a part of 'cowsnap status'.\n",
    .run = run_version,
};
