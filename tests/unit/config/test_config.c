/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

#include "base/scoped.h"
#include "config/settings.h"
#include "unit/cmocka_setup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define REFUSALS(cases) (sizeof(cases) / sizeof((cases)[0]))

struct refusal {
    const char *document, *sentence;
};

static void check_refusals(const struct refusal *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct config config;
        struct reason why = {0};

        assert_int_equal(config_defaults(&config, &why), 0);
        if (config_read(&config, bytes_of(cases[i].document), "f.toml", &why) != CONDITION_INVALID)
            fail_msg("taken: %s", cases[i].document);
        assert_string_equal(why.text, cases[i].sentence);
        config_clear(&config);
    }
}

static void every_setting_can_be_set(void **state)
{
    static const char document[] = "root = '/r//'\n" /* which is /r */
                                   "address = '/a'\n"
                                   "backend = 'dm-thin'\n"
                                   "content_root = '/c'\n"
                                   "[pool]\n"
                                   "path = '/p'\n"
                                   "size = '3GiB'\n"
                                   "mount_type = 'btrfs'\n"
                                   "[dm_thin]\n"
                                   "pool = '/dev/mapper/p'\n"
                                   "data_device = '/dev/d'\n"
                                   "metadata_device = '/dev/m'\n"
                                   "file_system = 'xfs'\n"
                                   "volume_size = '20GiB'\n"
                                   "[log]\n"
                                   "level = 'error'\n"
                                   "format = 'json'\n"
                                   "[apply]\n"
                                   "io_engine = 'io_uring'\n"
                                   "writers = 3\n"
                                   "concurrent = 4\n"
                                   "verify_blobs = true\n"
                                   "size_limit = 1073741824\n"
                                   "ratio_limit = 30\n"
                                   "allow_device_nodes = false\n"
                                   "record_content = false\n"
                                   "[server]\n"
                                   "workers = 5\n"
                                   "queue_limit = 6\n"
                                   "grace_seconds = 7\n"
                                   "[snapshots]\n"
                                   "share_layers = true\n"
                                   "seal = false\n"
                                   "stock = 8\n";
    struct config config;
    struct reason why = {0};

    (void)state;
    assert_int_equal(config_defaults(&config, &why), 0);
    if (config_read(&config, bytes_of(document), "f.toml", &why))
        fail_msg("%s", why.text);
    assert_string_equal(config.root, "/r");
    assert_string_equal(config.address, "/a");
    assert_string_equal(config.backend, "dm-thin");
    assert_string_equal(config.content_root, "/c");
    assert_string_equal(config.pool.path, "/p");
    assert_int_equal(config.pool.size, 3ull << 30);
    assert_int_equal(config.pool.mount_style, MOUNT_STYLE_BTRFS);
    assert_string_equal(config.dm_thin.pool, "/dev/mapper/p");
    assert_string_equal(config.dm_thin.data_device, "/dev/d");
    assert_string_equal(config.dm_thin.metadata_device, "/dev/m");
    assert_string_equal(config.dm_thin.file_system, "xfs");
    assert_int_equal(config.dm_thin.volume_size, 20ull << 30);
    assert_int_equal(config.log.level, LOG_LEVEL_ERROR);
    assert_int_equal(config.log.format, LOG_FORMAT_JSON);
    assert_string_equal(config.apply.io_engine, "io_uring");
    assert_int_equal(config.apply.writers, 3);
    assert_int_equal(config.apply.concurrent, 4);
    assert_true(config.apply.verify_blobs);
    assert_int_equal(config.apply.size_limit, 1 << 30);
    assert_int_equal(config.apply.ratio_limit, 30);
    assert_false(config.apply.allow_device_nodes);
    assert_false(config.apply.record_content);
    assert_int_equal(config.server.workers, 5);
    assert_int_equal(config.server.queue_limit, 6);
    assert_int_equal(config.server.grace_seconds, 7);
    assert_true(config.snapshots.share_layers);
    assert_false(config.snapshots.seal);
    assert_int_equal(config.snapshots.stock, 8);
    config_clear(&config);
}

