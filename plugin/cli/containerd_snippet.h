/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_CLI_CONTAINERD_SNIPPET_H
#define COWSNAP_CLI_CONTAINERD_SNIPPET_H

/* What a containerd's configuration needs so that it uses cowsnap. Which version understands what
 * was read in containerd's own sources. */

#include "base/result.h"
#include "cli/containerd_version.h"

#include <stdbool.h>
#include <stdio.h>

struct containerd_snippet {
    struct containerd_version version;
    const char *address;  /* of cowsnapd */
    const char *root;     /* its root */
    bool asked;           /* both are the running daemon's own */
    const char *platform; /* as the OCI writes it: "linux/amd64" */
};

/* The version of the configuration's own format: 2 or 3. */
unsigned containerd_snippet_format(const struct containerd_snippet *snippet);

/* Writes it as TOML with comments. CONDITION_INVALID: the address or the root is no absolute path,
 * or cannot stand in TOML, which is UTF-8. An error of the stream is the caller's to look for. */
int containerd_snippet_write(const struct containerd_snippet *snippet, FILE *stream,
                             struct reason *why);

/* The platform of this machine; CONDITION_UNIMPLEMENTED for a processor whose name in the OCI's
 * terms is not known. */
int containerd_platform(const char **platform, struct reason *why);

#endif
