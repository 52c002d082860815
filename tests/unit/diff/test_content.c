/* SPDX-License-Identifier: Apache-2.0 */
#include "diff/content.h"
#include "unit/cmocka_setup.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char good[] =
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

static void a_digest_survives_both_ways(void **state)
{
    uint8_t digest[CONTENT_DIGEST_SIZE];
    char text[72];

    (void)state;
    assert_int_equal(content_parse_digest(bytes_of(good), digest, NULL), 0);
    content_format_digest(digest, text);
    assert_string_equal(text, good);
}

static void nothing_but_a_digest_is_taken(void **state)
{
    static const char *const bad[] = {
        "",
        "sha256:",
        "sha256:../../../../etc/passwd",
        ":e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "SHA512:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "../x:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "x+:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "x",
        "sha256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b85",
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b8555",
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b85/",
    };
    uint8_t digest[CONTENT_DIGEST_SIZE];
    struct reason why = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(content_parse_digest(bytes_of(bad[i]), digest, &why), CONDITION_INVALID);
    assert_int_equal(content_parse_digest(bytes_from(good, sizeof(good)), digest, &why),
                     CONDITION_INVALID); /* a NUL at the end is a byte too many */
}

static void another_algorithm_is_the_next_differs(void **state)
{
    static const char *const others[] = {"sha512:abc", "blake9+b64u.x_y-z:ABC_=-", "sha2567:"};
    uint8_t digest[CONTENT_DIGEST_SIZE];
    struct reason why = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        assert_int_equal(content_parse_digest(bytes_of(others[i]), digest, &why),
                         CONDITION_UNIMPLEMENTED);
    assert_non_null(strstr(why.text, "\"sha2567\""));
}

static void a_blob_is_opened_where_containerd_keeps_it(void **state)
{
    char root[] = "/tmp/cowsnap-content-XXXXXX";
    char path[256], command[64];
    uint8_t digest[CONTENT_DIGEST_SIZE];
    struct reason why = {0};
    int blob = -1, file;

    (void)state;
    assert_non_null(mkdtemp(root));
    content_parse_digest(bytes_of(good), digest, NULL);
    assert_int_equal(content_open(root, digest, 0, &blob, &why), CONDITION_NOT_FOUND);
    assert_non_null(strstr(why.text, "content_root"));

    snprintf(path, sizeof(path), "%s/blobs", root);
    mkdir(path, 0700);
    snprintf(path, sizeof(path), "%s/blobs/sha256", root);
    mkdir(path, 0700);
    snprintf(path, sizeof(path), "%s/blobs/sha256/%s", root, good + 7);
    file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_int_equal(write(file, "12345", 5), 5);
    close(file);

    assert_int_equal(content_open(root, digest, 0, &blob, &why), 0);
    close(blob);
    assert_int_equal(content_open(root, digest, 5, &blob, &why), 0);
    close(blob);
    assert_int_equal(content_open(root, digest, 6, &blob, &why), CONDITION_INVALID);
    assert_non_null(strstr(why.text, "has 5 bytes"));

    unlink(path);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    assert_true(content_open(root, digest, 0, &blob, &why) < 0);
    unlink(path);
    mkdir(path, 0700);
    assert_int_equal(content_open(root, digest, 0, &blob, &why), CONDITION_INVALID);

    snprintf(command, sizeof(command), "rm -rf %s", root);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_digest_survives_both_ways),
        cmocka_unit_test(nothing_but_a_digest_is_taken),
        cmocka_unit_test(another_algorithm_is_the_next_differs),
        cmocka_unit_test(a_blob_is_opened_where_containerd_keeps_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