static void dotted_and_quoted_keys_mean_the_same(void **state)
{
    struct config config;
    struct reason why = {0};

    (void)state;
    assert_int_equal(config_defaults(&config, &why), 0);
    assert_int_equal(config_read(&config,
                                 bytes_of("log.level = 'warn'\npool = {size = '1G'}\n"
                                          "[\"apply\"]\n'writers' = 2\n[server]\n"),
                                 "f", &why),
                     0);
    assert_int_equal(config.log.level, LOG_LEVEL_WARN);
    assert_int_equal(config.pool.size, 1 << 30);
    assert_int_equal(config.apply.writers, 2);
    config_clear(&config);
}

static void unknown_keys_are_refused_with_the_nearest(void **state)
{
    static const struct refusal cases[] = {
        {"\nadress = '/x'", "f.toml:2: adress is not a setting; did you mean address?"},
        {"zzz = 1", "f.toml:1: zzz is not a setting; outside a section there are root, address, "
                    "backend, content_root"},
        {"[pool]\nsise = '1G'", "f.toml:2: pool.sise is not a setting; did you mean pool.size?"},
        {"[pool]\n\n\n  siez = '1G'",
         "f.toml:4: pool.siez is not a setting; did you mean pool.size?"},
        {"[pool]\nfoobar = 1",
         "f.toml:2: pool.foobar is not a setting; in [pool] there are path, size, mount_type"},
        {"[pool]\nlevel = 'info'",
         "f.toml:2: pool.level is not a setting; did you mean log.level?"},
        {"level = 'info'", "f.toml:1: level is not a setting; did you mean log.level?"},
        {"'pool.size' = 1", "f.toml:1: \"pool.size\" is not a setting; outside a section there are "
                            "root, address, backend, content_root"},
        {"\"a\\u001bb\" = 1", "f.toml:1: \"a\\x1bb\" is not a setting; outside a section there are "
                              "root, address, backend, content_root"},
        {"'' = 1", "f.toml:1: \"\" is not a setting; outside a section there are root, address, "
                   "backend, content_root"},
        {"[logs]\nlevel = 'info'", "f.toml:1: [logs] is not a section; did you mean [log]?"},
        {"[metrics]",
         "f.toml:1: [metrics] is not a section; there are [pool], [dm_thin], [log], [apply], "
         "[server], [snapshots]"},
        {"[pool.inner]\nx = 1",
         "f.toml:1: pool.inner is not a setting; in [pool] there are path, size, mount_type"},
        {"[[log]]\nlevel = 'info'", "f.toml:1: log must be a section, [log], not an array"},
    };

    (void)state;
    check_refusals(cases, REFUSALS(cases));
}

static void wrong_types_are_refused(void **state)
{
    static const struct refusal cases[] = {
        {"root = 1", "f.toml:1: root: must be a string, an absolute path, not an integer"},
        {"root = true", "f.toml:1: root: must be a string, an absolute path, not a boolean"},
        {"root = ['/a']", "f.toml:1: root: must be a string, an absolute path, not an array"},
        {"[root]", "f.toml:1: root: must be a string, an absolute path, not a table"},
        {"backend = 1.5", "f.toml:1: backend: must be a string, not a float"},
        {"backend = 1979-05-27", "f.toml:1: backend: must be a string, not a date or time"},
        {"[log]\nlevel = 3", "f.toml:2: log.level: must be a string, not an integer"},
        {"[pool]\nsize = 1.5",
         "f.toml:2: pool.size: must be a size, such as \"20GiB\", not a float"},
        {"[pool]\nsize = true",
         "f.toml:2: pool.size: must be a size, such as \"20GiB\", not a boolean"},
        {"[apply]\nwriters = '2'", "f.toml:2: apply.writers: must be an integer, not a string"},
        {"[apply]\nwriters = false", "f.toml:2: apply.writers: must be an integer, not a boolean"},
        {"[apply]\nverify_blobs = 1",
         "f.toml:2: apply.verify_blobs: must be a boolean, true or false, not an integer"},
        {"[snapshots]\nseal = 'yes'",
         "f.toml:2: snapshots.seal: must be a boolean, true or false, not a string"},
        {"pool = 1", "f.toml:1: pool must be a section, [pool], not an integer"},
    };

    (void)state;
    check_refusals(cases, REFUSALS(cases));
}

