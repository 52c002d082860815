/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/arguments.h"

#include "unit/cmocka_setup.h"

#include <stdio.h>
#include <string.h>

#define MOST 16

/* Splits LINE at blanks into an argument vector after "cowsnap", which lives to the next call. */
static int parse(struct arguments *arguments, const char *line, struct reason *why)
{
    static char buffer[512];
    static char *argv[MOST + 2];
    int argc = 1;

    argv[0] = (char *)"cowsnap";
    snprintf(buffer, sizeof(buffer), "%s", line);
    for (char *word = strtok(buffer, " "); word && argc < MOST; word = strtok(NULL, " "))
        argv[argc++] = word;
    argv[argc] = NULL;
    return arguments_parse(arguments, argc, argv, why);
}

static void common_flags_stand_anywhere(void **state)
{
    static const char *const lines[] = {
        "--address /s --json usage key",
        "--address=/s usage --json key",
        "usage key --address /s --json",
        "usage --address /s key --json",
        "--address /other --json usage key --address /s",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct arguments arguments;
        struct reason why = {0};

        if (parse(&arguments, lines[i], &why))
            fail_msg("%s: %s", lines[i], why.text);
        assert_ptr_equal(arguments.command, &command_usage);
        assert_string_equal(arguments.address, "/s");
        assert_true(arguments.json);
        assert_int_equal(arguments.word_count, 1);
        assert_string_equal(arguments.words[0], "key");
    }
}

static void what_is_not_given_is_not_set(void **state)
{
    struct arguments arguments;
    struct reason why = {0};

    (void)state;
    assert_int_equal(parse(&arguments, "ls", &why), 0);
    assert_ptr_equal(arguments.command, &command_ls);
    assert_null(arguments.address);
    assert_false(arguments.json || arguments.help || arguments.version);
    assert_int_equal(arguments.word_count, 0);
    assert_int_equal(parse(&arguments, "", &why), 0);
    assert_null(arguments.command);
}

static void a_key_may_begin_with_a_dash(void **state)
{
    struct arguments arguments;
    struct reason why = {0};

    (void)state;
    assert_int_equal(parse(&arguments, "usage --json -- --key", &why), 0);
    assert_true(arguments.json);
    assert_string_equal(arguments.words[0], "--key");
}

/* --version of the tool, and that of a command, which takes a value. */
static void a_command_has_flags_of_its_own(void **state)
{
    struct arguments arguments;
    struct reason why = {0};

    (void)state;
    assert_int_equal(parse(&arguments, "--version", &why), 0);
    assert_true(arguments.version);
    assert_int_equal(parse(&arguments, "containerd-config --root /r --version 1.7", &why), 0);
    assert_false(arguments.version);
    assert_string_equal(arguments.values[0], "1.7");
    assert_string_equal(arguments.values[1], "/r");
    assert_int_equal(parse(&arguments, "containerd-config", &why), 0);
    assert_null(arguments.values[0]);
    assert_null(arguments.values[1]);
}

static void a_name_may_be_two_words(void **state)
{
    struct arguments arguments;
    struct reason why = {0};

    (void)state;
    assert_int_equal(parse(&arguments, "--json pool grow +5G --metadata --root /r", &why), 0);
    assert_ptr_equal(arguments.command, &command_pool_grow);
    assert_int_equal(arguments.word_count, 1);
    assert_string_equal(arguments.words[0], "+5G");
    assert_string_equal(arguments.values[1], "/r");
    assert_string_equal(arguments.values[3], "");
    assert_true(arguments.json);
    assert_int_equal(parse(&arguments, "pool --help", &why), 0);
    assert_ptr_equal(arguments.command, &command_pool);
    assert_int_equal(parse(&arguments, "pool", &why), 0);
    assert_ptr_equal(arguments.command, &command_pool);
    assert_int_equal(parse(&arguments, "help pool grow", &why), 0);
    assert_int_equal(arguments.word_count, 2);
}

