/* SPDX-License-Identifier: Apache-2.0 */

/* The documents name what there is, and nothing else: every setting, flag and command. */

#include "cli/command.h"
#include "config/options.h"
#include "config/settings.h"

#include "unit/cmocka_setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A document of docs/, after a newline, so that its first line begins as all others do. The
 * caller's to free. */
static char *document(const char *name)
{
    enum { MOST = 64 << 10 };
    char path[512];
    char *text = calloc(1, MOST);
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", DOCUMENTS, name);
    file = fopen(path, "r");
    if (!file || !text)
        fail_msg("%s cannot be read", path);
    text[0] = '\n';
    assert_in_range(fread(text + 1, 1, MOST - 1, file), 1, MOST - 2);
    fclose(file);
    return text;
}

/* Where LINE begins in TEXT, followed by a blank or the end of the line; NULL when it is not there.
 */
static const char *find_line(const char *text, const char *line)
{
    char wanted[128];
    size_t length = (size_t)snprintf(wanted, sizeof(wanted), "\n%s", line);

    for (const char *at = strstr(text, wanted); at; at = strstr(at + 1, wanted))
        if (at[length] == ' ' || at[length] == '\n')
            return at + 1;
    return NULL;
}

/* BEGINNING and WORD together. */
static const char *need_line(const char *text, const char *name, const char *beginning,
                             const char *word)
{
    char line[100];
    const char *at;

    snprintf(line, sizeof(line), "%s%s", beginning, word);
    at = find_line(text, line);
    if (!at)
        fail_msg("docs/%s has no line \"%s\"", name, line);
    return at;
}

static size_t count_lines(const char *text, const char *beginning)
{
    char wanted[64];
    size_t count = 0;

    snprintf(wanted, sizeof(wanted), "\n%s", beginning);
    for (const char *at = strstr(text, wanted); at; at = strstr(at + 1, wanted))
        count++;
    return count;
}

/* A setting's entry names every value it may have. */
static void names_the_choices(const struct setting *setting, const char *entry)
{
    const char *end = strstr(entry + 1, "\n.It ");

    for (size_t i = 0; setting->names && setting->names[i]; i++) {
        char line[64];
        const char *at;

        snprintf(line, sizeof(line), ".Cm %s", setting->names[i]);
        at = find_line(entry, line);
        if (!at || (end && at > end))
            fail_msg("the entry of %s does not name \"%s\"", setting->key, setting->names[i]);
    }
}

static void the_manual_has_every_setting(void **state)
{
    char *text = document("man/cowsnap.toml.5");

    (void)state;
    for (size_t i = 0; i < SETTINGS; i++)
        names_the_choices(&settings[i],
                          need_line(text, "man/cowsnap.toml.5", ".It Ic ", settings[i].key));
    assert_int_equal(count_lines(text, ".It Ic "), SETTINGS);
    free(text);
}

/* "\nkey = " in the right section; a "#" before a key whose default is to be absent. */
static void the_example_has_every_setting(void **state)
{
    char *text = document("deploy/config.toml");

    (void)state;
    for (size_t i = 0; i < SETTINGS; i++) {
        const char *dot = strchr(settings[i].key, '.');
        const char *section = text, *at, *end;
        char line[64];

        if (dot) {
            snprintf(line, sizeof(line), "[%.*s]", (int)(dot - settings[i].key), settings[i].key);
            section = find_line(text, line);
            if (!section)
                fail_msg("docs/deploy/config.toml has no section %s", line);
        }
        end = strstr(section, "\n[");
        snprintf(line, sizeof(line), "%s", dot ? dot + 1 : settings[i].key);
        at = find_line(section, line);
        if (!at) {
            snprintf(line, sizeof(line), "#%s", dot ? dot + 1 : settings[i].key);
            at = find_line(section, line);
        }
        if (!at || (end && at > end))
            fail_msg("docs/deploy/config.toml has no setting %s", settings[i].key);
    }
    free(text);
}

static void the_manual_has_every_flag_of_the_daemon(void **state)
{
    char *text = document("man/cowsnapd.8");
    size_t count = 4;

    (void)state;
    for (size_t i = 0; i < SETTINGS; i++)
        if (settings[i].flag) {
            need_line(text, "man/cowsnapd.8", ".It Fl -", settings[i].flag);
            need_line(text, "man/cowsnapd.8", ".Op Fl -", settings[i].flag);
            count++;
        }
    need_line(text, "man/cowsnapd.8", ".It Fl -", "config");
    need_line(text, "man/cowsnapd.8", ".It Fl -", "forget-volumes");
    need_line(text, "man/cowsnapd.8", ".It Fl -", "help");
    need_line(text, "man/cowsnapd.8", ".It Fl -", "version");
    assert_int_equal(count_lines(text, ".It Fl "), count);
    free(text);
}

static void the_manual_has_every_command(void **state)
{
    static const char *const common[] = {"address", "json", "help", "version"};
    char *text = document("man/cowsnap.1");
    size_t flags = sizeof(common) / sizeof(common[0]);

    (void)state;
    for (size_t i = 0; i < flags; i++)
        need_line(text, "man/cowsnap.1", ".It Fl -", common[i]);
    for (size_t i = 0; commands[i]; i++) {
        const struct command *command = commands[i];
        const char *entry = need_line(text, "man/cowsnap.1", ".It Ic ", command->name);

        for (size_t j = 0; command->flags && command->flags[j].name; j++) {
            need_line(entry, "man/cowsnap.1", ".It Fl -", command->flags[j].name);
            flags++;
        }
    }
    assert_int_equal(count_lines(text, ".It Fl "), flags);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_manual_has_every_setting),
        cmocka_unit_test(the_example_has_every_setting),
        cmocka_unit_test(the_manual_has_every_flag_of_the_daemon),
        cmocka_unit_test(the_manual_has_every_command),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