static void impossible_values_are_refused(void **state)
{
    static const struct refusal cases[] = {
        {"root = 'var'", "f.toml:1: root: must be an absolute path, not \"var\""},
        {"root = ''", "f.toml:1: root: must be an absolute path, not \"\""},
        {"root = \"/a\\u0000b\"",
         "f.toml:1: root: must be a path without a NUL byte, not \"/a\\x00b\""},
        {"address = '/"
         "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567"
         "89012345678901234567'",
         "f.toml:1: address: must be at most 107 bytes long, and is 109"},
        {"backend = 'zfs'", "f.toml:1: backend: must be \"btrfs\" or \"dm-thin\", not \"zfs\""},
        {"[pool]\nmount_type = 'nfs'",
         "f.toml:2: pool.mount_type: must be \"bind\" or \"btrfs\", not \"nfs\""},
        {"[pool]\nsize = '1.5GiB'",
         "f.toml:2: pool.size: \"1.5GiB\" is no size; write a whole number with a unit, such as "
         "\"20GiB\" or \"512M\""},
        {"[pool]\nsize = '99999999P'",
         "f.toml:2: pool.size: \"99999999P\" is more bytes than a 64-bit number holds"},
        {"[pool]\nsize = -1", "f.toml:2: pool.size: must not be negative, and is -1"},
        {"[pool]\nsize = '1M'",
         "f.toml:2: pool.size: must be 0 or from 128 MiB to 1.00 EiB, not 1.00 MiB"},
        {"[log]\nlevel = 'INFO'", "f.toml:2: log.level: must be \"debug\", \"info\", \"warn\" or "
                                  "\"error\", not \"INFO\""},
        {"[log]\nformat = 'xml'",
         "f.toml:2: log.format: must be \"text\" or \"json\", not \"xml\""},
        {"[apply]\nio_engine = 'aio'",
         "f.toml:2: apply.io_engine: must be \"auto\", \"io_uring\" or "
         "\"plain\", not \"aio\""},
        {"[apply]\nwriters = 33", "f.toml:2: apply.writers: must be from 0 to 32, not 33"},
        {"[apply]\nwriters = -1", "f.toml:2: apply.writers: must be from 0 to 32, not -1"},
        {"[apply]\nwriters = 4294967297",
         "f.toml:2: apply.writers: must be from 0 to 32, not 4294967297"},
        {"[server]\ngrace_seconds = 3601",
         "f.toml:2: server.grace_seconds: must be from 0 to 3600, not 3601"},
    };

    (void)state;
    check_refusals(cases, REFUSALS(cases));
}

static void what_is_no_toml_is_refused_with_its_line(void **state)
{
    static const char *const documents[] = {
        "\nroot = ", "\nroot", "\n[pool", "\nroot = 'a", "\n\xff = 1", "\nroot = '/a' x",
    };

    (void)state;
    for (size_t i = 0; i < REFUSALS(documents); i++) {
        struct config config;
        struct reason why = {0};

        assert_int_equal(config_defaults(&config, &why), 0);
        assert_int_equal(config_read(&config, bytes_of(documents[i]), "f.toml", &why),
                         CONDITION_INVALID);
        if (strncmp(why.text, "f.toml:2: not valid TOML: ", 26) != 0)
            fail_msg("%s", why.text);
        config_clear(&config);
    }
}

