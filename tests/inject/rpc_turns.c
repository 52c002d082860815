/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A server over the fakes and a client of it in one process: each call of each service, from the
 * request's bytes to the reply's, while allocations on either side fail in turn. One server serves
 * them all: none of it may end it.
 */

#include "inject/turns.h"
#include "rpc/control_client.h"
#include "rpc/message.h"
#include "rpc/snapshots_client.h"
#include "unit/cmocka_setup.h"
#include "unit/rpc/fakes.h"
#include "unit/rpc/rig.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>

static struct rig *rig;

static void *begin(void)
{
    return rig;
}

static void end(void *state)
{
    (void)state;
}

static const struct label labels[] = {{{(const uint8_t *)"k", 1}, {(const uint8_t *)"v", 1}}};

static int see(void *context, const struct snapshot_info *info, struct reason *why)
{
    (void)context;
    (void)info;
    (void)why;
    return 0;
}

static int prepare(void *state, struct reason *why)
{
    struct client_mounts mounts = {0};
    int result = snapshots_client_prepare(rig->client, bytes_of("k"), bytes_of("parent"), labels, 1,
                                          &mounts, why);

    (void)state;
    if (!result)
        client_mounts_clear(&mounts);
    return result;
}

static int view(void *state, struct reason *why)
{
    (void)state;
    return snapshots_client_view(rig->client, bytes_of("k"), bytes_of("parent"), labels, 1, NULL,
                                 why);
}

static int mounts_of(void *state, struct reason *why)
{
    struct client_mounts mounts = {0};
    int result = snapshots_client_mounts(rig->client, bytes_of("k"), &mounts, why);

    (void)state;
    if (!result)
        client_mounts_clear(&mounts);
    return result;
}

static int commit(void *state, struct reason *why)
{
    (void)state;
    return snapshots_client_commit(rig->client, bytes_of("n"), bytes_of("k"), bytes_of(NULL),
                                   labels, 1, why);
}

static int remove_one(void *state, struct reason *why)
{
    (void)state;
    return snapshots_client_remove(rig->client, bytes_of("k"), why);
}

static int stat_one(void *state, struct reason *why)
{
    (void)state;
    return snapshots_client_stat(rig->client, bytes_of("k"), see, NULL, why);
}

static int update(void *state, struct reason *why)
{
    const struct bytes path = bytes_of("labels.k");

    (void)state;
    return snapshots_client_update(rig->client, bytes_of("k"), labels, 1, &path, 1, see, NULL, why);
}

static int list(void *state, struct reason *why)
{
    const struct bytes filter = bytes_of("kind==active");

    (void)state;
    return snapshots_client_list(rig->client, &filter, 1, see, NULL, why);
}

static int usage(void *state, struct reason *why)
{
    struct volume_usage usage;

    (void)state;
    return snapshots_client_usage(rig->client, bytes_of("k"), &usage, why);
}

static int cleanup(void *state, struct reason *why)
{
    (void)state;
    return snapshots_client_cleanup(rig->client, why);
}

static int apply(void *state, struct reason *why)
{
    char type[] = "bind", source[] = "/pool/7", target[] = "", option[] = "rw";
    char *options[] = {option};
    struct mount mount = {type, source, target, options, 1};
    struct mounts mounts = {&mount, 1};
    struct client_applied applied;
    const struct client_apply request = {
        .media_type = bytes_of("application/vnd.oci.image.layer.v1.tar"),
        .digest = bytes_of("sha256:other-not"),
        .mounts = &mounts,
        .timeout_ms = 20000,
    };

    (void)state;
    return snapshots_client_apply(rig->client, &request, &applied, why);
}

static int status(void *state, struct reason *why)
{
    Cowsnap__Control__V1__StatusResponse *response = NULL;
    int result = control_client_status(rig->client, &response, why);

    (void)state;
    if (!result)
        message_free(&response->base);
    return result;
}

static int snapshots_of(void *state, struct reason *why)
{
    (void)state;
    return control_client_snapshots(rig->client, see, NULL, why);
}

static int connect_again(void *state, struct reason *why)
{
    struct client *client = NULL;
    int result = client_open(&client, rig->address, why);

    (void)state;
    client_close(client);
    return result;
}

int main(void)
{
    static const struct turn_call calls[] = {
        {"Prepare", begin, prepare, NULL, end, false, true},
        {"View", begin, view, NULL, end, false, true},
        {"Mounts", begin, mounts_of, NULL, end, false, true},
        {"Commit", begin, commit, NULL, end, false, true},
        {"Remove", begin, remove_one, NULL, end, false, true},
        {"Stat", begin, stat_one, NULL, end, false, true},
        {"Update", begin, update, NULL, end, false, true},
        {"List", begin, list, NULL, end, false, true},
        {"Usage", begin, usage, NULL, end, false, true},
        {"Cleanup", begin, cleanup, NULL, end, false, true},
        {"Apply", begin, apply, NULL, end, false, true},
        {"status", begin, status, NULL, end, false, true},
        {"ls", begin, snapshots_of, NULL, end, false, true},
        {"a connection", begin, connect_again, NULL, end, false, true},
    };
    struct turns turns = {0};
    void *state;

    if (rig_setup(&state))
        errx(2, "the server does not start");
    rig = state;
    fakes_set_list(30, 100);
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
        turns_take(&turns, &calls[i], SHIM_MEMORY, 0);
    if (rig_teardown(&state))
        errx(2, "the server leaves something behind");
    return turns_end(&turns, "allocations of the services and of a client");
}
