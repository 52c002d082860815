/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/remove.h"

#include "base/scoped.h"
#include "unit/cmocka_setup.h"
#include "unit/layer/tree_rig.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

/* Notes what it is called with; ends the removal at NAME. */
struct watch {
    char log[1024];
    const char *end_at;
    unsigned calls;
};

static int watch(void *context, int folder, const char *folder_name, const char *name,
                 bool directory, struct reason *why)
{
    struct watch *watch = context;
    struct stat status;
    size_t used = strlen(watch->log);

    watch->calls++;
    if (watch->end_at && strcmp(watch->end_at, name) == 0)
        return refuse(why, CONDITION_CANCELLED, "enough");
    if (fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) == 0)
        assert_int_equal(directory, S_ISDIR(status.st_mode));
    snprintf(watch->log + used, sizeof(watch->log) - used, "%s%s|%s%s", used ? " " : "",
             folder_name, name, directory ? "/" : "");
    return 0;
}

static int quiet(void *context, int folder, const char *folder_name, const char *name,
                 bool directory, struct reason *why)
{
    (void)context;
    (void)folder;
    (void)folder_name;
    (void)name;
    (void)directory;
    (void)why;
    return 0;
}

static void everything_below_a_name_goes_and_nothing_else(void **state)
{
    struct tree_rig *rig = *state;
    struct watch noted = {0};

    tree_rig_folder(rig, "keep");
    tree_rig_file(rig, "keep/f", "1");
    tree_rig_folder(rig, "go");
    tree_rig_folder(rig, "go/empty");
    tree_rig_folder(rig, "go/full");
    tree_rig_file(rig, "go/full/f", "2");
    tree_rig_symlink(rig, "go/out", "../keep");
    tree_rig_symlink(rig, "go/full/top", "/");
    assert_int_equal(mkfifoat(rig->fd, "go/fifo", 0644), 0);
    assert_int_equal(remove_all(rig->fd, "", "go", watch, &noted, &rig->why), 0);
    assert_string_equal(tree_rig_list(rig, "."), "keep/ keep/f=1");
    assert_int_equal(noted.calls, 7);
    assert_non_null(strstr(noted.log, "|go/"));
    assert_non_null(strstr(noted.log, "go|out"));
    assert_non_null(strstr(noted.log, "go|empty/"));
    assert_non_null(strstr(noted.log, "go/full|top"));
}

/* More than are read at a time, and so that the reading goes on behind each. */
static void a_folder_of_many_full_ones_goes(void **state)
{
    struct tree_rig *rig = *state;
    struct watch noted = {0};
    char name[32];

    tree_rig_folder(rig, "go");
    for (unsigned i = 0; i < 3000; i++) {
        snprintf(name, sizeof(name), "go/%u", i);
        tree_rig_folder(rig, name);
        snprintf(name, sizeof(name), "go/%u/f", i);
        if (i % 3)
            tree_rig_file(rig, name, "");
    }
    assert_int_equal(remove_all(rig->fd, "", "go", watch, &noted, &rig->why), 0);
    assert_string_equal(tree_rig_list(rig, "."), "");
    assert_int_equal(noted.calls, 1 + 3000 + 2000);
}

