/* SPDX-License-Identifier: Apache-2.0 */

/*
 * crash: ends cowsnapd over and over, starts it again, and holds it to what it answered.
 *
 * Each round starts the daemon on what the round before left, checks all of it, lets clients call,
 * and ends the daemon: by SIGKILL, at one of its steps (plugin/base/step.h) or at a random moment,
 * or by a loss of power. What was answered must be there, what was not must be there as a whole or
 * not at all, and nothing may be left that no snapshot accounts for.
 */

#include "crash/disk.h"
#include "crash/kills.h"
#include "crash/machine.h"
#include "crash/power.h"
#include "crash/run.h"
#include "crash/storage.h"

#include <err.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void usage(void)
{
    fputs("usage: crash [--backend NAME] [--kills COUNT [--step NAME] | --cuts COUNT [--reorder] "
          "[--root-on TYPE]] [--slow FACTOR] [--seed NUMBER] COWSNAPD FOLDER\n",
          stderr);
    exit(2);
}

static void options_read(struct run *run, int argc, char **argv)
{
    static const struct option flags[] = {
        {"kills", required_argument, NULL, 'k'},
        {"cuts", required_argument, NULL, 'c'},
        {"seed", required_argument, NULL, 's'},
        {"step", required_argument, NULL, 't'},
        {"backend", required_argument, NULL, 'b'},
        {"reorder", no_argument, NULL, 'r'},
        {"slow", required_argument, NULL, 'l'},
        {"root-on", required_argument, NULL, 'o'},
        {0},
    };
    struct options *options = &run->options;
    int flag;

    *options = (struct options){.seed = (uint64_t)time(NULL), .root_on = "ext4"};
    run->setup = (struct daemon_setup){.storage = &storage_btrfs, .slow = 1};
    while ((flag = getopt_long(argc, argv, "", flags, NULL)) >= 0)
        if (flag == 'k')
            options->kills = (unsigned)strtoul(optarg, NULL, 10);
        else if (flag == 'c')
            options->cuts = (unsigned)strtoul(optarg, NULL, 10);
        else if (flag == 's')
            options->seed = strtoull(optarg, NULL, 10);
        else if (flag == 't')
            options->only = optarg;
        else if (flag == 'o')
            options->root_on = optarg;
        else if (flag == 'r')
            options->reorder = true;
        else if (flag == 'l')
            run->setup.slow = (unsigned)strtoul(optarg, NULL, 10);
        else if (flag != 'b' || !(run->setup.storage = storage_find(optarg)))
            usage();
    if (argc - optind != 2 || run->setup.slow == 0 || (options->reorder && !options->cuts) ||
        (options->kills > 0) == (options->cuts > 0))
        usage();
    run->setup.program = argv[optind];
    run->setup.folder = argv[optind + 1];
}

/* The last start: everything is checked once more, and SIGTERM ends it in order. */
static void finish(struct run *run)
{
    struct client *client = NULL;
    int64_t took;

    if (!daemon_start(&run->daemon, NULL, &client, &took) ||
        !check_daemon(&run->model, &run->daemon, client, &run->counts))
        errx(1, "the daemon ended by itself; its log is %s", run->daemon.log);
    run_note_start(run, took);
    client_close(client);
    daemon_end(&run->daemon, SIGTERM);
    if (run->daemon.status != 0)
        errx(1, "the daemon leaves with status 0x%x after SIGTERM; its log is %s",
             run->daemon.status, run->daemon.log);
    run->setup.storage->detach(&run->daemon);
    if (machine_loops(run->daemon.root) != 0) {
        puts("ORPHAN: a loop device on the pool is left after its end");
        run->counts.orphans++;
    }
}

/* Mounts of the daemon go with this program, whatever ends it. */
static void leave_namespace(void)
{
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        err(1, "a mount namespace of its own");
}

static void make_content(struct run *run)
{
    char path[512];
    static const char *const parts[] = {"content", "content/blobs", "content/blobs/sha256"};

    for (unsigned i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "%s/%s", run->setup.folder, parts[i]);
        if (mkdir(path, 0755) < 0)
            err(1, "make %s", path);
    }
    snprintf(run->setup.content, sizeof(run->setup.content), "%s/content", run->setup.folder);
    tree_make_layers(run->setup.content, run->layers);
}

static bool tell(struct run *run)
{
    bool all = run->options.cuts || kills_tell_missing(run);

    printf("seed %" PRIu64 ": %" PRIu64 " calls answered, slowest start %" PRId64 " ms\n",
           run->options.seed, run->calls, run->slowest_start);
    if (run->surprises)
        printf("UNEXPECTED: %u answers that nothing explains\n", run->surprises);
    if (run->options.cuts)
        printf("power-cuts: %u cuts under load and %u at a first start, root on %s%s, %u lost, %u "
               "orphans\n",
               run->rounds - run->first_starts, run->first_starts, run->options.root_on,
               run->options.reorder ? ", writes reordered and lost" : "", run->counts.lost,
               run->counts.orphans);
    else
        printf("kills: %u kills at %u steps and random moments, %u lost, %u orphans\n", run->rounds,
               schedule_reached(&run->schedule), run->counts.lost, run->counts.orphans);
    return all && !run->surprises && !run->counts.lost && !run->counts.orphans;
}

/* err() may end the program while clients call: nothing is torn down under them. */
static void leave_at_once(int status, void *context)
{
    const struct run *run = context;

    if (run->setup.storage->forsake)
        run->setup.storage->forsake();
    if (run->options.reorder)
        disk_logged.forsake();
    fflush(NULL);
    _exit(status);
}

/* A run that is to end leaves as one that fails does, though a signal would pass on_exit() by. */
static void *wait_for_signal(void *context)
{
    int number;

    if (sigwait(context, &number) == 0)
        exit(128 + number);
    return NULL;
}

static void leave_by_signal(void)
{
    static sigset_t signals;
    pthread_t thread;

    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    if (pthread_create(&thread, NULL, wait_for_signal, &signals) != 0)
        errx(1, "start a thread");
    pthread_detach(thread);
}

int main(int argc, char **argv)
{
    static struct run run;

    options_read(&run, argc, argv);
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("seed %" PRIu64 "\n", run.options.seed);
    run.chance = run.options.seed;
    on_exit(leave_at_once, &run);
    leave_namespace();
    leave_by_signal();
    make_content(&run);
    model_init(&run.model);
    if (run.options.cuts)
        power_cut_all(&run);
    else
        kill_all(&run);
    finish(&run);
    return tell(&run) ? 0 : 1;
}