static void a_key_given_twice_is_refused(void **state)
{
    struct config config;
    struct reason why = {0};

    (void)state;
    assert_int_equal(config_defaults(&config, &why), 0);
    assert_int_equal(config_read(&config, bytes_of("root = '/a'\nroot = '/b'\n"), "f.toml", &why),
                     CONDITION_INVALID);
    assert_memory_equal(why.text, "f.toml:2: not valid TOML: ", 26);
    config_clear(&config);
}

/* The file's order, although the parser keeps keys by name. */
static void the_first_fault_of_the_file_is_told(void **state)
{
    static const struct refusal cases[] = {
        {"zebra = 1\nant = 2", "f.toml:1: zebra is not a setting; outside a section there are "
                               "root, address, backend, content_root"},
        {"[server]\nworkers = 'x'\n[apply]\nwriters = 'x'",
         "f.toml:2: server.workers: must be an integer, not a string"},
    };

    (void)state;
    check_refusals(cases, REFUSALS(cases));
}

static void the_example_says_the_defaults(void **state)
{
    struct config defaults, example;
    char document[65536];
    struct reason why = {0};

    (void)state;
    assert_int_equal(config_defaults(&defaults, &why), 0);
    assert_int_equal(config_defaults(&example, &why), 0);
    /* So that a default that the example does not give would be seen. */
    example.pool.mount_style = MOUNT_STYLE_BTRFS;
    example.log.level = LOG_LEVEL_DEBUG;
    example.log.format = LOG_FORMAT_JSON;
    example.backend = example.apply.io_engine = "?";
    example.pool.size = example.apply.size_limit = 1;
    example.apply.writers = example.apply.concurrent = 1;
    example.apply.ratio_limit = 1;
    example.apply.allow_device_nodes = false;
    example.apply.record_content = false;
    example.apply.verify_blobs = example.snapshots.share_layers = true;
    example.snapshots.seal = false;
    example.snapshots.stock = 1;
    example.server.workers = example.server.queue_limit = example.server.grace_seconds = 1;
    example.root[1] = example.address[1] = example.content_root[1] = '?';
    /* not by its path: whoever owns the source tree is not trusted with the daemon's settings */
    scoped_fd int file = open(EXAMPLE, O_RDONLY | O_CLOEXEC);
    ssize_t length = read(file, document, sizeof(document));
    assert_in_range(length, 1, sizeof(document) - 1);
    if (config_read(&example, bytes_from(document, (size_t)length), EXAMPLE, &why))
        fail_msg("%s", why.text);
    assert_null(example.pool.path);
    for (size_t i = 0; i < SETTINGS; i++) {
        const char *a = (const char *)&defaults + settings[i].offset;
        const char *b = (const char *)&example + settings[i].offset;
        bool same = false;

        switch (settings[i].kind) {
        case SETTING_PATH:
        case SETTING_NAME: {
            const char *left = *(const char *const *)a, *right = *(const char *const *)b;

            same = left && right ? strcmp(left, right) == 0 : left == right;
            break;
        }
        case SETTING_SIZE:
            same = *(const uint64_t *)a == *(const uint64_t *)b;
            break;
        case SETTING_CHOICE:
        case SETTING_NUMBER:
            same = *(const unsigned *)a == *(const unsigned *)b;
            break;
        case SETTING_SWITCH:
            same = *(const bool *)a == *(const bool *)b;
            break;
        }
        if (!same)
            fail_msg("the example's %s is not the default, or is missing", settings[i].key);
    }
    assert_int_equal(config_check(&example, &why), 0);
    config_clear(&example);
    config_clear(&defaults);
}