static void the_watch_is_told_whole_names(void **state)
{
    struct tree_rig *rig = *state;
    struct watch noted = {0};
    scoped_fd int folder = -1;

    tree_rig_folder(rig, "a");
    tree_rig_folder(rig, "a/b");
    tree_rig_folder(rig, "a/b/c");
    tree_rig_file(rig, "a/b/c/f", "");
    folder = openat(rig->fd, "a", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(remove_all(folder, "usr/a", "b", watch, &noted, &rig->why), 0);
    assert_string_equal(noted.log, "usr/a|b/ usr/a/b|c/ usr/a/b/c|f");
    assert_string_equal(tree_rig_list(rig, "."), "a/");
}

static void a_file_and_a_symlink_are_removed_as_such(void **state)
{
    struct tree_rig *rig = *state;

    tree_rig_folder(rig, "d");
    tree_rig_file(rig, "f", "");
    tree_rig_symlink(rig, "l", "d");
    assert_int_equal(remove_all(rig->fd, "", "f", quiet, NULL, NULL), 0);
    assert_int_equal(remove_all(rig->fd, "", "l", quiet, NULL, NULL), 0);
    assert_int_equal(remove_all(rig->fd, "", "none", quiet, NULL, NULL), 0);
    assert_string_equal(tree_rig_list(rig, "."), "d/");
}

static void the_watch_may_end_it(void **state)
{
    struct tree_rig *rig = *state;
    struct watch noted = {.end_at = "f"};

    tree_rig_folder(rig, "a");
    tree_rig_folder(rig, "a/b");
    tree_rig_file(rig, "a/b/f", "x");
    assert_int_equal(remove_all(rig->fd, "", "a", watch, &noted, &rig->why), CONDITION_CANCELLED);
    assert_string_equal(rig->why.text, "enough");
    assert_string_equal(tree_rig_list(rig, "."), "a/ a/b/ a/b/f=x");
}

/* A path far beyond PATH_MAX, and few descriptors. */
static void depth_takes_no_descriptors(void **state)
{
    struct tree_rig *rig = *state;
    struct rlimit before, few;
    char name[NAME_MAX + 1];
    int at = dup(rig->fd);
    int result;

    memset(name, 'n', sizeof(name));
    name[100] = '\0';
    for (int depth = 0; depth < 300; depth++) {
        int below;

        assert_int_equal(mkdirat(at, name, 0755), 0);
        below = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(below >= 0);
        close(at);
        at = below;
    }
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = before;
    few.rlim_cur = (rlim_t)at + 4;
    close(at);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    result = remove_all(rig->fd, "", name, quiet, NULL, &rig->why);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    if (result)
        print_error("%s\n", rig->why.text);
    assert_int_equal(result, 0);
    assert_string_equal(tree_rig_list(rig, "."), "");
}

static void make_bush(struct tree_rig *rig, const char *name, unsigned depth)
{
    char below[64];

    tree_rig_folder(rig, name);
    assert_true(snprintf(below, sizeof(below), "%s/file", name) < (int)sizeof(below));
    tree_rig_file(rig, below, "");
    for (unsigned i = 0; depth > 0 && i < 4; i++) {
        assert_true(snprintf(below, sizeof(below), "%s/%u", name, i) < (int)sizeof(below));
        make_bush(rig, below, depth - 1);
    }
}

struct rival {
    struct tree_rig *rig;
    int result;
    struct reason why;
};

static void *remove_bush(void *argument)
{
    struct rival *rival = argument;

    rival->result = remove_all(rival->rig->fd, "", "bush", quiet, NULL, &rival->why);
    return NULL;
}

static void what_others_remove_meanwhile_is_no_error(void **state)
{
    struct tree_rig *rig = *state;

    for (int round = 0; round < 25; round++) {
        struct rival rivals[3] = {{.rig = rig}, {.rig = rig}, {.rig = rig}};
        pthread_t threads[3];

        make_bush(rig, "bush", 2);
        for (int i = 0; i < 3; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, remove_bush, &rivals[i]), 0);
        for (int i = 0; i < 3; i++)
            pthread_join(threads[i], NULL);
        for (int i = 0; i < 3; i++) {
            if (rivals[i].result)
                print_error("%s\n", rivals[i].why.text);
            assert_int_equal(rivals[i].result, 0);
        }
        assert_string_equal(tree_rig_list(rig, "."), "");
    }
}

/* Moves the folder that is being emptied elsewhere, from inside the watch. */
static int move_away(void *context, int folder, const char *folder_name, const char *name,
                     bool directory, struct reason *why)
{
    struct tree_rig *rig = context;

    (void)folder;
    (void)folder_name;
    (void)directory;
    (void)why;
    if (strcmp(name, "f") == 0)
        assert_int_equal(renameat(rig->fd, "a/b", rig->fd, "other/b"), 0);
    return 0;
}

static void a_folder_that_is_moved_leads_nowhere_else(void **state)
{
    struct tree_rig *rig = *state;

    tree_rig_folder(rig, "a");
    tree_rig_folder(rig, "a/b");
    tree_rig_file(rig, "a/b/f", "");
    tree_rig_folder(rig, "other");
    tree_rig_file(rig, "other/precious", "x");
    assert_int_equal(remove_all(rig->fd, "", "a", move_away, rig, &rig->why), -ESTALE);
    assert_non_null(strstr(rig->why.text, "was moved"));
    assert_string_equal(tree_rig_list(rig, "other"), "b/ precious=x");
}

#define with_rig(test) cmocka_unit_test_setup_teardown(test, tree_rig_setup, tree_rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_rig(everything_below_a_name_goes_and_nothing_else),
        with_rig(a_folder_of_many_full_ones_goes),
        with_rig(the_watch_is_told_whole_names),
        with_rig(a_file_and_a_symlink_are_removed_as_such),
        with_rig(the_watch_may_end_it),
        with_rig(depth_takes_no_descriptors),
        with_rig(what_others_remove_meanwhile_is_no_error),
        with_rig(a_folder_that_is_moved_leads_nowhere_else),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