static void help_needs_no_words(void **state)
{
    struct arguments arguments;
    struct reason why = {0};

    (void)state;
    assert_int_equal(parse(&arguments, "usage --help", &why), 0);
    assert_true(arguments.help);
    assert_ptr_equal(arguments.command, &command_usage);
    assert_int_equal(parse(&arguments, "--help", &why), 0);
    assert_true(arguments.help);
    assert_int_equal(parse(&arguments, "help usage", &why), 0);
    assert_ptr_equal(arguments.command, &command_help);
    assert_string_equal(arguments.words[0], "usage");
}

static void malformed_lines_are_refused(void **state)
{
    static const struct {
        const char *line, *sentence;
    } cases[] = {
        {"sttaus", "\"sttaus\" is not a command; did you mean status?"},
        {"frobnicate", "\"frobnicate\" is not a command; cowsnap --help lists them"},
        {"l\x1b[2J", "\"l\\x1b[2J\" is not a command; cowsnap --help lists them"},
        {"--adress /s ls", "\"--adress\" is not an option; did you mean --address?"},
        {"ls --frobnicate", "\"--frobnicate\" is not an option; see cowsnap ls --help"},
        {"usage key --jsn", "\"--jsn\" is not an option; did you mean --json?"},
        {"ls --root /r", "\"--root\" is not an option; see cowsnap ls --help"},
        {"-x ls", "\"-x\" is not an option; see cowsnap --help"},
        {"usage key -xy", "\"-x\" is not an option; see cowsnap usage --help"},
        {"--address", "--address wants a value; see cowsnap --help"},
        {"usage key --address", "--address wants a value; see cowsnap usage --help"},
        {"ls --json=yes", "\"--json\" takes no value; see cowsnap ls --help"},
        {"usage", "usage wants KEY; see cowsnap usage --help"},
        {"usage a b", "\"b\" is one word too many; see cowsnap usage --help"},
        {"pool grow", "pool grow wants SIZE; see cowsnap pool grow --help"},
        {"pool grow 1G 2G", "\"2G\" is one word too many; see cowsnap pool grow --help"},
        {"pool chekc", "\"pool chekc\" is not a command; did you mean pool check?"},
        {"pol check", "\"pol\" is not a command; did you mean pool?"},
        {"pool status --metadata",
         "\"--metadata\" is not an option; see cowsnap pool status --help"},
        {"ls a", "\"a\" is one word too many; see cowsnap ls --help"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct arguments arguments;
        struct reason why = {0};

        assert_int_equal(parse(&arguments, cases[i].line, &why), CONDITION_INVALID);
        assert_string_equal(why.text, cases[i].sentence);
    }
}

static void every_command_is_complete(void **state)
{
    (void)state;
    for (size_t i = 0; commands[i]; i++) {
        const struct command *command = commands[i];
        size_t flags = 0;

        assert_non_null(command->name);
        assert_non_null(command->words);
        assert_non_null(command->summary);
        assert_non_null(command->run);
        assert_true(command->words_least <= command->words_most);
        assert_int_equal(command->details[strlen(command->details) - 1], '\n');
        for (; command->flags && command->flags[flags].name; flags++) {
            char flag[40];

            snprintf(flag, sizeof(flag), "--%s ", command->flags[flags].name);
            assert_non_null(strstr(command->details, flag));
        }
        assert_true(flags <= COMMAND_FLAGS);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(command->name, commands[j]->name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(common_flags_stand_anywhere),
        cmocka_unit_test(what_is_not_given_is_not_set),
        cmocka_unit_test(a_key_may_begin_with_a_dash),
        cmocka_unit_test(a_command_has_flags_of_its_own),
        cmocka_unit_test(a_name_may_be_two_words),
        cmocka_unit_test(help_needs_no_words),
        cmocka_unit_test(malformed_lines_are_refused),
        cmocka_unit_test(every_command_is_complete),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
