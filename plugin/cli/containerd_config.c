/* SPDX-License-Identifier: Apache-2.0 */
#include "base/scoped.h"
#include "cli/command.h"
#include "cli/containerd_snippet.h"
#include "cli/daemon.h"
#include "cli/json.h"
#include "config/config.h"
#include "rpc/message.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { FLAG_VERSION, FLAG_ROOT };

static const struct command_flag flags[] = {
    [FLAG_VERSION] = {"version", true},
    [FLAG_ROOT] = {"root", true},
    {NULL, false},
};

static int choose_version(struct containerd_version *version, const struct arguments *arguments,
                          struct reason *why)
{
    int result;

    if (arguments->values[FLAG_VERSION])
        return containerd_version_parse(version, bytes_of(arguments->values[FLAG_VERSION]), why);
    result = containerd_version_ask(version, why);
    if (result == 0 || result == CONDITION_UNIMPLEMENTED)
        return result;
    fprintf(stderr, "cowsnap: %s; this is for the newest containerd, --version names another\n",
            why->text);
    return containerd_version_parse(version, bytes_of("2"), why);
}

static int copy(char **target, const char *text, struct reason *why)
{
    free(*target);
    *target = (char *)bytes_copy(bytes_of(text));
    return *target ? 0 : failure(why, ENOMEM, "make a configuration");
}

/* Address and root: the running daemon's own, where one answers; else what the command line says
 * or, without it, the settings. --root wins in any case. PLACES begins as the settings. */
static int choose_places(struct config *places, bool *asked, const struct arguments *arguments,
                         struct reason *why)
{
    scoped(daemon_disconnect) struct daemon daemon;
    scoped_message Cowsnap__Control__V1__StatusResponse *status = NULL;
    struct reason unanswered = {0};
    const char *address = arguments->address, *root = arguments->values[FLAG_ROOT];
    int result = daemon_connect(&daemon, arguments, &unanswered);

    if (result == 0)
        result = daemon_status(&daemon, &status, &unanswered);
    *asked = result == 0;
    if (*asked) {
        address = status->address;
        root = root ? root : status->root;
    }
    result = address ? copy(&places->address, address, why) : 0;
    if (result == 0 && root)
        result = copy(&places->root, root, why);
    return result;
}

static int print_json(const struct containerd_snippet *snippet, struct reason *why)
{
    scoped_free char *text = NULL;
    char version[VERSION_ROOM];
    size_t length;
    FILE *stream = open_memstream(&text, &length);
    struct json json = JSON_TO(stdout);
    int result;

    if (!stream)
        return failure(why, errno, "make a configuration");
    result = containerd_snippet_write(snippet, stream, why);
    if (fclose(stream) && result == 0)
        result = failure(why, errno, "make a configuration");
    if (result)
        return result;
    json_object(&json, NULL);
    json_text(&json, "containerd_version", containerd_version_text(&snippet->version, version));
    json_number(&json, "config_version", containerd_snippet_format(snippet));
    json_text(&json, "address", snippet->address);
    json_text(&json, "root", snippet->root);
    json_switch(&json, "daemon_answered", snippet->asked);
    json_text(&json, "toml", text);
    json_end(&json);
    return 0;
}

static int run_containerd_config(const struct arguments *arguments, struct reason *why)
{
    scoped(config_clear) struct config places;
    struct containerd_snippet snippet = {0};
    int result = daemon_settings(&places, why);

    if (result == 0)
        result = choose_version(&snippet.version, arguments, why);
    if (result == 0)
        result = choose_places(&places, &snippet.asked, arguments, why);
    if (result == 0)
        result = containerd_platform(&snippet.platform, why);
    if (result)
        return result;
    snippet.address = places.address;
    snippet.root = places.root;
    if (arguments->json)
        return print_json(&snippet, why);
    return containerd_snippet_write(&snippet, stdout, why);
}

const struct command command_containerd_config = {
    .name = "containerd-config",
    .words = "",
    .summary = "Print what containerd's configuration needs to use cowsnap",
    .details =
        "      --version N       for containerd N, such as 1.6, 1.7.24 or 2 (what 'containerd\n"
        "                        --version' says)\n"
        "      --root DIR        cowsnapd's root (the running one's, or as the settings say)\n"
        "\n"
        "Address and root are those of the cowsnapd that answers on the socket; when none does,\n"
        "as before its first start, those of " CONFIG_FILE ", or the\n"
        "defaults. --address then wins, and --root in any case. Needs no privileges.\n",
    .flags = flags,
    .run = run_containerd_config,
};
