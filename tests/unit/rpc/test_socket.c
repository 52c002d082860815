/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/socket.h"

#include "unit/cmocka_setup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static char folder[64], path[96];
static struct reason why;

static int setup(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/cowsnap-socket-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof(path), "%s/c.sock", folder);
    why = (struct reason){0};
    return 0;
}

/* What a test leaves must be nothing, temporary names included. */
static int teardown(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static mode_t mode_of(const char *name)
{
    struct stat status;

    assert_int_equal(lstat(name, &status), 0);
    return status.st_mode & 07777;
}

/* A socket file whose process has gone. */
static void leave_stale(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 1), 0);
    close(fd);
}

static void the_socket_is_for_its_owner_alone_whatever_the_umask(void **state)
{
    const mode_t masks[] = {0, 0777, 022};

    (void)state;
    for (int i = 0; i < 3; i++) {
        struct socket_file file;
        mode_t before = umask(masks[i]);
        int result = socket_listen(&file, path, &why);

        umask(before);
        assert_int_equal(result, 0);
        assert_int_equal(mode_of(path), 0600);
        socket_close(&file);
        assert_int_equal(access(path, F_OK), -1);
    }
}

static void missing_folders_are_made_for_passing_only(void **state)
{
    struct socket_file file;
    char deep[128], middle[128];
    mode_t before = umask(077);

    (void)state;
    snprintf(middle, sizeof(middle), "%s/a", folder);
    snprintf(deep, sizeof(deep), "%s/a/b/c.sock", folder);
    assert_int_equal(socket_listen(&file, deep, &why), 0);
    umask(before);
    assert_int_equal(mode_of(middle), 0755);
    socket_close(&file);
    snprintf(deep, sizeof(deep), "%s/a/b", folder);
    assert_int_equal(mode_of(deep), 0711);
    assert_int_equal(rmdir(deep), 0);
    assert_int_equal(rmdir(middle), 0);
}

static void a_folder_that_is_there_keeps_its_mode(void **state)
{
    struct socket_file file;

    (void)state;
    assert_int_equal(chmod(folder, 0755), 0);
    assert_int_equal(socket_listen(&file, path, &why), 0);
    assert_int_equal(mode_of(folder), 0755);
    socket_close(&file);
}

static void a_stale_socket_is_replaced(void **state)
{
    struct socket_file file;
    int fd;

    (void)state;
    leave_stale();
    assert_int_equal(socket_connect(&fd, path, &why), CONDITION_UNAVAILABLE);
    assert_int_equal(socket_listen(&file, path, &why), 0);
    assert_int_equal(mode_of(path), 0600);
    assert_int_equal(socket_connect(&fd, path, &why), 0);
    close(fd);
    socket_close(&file);
}

static void a_live_socket_is_refused_and_lives_on(void **state)
{
    struct socket_file file, second;
    char expected[256];
    int fd;

    (void)state;
    assert_int_equal(socket_listen(&file, path, &why), 0);
    assert_int_equal(socket_listen(&second, path, &why), CONDITION_UNAVAILABLE);
    snprintf(expected, sizeof(expected),
             "socket %s is in use: another daemon listens on it; stop that one, or choose another "
             "--address",
             path);
    assert_string_equal(why.text, expected);
    assert_int_equal(socket_connect(&fd, path, &why), 0);
    close(fd);
    socket_close(&file);
}

static void what_is_no_socket_is_left_alone(void **state)
{
    struct socket_file file;
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);

    (void)state;
    assert_int_equal(write(fd, "precious", 8), 8);
    close(fd);
    assert_int_equal(socket_listen(&file, path, &why), CONDITION_EXISTS);
    assert_int_equal(mode_of(path), 0644);
    /* nor is a link followed to where it leads */
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("/nowhere", path), 0);
    assert_int_equal(socket_listen(&file, path, &why), CONDITION_EXISTS);
}

