/* SPDX-License-Identifier: Apache-2.0 */
#include "config/options.h"

#include "base/flag.h"

#include <getopt.h>
#include <limits.h>
#include <string.h>

const char options_help[] =
    "Usage: cowsnapd [OPTION]…\n"
    "Serve containerd's snapshots and diff services from copy-on-write clones.\n"
    "\n"
    "      --config FILE         read settings from FILE (" CONFIG_FILE ")\n"
    "      --root DIR            keep all state in DIR (/var/lib/cowsnap)\n"
    "      --address SOCKET      serve on SOCKET (/run/cowsnap/cowsnap.sock)\n"
    "      --backend NAME        btrfs or dm-thin (btrfs)\n"
    "      --content-root DIR    containerd's content store\n"
    "                            (/var/lib/containerd/io.containerd.content.v1.content)\n"
    "      --pool-size SIZE      size of the embedded pool: 20GiB, 512M (as the disk allows)\n"
    "      --io-engine NAME      auto, io_uring or plain (auto)\n"
    "      --log-level LEVEL     debug, info, warn or error (info)\n"
    "      --log-format FORMAT   text or json (text)\n"
    "      --forget-volumes      for one start: the store is new, the volumes in the pool are not\n"
    "                            needed, and are removed\n"
    "      --help                print this and leave\n"
    "      --version             print the version and leave\n"
    "\n"
    "A flag wins over the file. See cowsnapd(8) and cowsnap.toml(5).\n";

/* Values of getopt_long(): a setting's place, then these. They keep clear of '?' and ':'. */
enum {
    FLAG_SETTING = 256,
    FLAG_CONFIG = FLAG_SETTING + SETTINGS,
    FLAG_FORGET,
    FLAG_HELP,
    FLAG_VERSION
};

#define FLAGS_MOST (SETTINGS + 4)

static size_t list_flags(struct option *flags)
{
    size_t count = 0;

    for (int i = 0; i < SETTINGS; i++)
        if (settings[i].flag)
            flags[count++] =
                (struct option){settings[i].flag, required_argument, NULL, FLAG_SETTING + i};
    flags[count++] = (struct option){"config", required_argument, NULL, FLAG_CONFIG};
    flags[count++] = (struct option){"forget-volumes", no_argument, NULL, FLAG_FORGET};
    flags[count++] = (struct option){"help", no_argument, NULL, FLAG_HELP};
    flags[count++] = (struct option){"version", no_argument, NULL, FLAG_VERSION};
    flags[count] = (struct option){0};
    return count;
}

int options_parse(struct options *options, int argc, char **argv, struct reason *why)
{
    struct option flags[FLAGS_MOST + 1];
    size_t count = list_flags(flags);
    int flag;

    *options = (struct options){0};
    optind = 0; /* getopt starts anew */
    opterr = 0;
    for (;;) {
        /* Where the flag stands that is looked at next, for messages. */
        int at = optind ? optind : 1;

        flag = getopt_long(argc, argv, "+:", flags, NULL);
        if (flag < 0)
            break;
        if (flag == ':')
            return refuse(why, CONDITION_INVALID, "%s wants a value; see cowsnapd --help",
                          argv[at]);
        if (flag == '?' && optopt >= FLAG_SETTING)
            return refuse(why, CONDITION_INVALID, "%s takes no value; see cowsnapd --help",
                          quoted(bytes_from(argv[at], strcspn(argv[at], "="))));
        if (flag == '?')
            return flag_refuse(argv[at], flags, count, "cowsnapd --help", why);
        if (flag == FLAG_CONFIG)
            options->config_file = optarg;
        else if (flag == FLAG_FORGET)
            options->forget_volumes = true;
        else if (flag == FLAG_HELP)
            options->help = true;
        else if (flag == FLAG_VERSION)
            options->version = true;
        else if (flag >= FLAG_SETTING)
            options->values[flag - FLAG_SETTING] = optarg;
    }
    if (optind < argc)
        return refuse(why, CONDITION_INVALID,
                      "%s is not expected: cowsnapd takes options only; see cowsnapd --help",
                      quoted(bytes_of(argv[optind])));
    return 0;
}

int options_apply(const struct options *options, struct config *config, struct reason *why)
{
    for (size_t i = 0; i < SETTINGS; i++) {
        int result;

        if (!options->values[i])
            continue;
        result = setting_put_text(&settings[i], config, bytes_of(options->values[i]), why);
        if (result)
            return amend(why, result, "--%s", settings[i].flag);
    }
    return 0;
}

int options_configure(const struct options *options, struct config *config, struct reason *why)
{
    const char *file = options->config_file ? options->config_file : CONFIG_FILE;
    int result = config_defaults(config, why);

    if (result == 0)
        result = config_read_file(config, file, !options->config_file, why);
    if (result == 0)
        result = options_apply(options, config, why);
    return result ? result : config_check(config, why);
}