static void settings_that_do_not_go_together_are_refused(void **state)
{
    static const struct refusal cases[] = {
        {"root = '/'", "root must be a folder of cowsnap's own, not \"/\"; the default is "
                       "/var/lib/cowsnap"},
        {"backend = 'dm-thin'\npool.mount_type = 'btrfs'",
         "pool.mount_type \"btrfs\" does not go with backend \"dm-thin\"; leave pool.mount_type "
         "out"},
        {"backend = 'dm-thin'\npool.path = '/p'", "pool.path is a folder and does not go with "
                                                  "backend \"dm-thin\"; name a pool or devices in "
                                                  "[dm_thin], or nothing"},
        {"backend = 'dm-thin'\ndm_thin.data_device = '/d'",
         "dm_thin.data_device and dm_thin.metadata_device go together; set both or neither"},
        {"backend = 'dm-thin'\ndm_thin = {pool = '/p', data_device = '/d', metadata_device = '/m'}",
         "dm_thin.pool is a pool that is there already and does not go with dm_thin.data_device; "
         "leave one of them out"},
        {"address = '/run/cowsnap/'", "address \"/run/cowsnap/\" is the name of a folder; name a "
                                      "socket in it, as in /run/cowsnap/cowsnap.sock"},
        {"address = "
         "'/234567890123456789012345678901234567890123456789012345678901234567890123456789"
         "012345678901234567/s'",
         "address "
         "\"/2345678901234567890123456789012345678901234567890123456789012345678901234567890123456"
         "78901234567/s\" lies in a folder whose name has 97 bytes; at most 96 are allowed"},
        {"backend = 'dm-thin'\npool.size = '1G'\ndm_thin.pool = '/p'",
         "pool.size is for the pool that the daemon makes itself and does not go with "
         "dm_thin.pool; "
         "leave one of them out"},
        {"dm_thin.pool = '/p'", "dm_thin.pool does not go with backend \"btrfs\"; set backend = "
                                "\"dm-thin\", or leave it out"},
        {"dm_thin.metadata_device = '/m'", "dm_thin.metadata_device does not go with backend "
                                           "\"btrfs\"; set backend = \"dm-thin\", or "
                                           "leave it out"},
        {"dm_thin.file_system = 'xfs'", "dm_thin.file_system does not go with backend \"btrfs\"; "
                                        "set backend = \"dm-thin\", or leave it out"},
        {"dm_thin.volume_size = '20G'", "dm_thin.volume_size does not go with backend \"btrfs\"; "
                                        "set backend = \"dm-thin\", or leave it out"},
        {"pool.path = '/p'\npool.size = '1G'",
         "pool.size is for the pool that the daemon makes itself and does not go with pool.path; "
         "leave one of them out"},
    };

    (void)state;
    for (size_t i = 0; i < REFUSALS(cases); i++) {
        struct config config;
        struct reason why = {0};

        assert_int_equal(config_defaults(&config, &why), 0);
        assert_int_equal(config_read(&config, bytes_of(cases[i].document), "f", &why), 0);
        assert_int_equal(config_check(&config, &why), CONDITION_INVALID);
        assert_string_equal(why.text, cases[i].sentence);
        config_clear(&config);
    }
}

static void a_file_that_others_may_write_is_refused(void **state)
{
    char path[] = "/tmp/cowsnap-config-XXXXXX";
    scoped_fd int file = mkstemp(path);
    struct config config;
    struct reason why = {0};

    (void)state;
    assert_true(file >= 0);
    assert_int_equal(config_defaults(&config, &why), 0);
    assert_int_equal(config_read_file(&config, path, false, &why), 0);
    assert_int_equal(fchmod(file, 0622), 0);
    int result = config_read_file(&config, path, false, &why);
    unlink(path);
    assert_int_equal(result, CONDITION_PRECONDITION);
    assert_non_null(strstr(why.text, "chmod go-w"));
    config_clear(&config);
}

