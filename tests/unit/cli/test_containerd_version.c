/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/containerd_version.h"

#include "unit/cmocka_setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *parsed(const char *text)
{
    static char buffer[VERSION_ROOM];
    struct containerd_version version;
    struct reason why = {0};

    if (containerd_version_parse(&version, bytes_of(text), &why))
        fail_msg("%s: %s", text, why.text);
    return containerd_version_text(&version, buffer);
}

static void reads_whole_and_short_versions(void **state)
{
    (void)state;
    assert_string_equal(parsed("1.7.24"), "1.7.24");
    assert_string_equal(parsed("v2.1.0"), "2.1.0");
    assert_string_equal(parsed("1.6"), "1.6");
    assert_string_equal(parsed("2"), "2");
    assert_string_equal(parsed("1.6.20~ds1"), "1.6.20");
    assert_string_equal(parsed("v2.0.0-rc.1"), "2.0.0");
    assert_string_equal(parsed("2.1.9+unknown"), "2.1.9");
    assert_string_equal(parsed("1.7.99999999999999999999"), "1.7.9998");
}

static void refuses_what_is_no_version(void **state)
{
    static const char *const words[] = {"",         "v",   "x",    "1.",     "1.7.", ".7",
                                        "1.7.24.1", "1,7", "1.7x", "latest", "-1",   "2 "};

    (void)state;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        struct containerd_version version;
        struct reason why = {0};

        if (containerd_version_parse(&version, bytes_of(words[i]), &why) != CONDITION_INVALID)
            fail_msg("\"%s\" is taken", words[i]);
        assert_non_null(strstr(why.text, "is no version of containerd"));
    }
}

static void refuses_what_is_too_old(void **state)
{
    static const char *const words[] = {"1.5.18", "1.5", "0.9", "v1.0.0"};

    (void)state;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        struct containerd_version version;
        struct reason why = {0};

        assert_int_equal(containerd_version_parse(&version, bytes_of(words[i]), &why),
                         CONDITION_UNIMPLEMENTED);
    }
}

static void compares_part_by_part(void **state)
{
    const struct containerd_version version = {1, 7, 4}, open = {1, 7, VERSION_NEWEST};

    (void)state;
    assert_true(containerd_version_since(&version, 1, 7, 4));
    assert_true(containerd_version_since(&version, 1, 6, 32));
    assert_false(containerd_version_since(&version, 1, 7, 5));
    assert_false(containerd_version_since(&version, 2, 0, 0));
    assert_true(containerd_version_since(&open, 1, 7, 23));
    assert_false(containerd_version_since(&open, 2, 0, 0));
}

static void finds_the_version_in_the_output(void **state)
{
    static const struct {
        const char *output, *version;
    } cases[] = {
        {"containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1+deb12u1\n", "1.6.20"},
        {"containerd github.com/containerd/containerd/v2 v2.1.0 061792f0ecf3\n", "2.1.0"},
        {"containerd containerd.io 1.7.24 88bf19b2105c8b17560993bee28a01ddc2f97182\n", "1.7.24"},
        {"containerd x 1.7.24", "1.7.24"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct containerd_version version;
        struct reason why = {0};
        char text[VERSION_ROOM];

        assert_int_equal(containerd_version_read(&version, bytes_of(cases[i].output), &why), 0);
        assert_string_equal(containerd_version_text(&version, text), cases[i].version);
    }

    struct containerd_version version;
    struct reason why = {0};

    assert_int_equal(containerd_version_read(&version, bytes_of(""), &why), CONDITION_INVALID);
    assert_int_equal(containerd_version_read(&version, bytes_of("containerd x"), &why),
                     CONDITION_INVALID);
}

/* Puts a containerd of our own, which runs SCRIPT, into an otherwise empty PATH. */
static void put_in_path(char *folder, const char *script)
{
    char path[128];
    FILE *file;

    assert_non_null(mkdtemp(folder));
    assert_int_equal(setenv("PATH", folder, 1), 0);
    if (!script)
        return;
    snprintf(path, sizeof(path), "%s/containerd", folder);
    file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "#!/bin/sh\n%s\n", script);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0755), 0);
}

static int ask(const char *script, struct containerd_version *version, struct reason *why)
{
    char folder[] = "/tmp/cowsnap-test.XXXXXX", path[128];
    int result;

    put_in_path(folder, script);
    result = containerd_version_ask(version, why);
    snprintf(path, sizeof(path), "%s/containerd", folder);
    unlink(path);
    rmdir(folder);
    return result;
}

static void asks_the_one_in_path(void **state)
{
    struct containerd_version version;
    struct reason why = {0};
    char text[VERSION_ROOM];

    (void)state;
    assert_int_equal(ask("[ \"$*\" = --version ] && echo containerd x v2.1.9 y", &version, &why),
                     0);
    assert_string_equal(containerd_version_text(&version, text), "2.1.9");
    assert_int_equal(ask(NULL, &version, &why), CONDITION_NOT_FOUND);
    assert_string_equal(why.text, "there is no containerd in PATH");
    assert_int_equal(ask("exit 1", &version, &why), CONDITION_INVALID);
    assert_string_equal(why.text, "containerd --version: \"\" names no version");
    /* one that never stops talking is not waited for */
    assert_int_equal(ask("while :; do echo containerd; done", &version, &why), CONDITION_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_whole_and_short_versions),
        cmocka_unit_test(refuses_what_is_no_version),
        cmocka_unit_test(refuses_what_is_too_old),
        cmocka_unit_test(compares_part_by_part),
        cmocka_unit_test(finds_the_version_in_the_output),
        cmocka_unit_test(asks_the_one_in_path),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
