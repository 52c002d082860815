/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/tool.h"

#include "base/scoped.h"
#include "unit/cmocka_setup.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>

/* Has the shell run SCRIPT. */
static int ask(const char *script, const atomic_bool *cancel, struct tool_end *end,
               struct reason *why)
{
    char *const arguments[] = {"sh", "-c", (char *)script, NULL};
    scoped_fd int file = open("/dev/null", O_RDONLY | O_CLOEXEC);

    return tool_ask(arguments, file, "install a shell", cancel, end, why);
}

static void the_end_of_a_program_is_an_answer(void **state)
{
    struct tool_end end;
    struct reason why = {0};

    (void)state;
    assert_int_equal(ask("echo first; echo last >&2; exit 3", NULL, &end, &why), 0);
    assert_int_equal(end.status, 3);
    assert_string_equal(end.words, "\"last\"");
    assert_int_equal(ask("exit 0", NULL, &end, &why), 0);
    assert_int_equal(end.status, 0);
    assert_string_equal(end.words, "");
    assert_int_equal(ask("kill -ABRT $$", NULL, &end, &why), 0);
    assert_int_equal(end.status, -SIGABRT);
}

static void much_output_is_read_to_its_end(void **state)
{
    struct tool_end end;
    struct reason why = {0};
    const atomic_bool never = false;

    (void)state;
    assert_int_equal(
        ask("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); echo line $i; done", &never, &end, &why),
        0);
    assert_int_equal(end.status, 0);
    assert_string_equal(end.words, "\"line 20000\"");
}

static void a_program_nobody_waits_for_is_killed(void **state)
{
    struct tool_end end;
    struct reason why = {0};
    const atomic_bool cancel = true;

    (void)state;
    assert_int_equal(ask("exec sleep 1000", &cancel, &end, &why), CONDITION_CANCELLED);
}

static void a_program_that_is_not_there_is_told(void **state)
{
    char *const arguments[] = {"no-such-program", NULL};
    struct tool_end end;
    struct reason why = {0};

    (void)state;
    assert_int_equal(tool_ask(arguments, 0, "install it", NULL, &end, &why), CONDITION_UNAVAILABLE);
    assert_string_equal(why.text, "no-such-program is not installed: install it");
}

static void a_program_that_has_to_succeed_is_cited(void **state)
{
    char *const arguments[] = {"sh", "-c", "echo no room; exit 1", NULL};
    struct reason why = {0};

    (void)state;
    assert_true(tool_run(arguments, 0, "", &why) < 0);
    assert_non_null(strstr(why.text, "sh ended with status 1, its last words: \"no room\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_end_of_a_program_is_an_answer),
        cmocka_unit_test(much_output_is_read_to_its_end),
        cmocka_unit_test(a_program_nobody_waits_for_is_killed),
        cmocka_unit_test(a_program_that_is_not_there_is_told),
        cmocka_unit_test(a_program_that_has_to_succeed_is_cited),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
