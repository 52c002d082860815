/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/containerd_snippet.h"

#include "unit/cmocka_setup.h"

#include <stdlib.h>
#include <string.h>

/* The snippet for VERSION; the caller's to free. */
static char *snippet_for(const char *version, const char *address, const char *root)
{
    struct containerd_snippet snippet = {
        .address = address, .root = root, .platform = "linux/amd64"};
    struct reason why = {0};
    char *text = NULL;
    size_t length;
    FILE *stream = open_memstream(&text, &length);

    assert_non_null(stream);
    assert_int_equal(containerd_version_parse(&snippet.version, bytes_of(version), &why), 0);
    if (containerd_snippet_write(&snippet, stream, &why))
        fail_msg("%s", why.text);
    fclose(stream);
    return text;
}

/* What each version reads, by containerd's sources; the real ones are asked in tests/cli/run.sh. */
static void each_version_gets_what_it_reads(void **state)
{
    static const struct {
        const char *version;
        bool three, diff, exports;
    } cases[] = {
        {"1.6.20", false, false, false}, {"1.6.31", false, false, false},
        {"1.6.32", false, false, true},  {"1.6", false, false, true},
        {"1.7.0", false, false, false},  {"1.7.3", false, false, false},
        {"1.7.4", false, true, false},   {"1.7.15", false, true, false},
        {"1.7.16", false, true, true},   {"1.7", false, true, true},
        {"2.0.0", true, true, true},     {"2.1", true, true, true},
        {"2", true, true, true},         {"3.0", true, true, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *text = snippet_for(cases[i].version, "/a", "/r");
        bool three = strstr(text, "\nversion = 3\n") != NULL;

        if (three != cases[i].three || (strstr(text, "\nversion = 2\n") != NULL) == three ||
            (strstr(text, "[proxy_plugins.cowsnap-diff]") != NULL) != cases[i].diff ||
            (strstr(text, "diff-service") != NULL) != cases[i].diff ||
            (strstr(text, "[proxy_plugins.cowsnap.exports]\n    root = \"/r\"\n") != NULL) !=
                cases[i].exports ||
            (strstr(text, "unpack_config") != NULL) != three ||
            (strstr(text, "io.containerd.cri.v1.images") != NULL) != three ||
            (strstr(text, "io.containerd.grpc.v1.cri\".containerd]") != NULL) == three)
            fail_msg("for %s:\n%s", cases[i].version, text);
        assert_non_null(strstr(text, "[proxy_plugins.cowsnap]\n  type = \"snapshot\"\n"));
        free(text);
    }
}

/* Setting the list of the transfer service replaces its default. */
static void overlayfs_stays_usable(void **state)
{
    char *text = snippet_for("2.1", "/a", "/r");

    (void)state;
    assert_non_null(strstr(text, "  platform = \"linux/amd64\"\n"
                                 "  snapshotter = \"cowsnap\"\n"
                                 "  differ = \"cowsnap-diff\"\n"));
    assert_non_null(strstr(text, "  platform = \"linux/amd64\"\n"
                                 "  snapshotter = \"overlayfs\"\n"
                                 "  differ = \"walking\"\n"));
    free(text);
}

static void paths_are_quoted_as_toml_wants(void **state)
{
    char *text = snippet_for("1.7", "/a \"b\"\\c\n\xc3\xa9.sock", "/r");

    (void)state;
    assert_non_null(strstr(text, "  address = \"/a \\\"b\\\"\\\\c\\u000A\xc3\xa9.sock\"\n"));
    free(text);
}

static void paths_that_cannot_work_are_refused(void **state)
{
    static const struct {
        const char *address, *root, *sentence;
    } cases[] = {
        {"a.sock", "/r", "--address must be an absolute path, not \"a.sock\""},
        {"/a", "r", "--root must be an absolute path, not \"r\""},
        {"/a", "", "--root must be an absolute path, not \"\""},
        {"/a\xff", "/r", "--address is no UTF-8, as TOML must be: \"/a\\xff\""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct containerd_snippet snippet = {.version = {2, 1, 0},
                                             .address = cases[i].address,
                                             .root = cases[i].root,
                                             .platform = "linux/amd64"};
        struct reason why = {0};

        assert_int_equal(containerd_snippet_write(&snippet, stdout, &why), CONDITION_INVALID);
        assert_string_equal(why.text, cases[i].sentence);
    }
}

static void this_machine_has_a_platform(void **state)
{
    const char *platform = NULL;
    struct reason why = {0};

    (void)state;
    assert_int_equal(containerd_platform(&platform, &why), 0);
    assert_true(strncmp(platform, "linux/", 6) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_version_gets_what_it_reads),
        cmocka_unit_test(overlayfs_stays_usable),
        cmocka_unit_test(paths_are_quoted_as_toml_wants),
        cmocka_unit_test(paths_that_cannot_work_are_refused),
        cmocka_unit_test(this_machine_has_a_platform),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
