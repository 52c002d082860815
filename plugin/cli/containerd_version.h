/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_CLI_CONTAINERD_VERSION_H
#define COWSNAP_CLI_CONTAINERD_VERSION_H

/* Which containerd a configuration is for. */

#include "base/bytes.h"
#include "base/result.h"

#include <stdbool.h>

struct containerd_version {
    unsigned major, minor, patch;
};

/* A part that is not given stands for the newest there is. */
#define VERSION_NEWEST 9999

/* Reads "1.7.24", "1.7", "2", with or without "v" before it and a packager's or a pre-release's
 * suffix after it ("~ds1", "-rc.1", "+unknown"). CONDITION_INVALID: it is none;
 * CONDITION_UNIMPLEMENTED: it is older than 1.6, the first that cowsnap works with. */
int containerd_version_parse(struct containerd_version *version, struct bytes text,
                             struct reason *why);

/* Finds the version in what `containerd --version` prints: its third word. */
int containerd_version_read(struct containerd_version *version, struct bytes output,
                            struct reason *why);

/* Asks the containerd found in PATH. CONDITION_NOT_FOUND: there is none. */
int containerd_version_ask(struct containerd_version *version, struct reason *why);

bool containerd_version_since(const struct containerd_version *version, unsigned major,
                              unsigned minor, unsigned patch);

#define VERSION_ROOM 40

/* "1.7.24", or "1.7" when the rest was not given. Returns BUFFER. */
const char *containerd_version_text(const struct containerd_version *version,
                                    char buffer[VERSION_ROOM]);

#endif
