/* SPDX-License-Identifier: Apache-2.0 */
#include "base/step.h"

#include "unit/cmocka_setup.h"

#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Passes "a.done" twice and "b.done" once with ORDER in the environment; the status it ended with,
 * and what it printed. */
static int run(const char *order, char *printed, size_t room)
{
    int ends[2], status = 0;
    pid_t child;
    ssize_t length;

    assert_int_equal(pipe(ends), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        dup2(ends[1], STDERR_FILENO);
        setenv("COWSNAP_STEP", order, 1);
        steps_begin();
        for (int i = 0; i < 2; i++)
            STEP("a.done");
        STEP("b.done");
        _exit(7);
    }
    close(ends[1]);
    length = read(ends[0], printed, room - 1);
    printed[length > 0 ? length : 0] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static bool was_killed(int status)
{
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static void ends_the_process_at_the_pass_it_is_told(void **state)
{
    char printed[512];

    (void)state;
    assert_true(was_killed(run("a.done", printed, sizeof(printed))));
    assert_true(was_killed(run("a.done:2", printed, sizeof(printed))));
    assert_int_equal(WEXITSTATUS(run("a.done:3", printed, sizeof(printed))), 7);
    assert_true(was_killed(run("b.done:1", printed, sizeof(printed))));
    assert_int_equal(WEXITSTATUS(run("", printed, sizeof(printed))), 7);
}

static void lists_its_names(void **state)
{
    char printed[512];

    (void)state;
    assert_int_equal(run("list", printed, sizeof(printed)), 0);
    assert_non_null(strstr(printed, "a.done\n"));
    assert_non_null(strstr(printed, "b.done\n"));
}

static void refuses_a_name_that_is_none(void **state)
{
    char printed[512];

    (void)state;
    assert_int_equal(WEXITSTATUS(run("a.don", printed, sizeof(printed))), 2);
    assert_non_null(strstr(printed, "a.don"));
    assert_int_equal(WEXITSTATUS(run("a.done:0", printed, sizeof(printed))), 2);
    assert_int_equal(WEXITSTATUS(run("a.done:x", printed, sizeof(printed))), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ends_the_process_at_the_pass_it_is_told),
        cmocka_unit_test(lists_its_names),
        cmocka_unit_test(refuses_a_name_that_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
