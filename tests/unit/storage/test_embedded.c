/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/embedded.h"

#include "base/scoped.h"
#include "unit/cmocka_setup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MIB (UINT64_C(1) << 20)

static void a_target_is_in_whole_mib(void **state)
{
    static const struct {
        uint64_t now, size;
        bool more;
        uint64_t target; /* 0: refused */
    } cases[] = {
        {100 * MIB, 200 * MIB, false, 200 * MIB},
        {100 * MIB, 200 * MIB + 5, false, 200 * MIB},
        {100 * MIB, 100 * MIB, false, 100 * MIB},
        {100 * MIB, 99 * MIB, false, 0},
        {100 * MIB, 0, false, 0},
        {100 * MIB, 1 * MIB, true, 101 * MIB},
        {100 * MIB, MIB - 1, true, 0},
        {100 * MIB, 0, true, 0},
        {100 * MIB, UINT64_MAX, true, 0},
        {100 * MIB, UINT64_MAX, false, 0},
        {100 * MIB, UINT64_C(1) << 63, false, 0},
        {100 * MIB, (UINT64_C(1) << 63) - MIB, false, (UINT64_C(1) << 63) - MIB},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const struct pool_growth growth = {cases[i].size, cases[i].more, false};
        struct reason why = {0};
        uint64_t size = 0;
        int result = embedded_target(&growth, cases[i].now, "the pool", &size, &why);

        if (result != (cases[i].target ? 0 : CONDITION_INVALID) ||
            (result == 0 && size != cases[i].target))
            fail_msg("case %zu is %d, %llu: %s", i, result, (unsigned long long)size, why.text);
        if (result)
            assert_memory_equal(why.text, "the pool ", 9);
    }
}

static void a_file_becomes_longer_and_never_shorter(void **state)
{
    char path[] = "/tmp/embedded-XXXXXX";
    struct stat file;

    (void)state;
    assert_non_null(mkdtemp(path));
    scoped_fd int root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    close(openat(root, "f", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    int grown = embedded_lengthen(root, "f", 5 * MIB);
    int again = embedded_lengthen(root, "f", 5 * MIB);
    int shorter = embedded_lengthen(root, "f", 3 * MIB);
    int missing = embedded_lengthen(root, "g", 3 * MIB);
    fstatat(root, "f", &file, 0);
    unlinkat(root, "f", 0);
    rmdir(path);
    assert_int_equal(grown, 1);
    assert_int_equal(again, 0);
    assert_int_equal(shorter, 0);
    assert_int_equal(missing, -ENOENT);
    assert_int_equal(file.st_size, 5 * MIB);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_target_is_in_whole_mib),
        cmocka_unit_test(a_file_becomes_longer_and_never_shorter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
