/* SPDX-License-Identifier: Apache-2.0 */
#include "config/options.h"

#include "unit/cmocka_setup.h"

#include <stdio.h>
#include <string.h>

#define MOST 16

/* Splits LINE at blanks into an argument vector after "cowsnapd". */
static int parse(struct options *options, const char *line, struct reason *why)
{
    static char buffer[512];
    char *argv[MOST + 2] = {(char *)"cowsnapd"};
    int argc = 1;

    snprintf(buffer, sizeof(buffer), "%s", line);
    for (char *word = strtok(buffer, " "); word; word = strtok(NULL, " "))
        argv[argc++] = word;
    return options_parse(options, argc, argv, why);
}

static void flags_win_over_what_is_there(void **state)
{
    struct options options;
    struct config config;
    struct reason why = {0};

    (void)state;
    assert_int_equal(config_defaults(&config, &why), 0);
    assert_int_equal(config_read(&config, bytes_of("root = '/a'\naddress = '/b'\n"), "f", &why), 0);
    assert_int_equal(parse(&options,
                           "--root /r --backend=dm-thin --content-root /c --pool-size 20GiB "
                           "--log-level debug --log-format json --io-engine plain",
                           &why),
                     0);
    assert_null(options.config_file);
    assert_int_equal(options_apply(&options, &config, &why), 0);
    assert_string_equal(config.root, "/r");
    assert_string_equal(config.address, "/b");
    assert_string_equal(config.backend, "dm-thin");
    assert_string_equal(config.content_root, "/c");
    assert_int_equal(config.pool.size, 20ull << 30);
    assert_int_equal(config.log.level, LOG_LEVEL_DEBUG);
    assert_int_equal(config.log.format, LOG_FORMAT_JSON);
    assert_string_equal(config.apply.io_engine, "plain");
    config_clear(&config);
}

static void the_last_of_a_flag_counts(void **state)
{
    struct options options;
    struct reason why = {0};

    (void)state;
    assert_int_equal(parse(&options, "--config /a --config /b --address /x --address=/y", &why), 0);
    assert_string_equal(options.config_file, "/b");
    assert_string_equal(options.values[1], "/y");
}

static void help_and_version_are_seen(void **state)
{
    struct options options;
    struct reason why = {0};

    (void)state;
    assert_int_equal(parse(&options, "--help", &why), 0);
    assert_true(options.help && !options.version);
    assert_int_equal(parse(&options, "--version", &why), 0);
    assert_true(options.version && !options.help);
    assert_int_equal(parse(&options, "", &why), 0);
    assert_false(options.help || options.version);
}

static void the_help_names_every_flag(void **state)
{
    (void)state;
    for (size_t i = 0; i < SETTINGS; i++) {
        char flag[40];

        if (!settings[i].flag)
            continue;
        snprintf(flag, sizeof(flag), "--%s ", settings[i].flag);
        assert_non_null(strstr(options_help, flag));
    }
}

static void malformed_lines_are_refused(void **state)
{
    static const struct {
        const char *line, *sentence;
    } cases[] = {
        {"--rot /x", "\"--rot\" is not an option; did you mean --root?"},
        {"--loglevel=debug", "\"--loglevel\" is not an option; did you mean --log-level?"},
        {"--frobnicate", "\"--frobnicate\" is not an option; see cowsnapd --help"},
        {"-x", "\"-x\" is not an option; see cowsnapd --help"},
        {"--root", "--root wants a value; see cowsnapd --help"},
        {"--address /a --root", "--root wants a value; see cowsnapd --help"},
        {"--help=yes", "\"--help\" takes no value; see cowsnapd --help"},
        {"start", "\"start\" is not expected: cowsnapd takes options only; see cowsnapd --help"},
        {"--root /a -- b",
         "\"b\" is not expected: cowsnapd takes options only; see cowsnapd --help"},
        {"--root\x1b[2J", "\"--root\\x1b[2J\" is not an option; see cowsnapd --help"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct options options;
        struct reason why = {0};

        assert_int_equal(parse(&options, cases[i].line, &why), CONDITION_INVALID);
        assert_string_equal(why.text, cases[i].sentence);
    }
}

static void impossible_values_name_their_flag(void **state)
{
    static const struct {
        const char *line, *sentence;
    } cases[] = {
        {"--root r", "--root: must be an absolute path, not \"r\""},
        {"--backend zfs", "--backend: must be \"btrfs\" or \"dm-thin\", not \"zfs\""},
        {"--pool-size 1M", "--pool-size: must be 0 or from 128 MiB to 1.00 EiB, not 1.00 MiB"},
        {"--pool-size=huge", "--pool-size: \"huge\" is no size; write a whole number with a unit, "
                             "such as \"20GiB\" or \"512M\""},
        {"--log-level loud",
         "--log-level: must be \"debug\", \"info\", \"warn\" or \"error\", not \"loud\""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct options options;
        struct config config;
        struct reason why = {0};

        assert_int_equal(config_defaults(&config, &why), 0);
        assert_int_equal(parse(&options, cases[i].line, &why), 0);
        assert_int_equal(options_apply(&options, &config, &why), CONDITION_INVALID);
        assert_string_equal(why.text, cases[i].sentence);
        config_clear(&config);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flags_win_over_what_is_there),
        cmocka_unit_test(the_last_of_a_flag_counts),
        cmocka_unit_test(help_and_version_are_seen),
        cmocka_unit_test(the_help_names_every_flag),
        cmocka_unit_test(malformed_lines_are_refused),
        cmocka_unit_test(impossible_values_name_their_flag),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
