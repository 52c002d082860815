/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/daemon.h"

#include "base/scoped.h"

#include <errno.h>

int daemon_settings(struct config *config, struct reason *why)
{
    int result = config_defaults(config, why);

    if (result == 0)
        result = config_read_file(config, CONFIG_FILE, true, why);
    return result == -EACCES ? 0 : result;
}

/* A file of settings that is wrong does not hinder who says where the daemon is. */
static int choose_address(char **address, const struct arguments *arguments, struct reason *why)
{
    scoped(config_clear) struct config settings = {0};

    if (arguments->address) {
        *address = (char *)bytes_copy(bytes_of(arguments->address));
        return *address ? 0 : failure(why, ENOMEM, "read the command line");
    }

    int result = daemon_settings(&settings, why);

    if (result)
        return amend(why, result, "cannot tell cowsnapd's address (--address gives it)");
    *address = take_pointer(settings.address);
    return 0;
}

int daemon_connect(struct daemon *daemon, const struct arguments *arguments, struct reason *why)
{
    int result;

    *daemon = (struct daemon){0};
    result = choose_address(&daemon->address, arguments, why);
    if (result)
        return result;
    result = client_open(&daemon->client, daemon->address, why);
    if (result == CONDITION_UNAVAILABLE)
        return refuse(why, CONDITION_UNAVAILABLE,
                      "nobody listens on %s: is cowsnapd running, with this --address?",
                      daemon->address);
    if (result == -EACCES || result == -EPERM)
        failure(why, -result, "only root may talk to cowsnapd at %s: run this as root",
                daemon->address);
    return result;
}

void daemon_disconnect(struct daemon *daemon)
{
    daemon->client = client_close(daemon->client);
    free(daemon->address);
    daemon->address = NULL;
}

int daemon_explain(const struct daemon *daemon, int result, struct reason *why)
{
    switch (result) {
    case 0:
        return 0;
    case CONDITION_UNIMPLEMENTED:
        return amend(why, result,
                     "what listens on %s is not cowsnapd, or an older one than this tool",
                     daemon->address);
    case CONDITION_DEADLINE:
        return refuse(why, result,
                      "cowsnapd at %s did not answer within %d seconds: look into its log for the "
                      "reason, or ask again when its disk is less busy",
                      daemon->address, CLIENT_TIMEOUT);
    default:
        return amend(why, result, "ask cowsnapd at %s", daemon->address);
    }
}

int daemon_status(const struct daemon *daemon, Cowsnap__Control__V1__StatusResponse **status,
                  struct reason *why)
{
    int result = control_client_status(daemon->client, status, why);

    return daemon_explain(daemon, result, why);
}
