/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/root.h"

#include "unit/cmocka_setup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char scratch[] = "/tmp/cowsnap-root-XXXXXX";

static const char *below(const char *name)
{
    static char path[128];

    snprintf(path, sizeof(path), "%s/%s", scratch, name);
    return path;
}

static int make_scratch(void **state)
{
    (void)state;
    umask(0);
    return mkdtemp(scratch) ? 0 : -1;
}

static int remove_scratch(void **state)
{
    static const char *const left[] = {"a/b/c/lock", "a/b/c", "a/b",  "a", "r/lock",
                                       "r",          "file",  "full", ""};

    (void)state;
    umount2(below("full"), MNT_DETACH); /* of a test that failed */
    for (size_t i = 0; i < sizeof(left) / sizeof(left[0]); i++)
        remove(below(left[i]));
    return access(scratch, F_OK) == 0 ? -1 : 0;
}

/* A disk of so many pages, all taken but for what a lock file has. */
static void a_full_disk_can_be_started_on(void **state)
{
    static const char piece[4096];
    struct reason why = {0};
    struct root root;
    char text[24] = "";

    (void)state;
    assert_int_equal(mkdir(below("full"), 0755), 0);
    if (mount("tmpfs", below("full"), "tmpfs", 0, "size=64k,mode=0711") < 0) {
        print_message("not run: mounting a tmpfs: %s\n", strerror(errno));
        assert_int_equal(rmdir(below("full")), 0);
        return;
    }
    assert_int_equal(root_open(&root, below("full"), &why), 0);
    root_close(&root);
    int file = open(below("full/stranger"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    while (write(file, piece, sizeof(piece)) > 0)
        ;
    /* in place, where the file has a block; and without, where it has none */
    for (int empty = 0; empty < 2; empty++) {
        assert_int_equal(root_open(&root, below("full"), &why), 0);
        assert_true(pread(root.lock, text, sizeof(text) - 1, 0) >= 0);
        assert_int_equal(strtol(text, NULL, 10), empty ? 0 : getpid());
        assert_int_equal(ftruncate(root.lock, 0), 0);
        assert_int_equal(write(file, piece, sizeof(piece)), empty ? -1 : (int)sizeof(piece));
        memset(text, 0, sizeof(text));
        root_close(&root);
    }
    close(file);
    assert_int_equal(umount(below("full")), 0);
    assert_int_equal(rmdir(below("full")), 0);
}

static void makes_the_folders_that_are_missing(void **state)
{
    struct root root;
    struct reason why = {0};
    struct stat stat_of;

    (void)state;
    assert_int_equal(root_open(&root, below("a/b/c"), &why), 0);
    assert_int_equal(stat(below("a/b/c"), &stat_of), 0);
    assert_int_equal(stat_of.st_mode & 07777, 0711);
    assert_int_equal(stat(below("a/b"), &stat_of), 0);
    assert_int_equal(stat_of.st_mode & 07777, 0755);
    assert_int_equal(fstatat(root.directory, "lock", &stat_of, 0), 0);
    assert_int_equal(stat_of.st_mode & 07777, 0600);
    assert_true(fcntl(root.directory, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(root.lock, F_GETFD) & FD_CLOEXEC);
    root_close(&root);
    root_close(&root);
}

static void a_trailing_slash_means_the_same_folder(void **state)
{
    struct root root;
    struct reason why = {0};

    (void)state;
    assert_int_equal(root_open(&root, below("r/"), &why), 0);
    root_close(&root);
}

static void refuses_a_second_daemon_and_names_the_first(void **state)
{
    struct root first, second;
    struct reason why = {0};
    char expected[512];

    (void)state;
    assert_int_equal(root_open(&first, below("r"), &why), 0);
    assert_int_equal(root_open(&second, below("r"), &why), CONDITION_UNAVAILABLE);
    snprintf(expected, sizeof(expected),
             "root %s is in use by cowsnapd or a `cowsnap pool` command, process %ld; stop it "
             "first, or choose another folder with --root",
             below("r"), (long)getpid());
    assert_string_equal(why.text, expected);
    assert_int_equal(second.directory, -1);
    assert_int_equal(second.lock, -1);
    root_close(&first);
    assert_int_equal(root_open(&second, below("r"), &why), 0);
    root_close(&second);
}

/* However a daemon ends, the next one starts; what it wrote into the file does not count. */
static void a_killed_daemon_leaves_no_lock(void **state)
{
    struct root root;
    struct reason why = {0};
    int ready[2];
    char byte;
    pid_t child;

    (void)state;
    assert_int_equal(pipe(ready), 0);
    child = fork();
    if (child == 0) {
        if (root_open(&root, below("r"), &why) == 0 && write(ready[1], "x", 1) == 1)
            pause();
        _exit(1);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(root_open(&root, below("r"), &why), CONDITION_UNAVAILABLE);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_int_equal(root_open(&root, below("r"), &why), 0);
    root_close(&root);
    close(ready[0]);
    close(ready[1]);
}

static void refuses_what_is_no_folder(void **state)
{
    struct root root;
    struct reason why = {0};
    int fd = open(below("file"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    (void)state;
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(root_open(&root, below("file"), &why), -ENOTDIR);
    assert_non_null(strstr(why.text, "it must be a folder"));
    assert_int_equal(root_open(&root, below("file/r"), &why), -ENOTDIR);
    assert_non_null(strstr(why.text, "choose another with --root"));
    unlink(below("file"));
}

static void refuses_what_others_may_write(void **state)
{
    struct root root;
    struct reason why = {0};

    (void)state;
    assert_int_equal(root_open(&root, below("r"), &why), 0);
    root_close(&root);
    assert_int_equal(chmod(below("r"), 0775), 0);
    assert_int_equal(root_open(&root, below("r"), &why), CONDITION_PRECONDITION);
    assert_non_null(strstr(why.text, "chmod go-w"));
    assert_int_equal(root.directory, -1);
    assert_int_equal(chmod(below("r"), 0711), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_disk_can_be_started_on),
        cmocka_unit_test(makes_the_folders_that_are_missing),
        cmocka_unit_test(a_trailing_slash_means_the_same_folder),
        cmocka_unit_test(refuses_a_second_daemon_and_names_the_first),
        cmocka_unit_test(a_killed_daemon_leaves_no_lock),
        cmocka_unit_test(refuses_what_is_no_folder),
        cmocka_unit_test(refuses_what_others_may_write),
    };

    return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