static void a_path_that_cannot_be_a_socket_is_refused(void **state)
{
    struct socket_file file;
    char long_path[300];

    (void)state;
    memset(long_path, 'x', sizeof(long_path) - 1);
    long_path[0] = '/';
    long_path[sizeof(long_path) - 1] = '\0';
    assert_int_equal(socket_listen(&file, long_path, &why), CONDITION_INVALID);
    assert_int_equal(socket_listen(&file, "", &why), CONDITION_INVALID);
    assert_int_equal(socket_listen(&file, "/tmp/", &why), CONDITION_INVALID);
    /* the path fits, the temporary name beside it does not */
    memset(long_path, 'y', 105);
    long_path[0] = '/';
    long_path[103] = '/';
    long_path[105] = '\0';
    assert_int_equal(socket_listen(&file, long_path, &why), CONDITION_INVALID);
}

static void a_file_in_place_of_the_folder_is_a_failure(void **state)
{
    struct socket_file file;

    (void)state;
    assert_true(socket_listen(&file, "/dev/null/c.sock", &why) < 0);
}

static void closing_leaves_the_file_of_a_successor(void **state)
{
    struct socket_file file, successor;
    char aside[128];

    (void)state;
    assert_int_equal(socket_listen(&file, path, &why), 0);
    snprintf(aside, sizeof(aside), "%s/aside", folder);
    assert_int_equal(rename(path, aside), 0);
    assert_int_equal(socket_listen(&successor, path, &why), 0);
    socket_close(&file);
    assert_int_equal(access(path, F_OK), 0);
    socket_close(&successor);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(unlink(aside), 0);
}

static void nobody_there_is_said_clearly(void **state)
{
    char expected[256];
    int fd;

    (void)state;
    assert_int_equal(socket_connect(&fd, path, &why), CONDITION_UNAVAILABLE);
    snprintf(expected, sizeof(expected), "nobody listens on %s", path);
    assert_string_equal(why.text, expected);
}

struct racer {
    pthread_t thread;
    pthread_barrier_t *start;
    struct socket_file file;
    int result;
};

static void *race(void *context)
{
    struct racer *racer = context;

    pthread_barrier_wait(racer->start);
    racer->result = socket_listen(&racer->file, path, NULL);
    return NULL;
}

/* Two daemons that start together over what a third left behind: one gets it, and is reached. */
static void of_two_that_race_exactly_one_gets_the_place(void **state)
{
    (void)state;
    for (int round = 0; round < 300; round++) {
        pthread_barrier_t start;
        struct racer racers[2];
        int winners = 0;

        pthread_barrier_init(&start, NULL, 2);
        if (round % 2)
            leave_stale();
        for (int i = 0; i < 2; i++) {
            racers[i].start = &start;
            assert_int_equal(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
        }
        for (int i = 0; i < 2; i++)
            pthread_join(racers[i].thread, NULL);
        pthread_barrier_destroy(&start);
        for (int i = 0; i < 2; i++) {
            int fd, accepted;

            if (racers[i].result) {
                assert_int_equal(racers[i].result, CONDITION_UNAVAILABLE);
                continue;
            }
            winners++;
            /* drop the probes of the other */
            while ((accepted = accept4(racers[i].file.listener, NULL, NULL, SOCK_CLOEXEC)) >= 0)
                close(accepted);
            assert_int_equal(socket_connect(&fd, path, &why), 0);
            accepted = accept4(racers[i].file.listener, NULL, NULL, SOCK_CLOEXEC);
            assert_true(accepted >= 0);
            close(accepted);
            close(fd);
            socket_close(&racers[i].file);
        }
        assert_int_equal(winners, 1);
    }
}

int main(void)
{
#define in_folder(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        in_folder(the_socket_is_for_its_owner_alone_whatever_the_umask),
        in_folder(missing_folders_are_made_for_passing_only),
        in_folder(a_folder_that_is_there_keeps_its_mode),
        in_folder(a_stale_socket_is_replaced),
        in_folder(a_live_socket_is_refused_and_lives_on),
        in_folder(what_is_no_socket_is_left_alone),
        in_folder(a_path_that_cannot_be_a_socket_is_refused),
        in_folder(a_file_in_place_of_the_folder_is_a_failure),
        in_folder(closing_leaves_the_file_of_a_successor),
        in_folder(nobody_there_is_said_clearly),
        in_folder(of_two_that_race_exactly_one_gets_the_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