static void a_file_may_miss_only_where_allowed(void **state)
{
    struct config config;
    struct reason why = {0};

    (void)state;
    assert_int_equal(config_defaults(&config, &why), 0);
    assert_int_equal(config_read_file(&config, "/nonexistent/c.toml", true, &why), 0);
    assert_int_equal(config_read_file(&config, "/nonexistent/c.toml", false, &why), -ENOENT);
    assert_string_equal(why.text, "cannot open the configuration file \"/nonexistent/c.toml\": No "
                                  "such file or directory");
    assert_int_equal(config_read_file(&config, "/", false, &why), CONDITION_INVALID);
    assert_string_equal(why.text, "\"/\" is a folder; --config wants a file");
    assert_int_equal(config_read_file(&config, "/dev/zero", false, &why), CONDITION_INVALID);
    assert_string_equal(why.text,
                        "\"/dev/zero\" is larger than 64 KiB; a configuration file is not");
    config_clear(&config);
}

/* Deep documents must not bring down the parser or us. A header and a key below it, as deep as one
 * line of each may go. */
static void deep_keys_are_refused(void **state)
{
    enum { LINE = 8190 };
    char *document = malloc(2 * LINE + 16), *end = document;
    struct config config;
    struct reason why = {0};

    (void)state;
    assert_non_null(document);
    *end++ = '[';
    for (size_t i = 0; i < LINE - 4; i += 2)
        end = mempcpy(end, "a.", 2);
    end = mempcpy(end, "a]\n", 3);
    for (size_t i = 0; i < LINE - 6; i += 2)
        end = mempcpy(end, "a.", 2);
    memcpy(end, "a = 1", 6);
    assert_int_equal(config_defaults(&config, &why), 0);
    assert_int_equal(config_read(&config, bytes_of(document), "f.toml", &why), CONDITION_INVALID);
    assert_memory_equal(why.text, "f.toml:1: ", 10);
    assert_null(strstr(why.text, "longer than"));
    config_clear(&config);
    free(document);
}

static void deep_values_are_refused(void **state)
{
    char document[8001] = "a = ";
    struct config config;
    struct reason why = {0};

    (void)state;
    memset(document + 4, '[', sizeof document - 5);
    assert_int_equal(config_defaults(&config, &why), 0);
    assert_int_equal(config_read(&config, bytes_of(document), "f.toml", &why), CONDITION_INVALID);
    assert_memory_equal(why.text, "f.toml:1: not valid TOML: ", 26);
    config_clear(&config);
}

static void a_long_line_is_refused(void **state)
{
    enum { LENGTH = 60000 };
    char *document = malloc(LENGTH + 16);
    struct config config;
    struct reason why = {0};

    (void)state;
    assert_non_null(document);
    document[0] = '\n';
    for (size_t i = 1; i < LENGTH; i += 2)
        memcpy(document + i, "a.", 2);
    memcpy(document + LENGTH + 1, "a = 1", 6);
    assert_int_equal(config_defaults(&config, &why), 0);
    assert_int_equal(config_read(&config, bytes_of(document), "f.toml", &why), CONDITION_INVALID);
    assert_string_equal(why.text,
                        "f.toml:2: the line is longer than 8192 bytes; no setting needs that, "
                        "shorten it");
    config_clear(&config);
    free(document);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_setting_can_be_set),
        cmocka_unit_test(dotted_and_quoted_keys_mean_the_same),
        cmocka_unit_test(unknown_keys_are_refused_with_the_nearest),
        cmocka_unit_test(wrong_types_are_refused),
        cmocka_unit_test(impossible_values_are_refused),
        cmocka_unit_test(what_is_no_toml_is_refused_with_its_line),
        cmocka_unit_test(a_key_given_twice_is_refused),
        cmocka_unit_test(the_first_fault_of_the_file_is_told),
        cmocka_unit_test(the_example_says_the_defaults),
        cmocka_unit_test(settings_that_do_not_go_together_are_refused),
        cmocka_unit_test(a_file_may_miss_only_where_allowed),
        cmocka_unit_test(a_file_that_others_may_write_is_refused),
        cmocka_unit_test(deep_keys_are_refused),
        cmocka_unit_test(deep_values_are_refused),
        cmocka_unit_test(a_long_line_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
