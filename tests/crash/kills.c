/* SPDX-License-Identifier: Apache-2.0 */
#include "crash/kills.h"

#include "crash/chance.h"
#include "crash/check.h"
#include "crash/load.h"
#include "crash/machine.h"
#include "crash/mounted.h"
#include "crash/storage.h"

#include <err.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define EXTRA_ROUNDS 40    /* for steps that were not passed so far */
#define RANDOM_MOST_MS 600 /* of load before a kill at a random moment */
#define STEP_PATIENCE_MS 2500
#define QUIET_FROM_MS 300
#define QUIET_MS 2000 /* that the keeper waits for without a commit (keeper.c) */
#define GRACE_MS 5000 /* for a daemon that closes its connections to end */

/* The daemon ended without having been told to: that must be its step's doing. */
static void expect_killed(struct run *run, const struct schedule_step *step)
{
    int64_t until = machine_now_ms() + (int64_t)GRACE_MS * run->setup.slow;

    while (daemon_runs(&run->daemon)) {
        if (machine_now_ms() > until)
            errx(1, "the daemon runs, but does not answer; its log is %s", run->daemon.log);
        machine_pause();
    }
    if (!step || !daemon_was_killed(&run->daemon))
        errx(1, "the daemon ended by itself with status 0x%x; its log is %s", run->daemon.status,
             run->daemon.log);
}

/* Lets clients call for some time; whether the step came. Otherwise the daemon is killed now. */
static bool load_until_killed(struct run *run, const struct schedule_step *step)
{
    struct load load = {
        .model = &run->model,
        .daemon = &run->daemon,
        .layers = run->layers,
    };
    unsigned clients = 1 + chance_below(&run->chance, LOAD_CLIENTS);
    int64_t now = machine_now_ms(), end = now, left_at = 0;

    if (!step)
        end += 1 + (int64_t)run_chance_ms(run, RANDOM_MOST_MS);
    else
        end += (int64_t)STEP_PATIENCE_MS * run->setup.slow;
    if (step && step->need == NEED_QUIET) {
        load.quiet_from = now + (int64_t)QUIET_FROM_MS * run->setup.slow;
        end += QUIET_MS;
    }
    load_start(&load, clients, chance(&run->chance));
    while (daemon_runs(&run->daemon) && now < end) {
        machine_pause();
        now = machine_now_ms();
        if (left_at == 0 && atomic_load(&load.left) > 0)
            left_at = now;
        if (left_at != 0 && now - left_at > (int64_t)GRACE_MS * run->setup.slow)
            errx(1, "the daemon turned a client away, but runs; its log is %s", run->daemon.log);
    }
    bool reached = !daemon_runs(&run->daemon);

    daemon_end(&run->daemon, SIGKILL);
    load_join(&load);
    run->calls += atomic_load(&load.calls);
    run->surprises += atomic_load(&load.surprises);
    if (reached)
        expect_killed(run, step);
    mounted_leave_many(&load, chance_below(&run->chance, 2) == 0);
    check_cleaned(&run->model, &run->daemon, &run->counts);
    return reached;
}

/* Start, check, load, kill; whether the step ended the daemon. */
static bool go_round(struct run *run, const struct schedule_step *step, const char *order)
{
    struct client *client = NULL;
    int64_t took;
    bool reached = true;

    if ((step && step->need == NEED_IDLE_POOL) || chance_below(&run->chance, 10) == 0)
        run->setup.storage->detach(&run->daemon);
    if (!daemon_start(&run->daemon, order, &client, &took)) {
        expect_killed(run, step);
        return true;
    }
    run_note_start(run, took);
    if (check_daemon(&run->model, &run->daemon, client, &run->counts))
        reached = load_until_killed(run, step);
    else
        expect_killed(run, step);
    client_close(client);
    return reached;
}

/* A root of its own, whose first start is killed; the second must find nothing odd. */
static bool go_first_start(struct run *run, const struct schedule_step *step, const char *order)
{
    struct daemon daemon;
    struct model empty;
    struct client *client = NULL;
    int64_t took;
    bool reached;

    daemon_init(&daemon, &run->setup, "first");
    model_init(&empty);
    reached = !daemon_start(&daemon, order, &client, &took);
    client = client_close(client);
    daemon_end(&daemon, SIGKILL);
    if (reached && !daemon_was_killed(&daemon))
        errx(1, "the daemon does not start; its log is %s", daemon.log);
    if (!daemon_start(&daemon, NULL, &client, &took))
        errx(1, "the daemon does not start after a kill at %s; its log is %s", step->name,
             daemon.log);
    run_note_start(run, took);
    if (!check_daemon(&empty, &daemon, client, &run->counts))
        errx(1, "the daemon ended by itself; its log is %s", daemon.log);
    client_close(client);
    daemon_end(&daemon, SIGKILL);
    if (daemon_forget(&daemon))
        return reached;
    printf("ORPHAN: an unfinished pool is left of an interrupted start\n");
    run->counts.orphans++;
    return reached;
}

static void kill_once(struct run *run)
{
    unsigned count;
    struct schedule_step *step = schedule_next(&run->schedule, &count);
    char order[128];
    bool reached;

    if (step)
        snprintf(order, sizeof(order), "%s:%u", step->name, count);
    if (step && step->need == NEED_FIRST_START)
        reached = go_first_start(run, step, order);
    else
        reached = go_round(run, step, step ? order : NULL);
    if (step)
        schedule_note(step, count, reached);
    run->rounds++;
    if (getenv("CRASH_VERBOSE") || run->rounds % 50 == 0)
        printf("%u kills, the last %s %s: %" PRIu64 " calls answered, %u lost, %u orphans\n",
               run->rounds, !step || !reached ? "at a random moment" : "at", step ? order : "",
               run->calls, run->counts.lost, run->counts.orphans);
}

static bool goes_on(const struct run *run)
{
    return run->rounds < run->options.kills ||
           (schedule_reached(&run->schedule) < run->schedule.count &&
            run->rounds < run->options.kills + EXTRA_ROUNDS);
}

void kill_all(struct run *run)
{
    const struct options *options = &run->options;

    daemon_init(&run->daemon, &run->setup, "root");
    schedule_init(&run->schedule, daemon_steps(run->setup.program), run->setup.storage->name,
                  options->only, options->seed + 1);
    while (goes_on(run) && !run_has_enough(run))
        kill_once(run);
}

bool kills_tell_missing(const struct run *run)
{
    const struct schedule *schedule = &run->schedule;

    for (unsigned i = 0; i < schedule->count; i++)
        if (schedule->steps[i].kills == 0)
            printf("NEVER REACHED: the step %s, in %u tries\n", schedule->steps[i].name,
                   schedule->steps[i].misses);
    printf("%u steps of another backend are left out\n", schedule->elsewhere);
    return schedule_reached(schedule) == schedule->count;
}
