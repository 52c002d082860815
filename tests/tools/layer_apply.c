/* SPDX-License-Identifier: Apache-2.0 */

/* Applies a layer to a folder, as the daemon does, and prints what came out of it. */

#include "layer/layer.h"
#include "layer/manifest.h"

#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MAX_LOWERS 500

static void usage(void)
{
    fprintf(stderr,
            "usage: layer_apply [--engine auto|io_uring|plain] [--writers N] [--sync]\n"
            "                   [--record FILE] [--overlay] [--lower FOLDER]... [--umask MASK]\n"
            "                   BLOB FOLDER\n"
            "--overlay makes overlayfs whiteouts; --lower, nearest first, is where missing\n"
            "folders take their metadata from (it implies --overlay).\n");
    exit(2);
}

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void print_result(const struct layer_result *result, double took)
{
    struct rusage usage = {0};
    double processor;

    getrusage(RUSAGE_SELF, &usage);
    processor = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    printf("digest sha256:");
    for (size_t i = 0; i < DIGEST_SIZE; i++)
        printf("%02x", result->sum.digest[i]);
    printf("\nsize %" PRIu64 "\nentries %" PRIu64 "\ninodes %" PRIu64 "\nfile_bytes %" PRIu64
           "\nremoved %s\nseconds %.3f\nprocessor_seconds %.3f\npeak_kib %ld\n",
           result->sum.size, result->entries, result->inodes, result->file_bytes,
           result->removed ? "yes" : "no", took, processor, usage.ru_maxrss);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"engine", required_argument, NULL, 'e'}, {"writers", required_argument, NULL, 'w'},
        {"overlay", no_argument, NULL, 'o'},      {"lower", required_argument, NULL, 'l'},
        {"sync", no_argument, NULL, 's'},         {"umask", required_argument, NULL, 'u'},
        {"record", required_argument, NULL, 'r'}, {0},
    };
    const char *lowers[MAX_LOWERS + 1] = {0};
    struct layer_request request = {.lowers = NULL};
    struct layer_result result;
    struct reason why = {0};
    const char *engine = "auto", *record = NULL;
    size_t lower_count = 0;
    double start;
    int option;
    int done;

    umask(0); /* as the daemon does */
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'e':
            engine = optarg;
            break;
        case 'r':
            record = optarg;
            break;
        case 'w':
            request.writers = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'l':
            if (lower_count == MAX_LOWERS)
                usage();
            lowers[lower_count++] = optarg;
            request.lowers = lowers;
            request.whiteouts = WHITEOUT_OVERLAY;
            break;
        case 'o':
            request.whiteouts = WHITEOUT_OVERLAY;
            break;
        case 's':
            request.sync = true;
            break;
        case 'u':
            umask((mode_t)strtoul(optarg, NULL, 8));
            break;
        default:
            usage();
        }
    }
    if (argc - optind != 2)
        usage();
    request.blob = open(argv[optind], O_RDONLY | O_CLOEXEC);
    request.target = open(argv[optind + 1], O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (request.blob < 0 || request.target < 0) {
        perror(request.blob < 0 ? argv[optind] : argv[optind + 1]);
        return 2;
    }
    done = io_engine_choose(engine, &request.engine, &why);
    start = seconds();
    if (!done && record)
        done = manifest_begin(&request.manifest,
                              open(record, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), &why);
    if (!done)
        done = layer_apply(&request, &result, &why);
    if (!done)
        done = manifest_end(request.manifest, true, &why);
    if (done) {
        fprintf(stderr, "layer_apply: %s (%s)\n", why.text,
                done > 0 ? condition_name((enum condition)done) : strerror(-done));
        return 1;
    }
    print_result(&result, seconds() - start);
    return 0;
}
