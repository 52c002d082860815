/* SPDX-License-Identifier: Apache-2.0 */
#include "crash/power.h"

#include "crash/chance.h"
#include "crash/disk.h"
#include "crash/load.h"
#include "crash/machine.h"
#include "crash/mounted.h"
#include "crash/storage.h"

#include <err.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define LOAD_MOST_MS 500
#define FIRST_START_EVERY 5 /* cuts */

/* Lets clients call, and cuts the power in the midst of it. Calls that are under way at the cut go
 * on, but no new one begins: each of them may have happened or not. What they are answered after
 * the cut counts for nothing. */
static void load_until_cut(struct run *run, struct disk *disk)
{
    struct load load = {.model = &run->model, .daemon = &run->daemon, .layers = run->layers};
    struct model *at_cut = calloc(1, sizeof(*at_cut));
    int64_t until = machine_now_ms() + 1 + run_chance_ms(run, LOAD_MOST_MS);

    if (!at_cut)
        err(1, "memory");
    load_start(&load, 1 + chance_below(&run->chance, LOAD_CLIENTS), chance(&run->chance));
    while (machine_now_ms() < until)
        machine_pause();
    model_freeze(&run->model, at_cut);
    disk_cut(disk);
    daemon_end(&run->daemon, SIGKILL);
    load_join(&load);
    mounted_leave_many(&load, true);
    if (!daemon_was_killed(&run->daemon))
        errx(1, "the daemon ended by itself with status 0x%x; its log is %s", run->daemon.status,
             run->daemon.log);
    run->calls += atomic_load(&load.calls);
    run->surprises += atomic_load(&load.surprises);
    model_restore(&run->model, at_cut);
    free(at_cut);
}

/* A root of its own, during whose first start the power goes; the second finds nothing odd. */
static void cut_first_start(struct run *run, struct disk *disk)
{
    struct daemon daemon;
    struct model empty;
    struct client *client = NULL;
    int64_t took, until;

    daemon_init(&daemon, &run->setup, "disk/first");
    disk_sync(disk);
    until = machine_now_ms() + 1 + chance_below(&run->chance, (unsigned)run->first_start);
    daemon_spawn(&daemon, NULL);
    while (machine_now_ms() < until)
        machine_pause();
    disk_cut(disk);
    daemon_end(&daemon, SIGKILL);
    run->setup.storage->detach(&daemon);
    disk_fall_back(disk);
    model_init(&empty);
    if (!daemon_start(&daemon, NULL, &client, &took))
        errx(1, "the daemon does not start when the power went at its first start; its log is %s",
             daemon.log);
    run_note_start(run, took);
    if (!check_daemon(&empty, &daemon, client, &run->counts))
        errx(1, "the daemon ended by itself; its log is %s", daemon.log);
    client_close(client);
    daemon_end(&daemon, SIGKILL);
    if (!daemon_forget(&daemon)) {
        printf("ORPHAN: an unfinished pool is left of an interrupted start\n");
        run->counts.orphans++;
    }
    disk_sync(disk);
    run->first_starts++;
}

static void cut_once(struct run *run, struct disk *disk)
{
    struct client *client = NULL;
    int64_t took;

    if (!daemon_start(&run->daemon, NULL, &client, &took))
        errx(1, "the daemon does not start after a loss of power; its log is %s", run->daemon.log);
    run_note_start(run, took);
    if (run->first_start == 0)
        run->first_start = took + 1;
    if (!check_daemon(&run->model, &run->daemon, client, &run->counts))
        errx(1, "the daemon ended by itself; its log is %s", run->daemon.log);
    load_until_cut(run, disk);
    client_close(client);
    run->setup.storage->detach(&run->daemon);
    disk_fall_back(disk);
}

void power_cut_all(struct run *run)
{
    static struct disk disk;
    const struct options *options = &run->options;

    disk_make(&disk, options->reorder ? &disk_logged : &disk_cloned, options->root_on,
              run->setup.folder, options->seed + 1);
    daemon_init(&run->daemon, &run->setup, "disk/root");
    while (run->rounds < options->cuts && !run_has_enough(run)) {
        if (run->rounds++ % FIRST_START_EVERY == FIRST_START_EVERY - 1)
            cut_first_start(run, &disk);
        else
            cut_once(run, &disk);
        if (getenv("CRASH_VERBOSE") || run->rounds % 10 == 0)
            printf("%u cuts: %" PRIu64 " calls answered, %u lost, %u orphans\n", run->rounds,
                   run->calls, run->counts.lost, run->counts.orphans);
    }
}
