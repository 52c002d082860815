/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/rpc/rig.h"

#include "unit/cmocka_setup.h"
#include "unit/rpc/fakes.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void open_both(struct rig *rig, struct server_options options)
{
    struct reason why = {0};

    options.address = rig->address;
    options.facts = (struct server_facts){.backend = "fake",
                                          .io_engine = "none",
                                          .root = rig->folder,
                                          .address = rig->address,
                                          .content_root = "/content"};
    options.looks_are_short = true;
    if (server_open(&rig->server, &options, &why) || client_open(&rig->client, rig->address, &why))
        fail_msg("%s", why.text);
}

int rig_setup(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));

    fakes_reset();
    snprintf(rig->folder, sizeof(rig->folder), "/tmp/cowsnap-rpc-XXXXXX");
    if (!mkdtemp(rig->folder))
        return -1;
    snprintf(rig->address, sizeof(rig->address), "%s/s/cowsnap.sock", rig->folder);
    open_both(rig, (struct server_options){0});
    *state = rig;
    return 0;
}

void rig_restart(struct rig *rig, struct server_options numbers)
{
    rig->client = client_close(rig->client);
    rig->server = server_close(rig->server, 5);
    open_both(rig, numbers);
}

int rig_teardown(void **state)
{
    struct rig *rig = *state;
    char folder[96];

    fakes_open_gate();
    rig->client = client_close(rig->client);
    rig->server = server_close(rig->server, 5);
    snprintf(folder, sizeof(folder), "%s/s", rig->folder);
    rmdir(folder);
    if (rmdir(rig->folder))
        return -1; /* something was left behind */
    free(rig);
    return 0;
}
