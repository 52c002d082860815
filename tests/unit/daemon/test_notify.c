/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/notify.h"

#include "unit/cmocka_setup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A bound datagram socket; NAME as NOTIFY_SOCKET gives it. */
static int manager(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    memcpy(address.sun_path, name, strlen(name));
    if (name[0] == '@')
        address.sun_path[0] = '\0';
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))),
                     0);
    return fd;
}

static void check_delivery(const char *name)
{
    struct reason why = {0};
    char got[32] = {0};
    int fd = manager(name);

    setenv("NOTIFY_SOCKET", name, 1);
    if (notify_send("READY=1", &why))
        fail_msg("%s", why.text);
    assert_int_equal(recv(fd, got, sizeof(got), MSG_DONTWAIT), 7);
    assert_string_equal(got, "READY=1");
    close(fd);
}

static void tells_a_socket_with_a_path(void **state)
{
    char name[64];

    (void)state;
    snprintf(name, sizeof(name), "/tmp/cowsnap-notify-%ld", (long)getpid());
    unlink(name);
    check_delivery(name);
    unlink(name);
}

static void tells_an_abstract_socket(void **state)
{
    char name[64];

    (void)state;
    snprintf(name, sizeof(name), "@cowsnap-notify-%ld", (long)getpid());
    check_delivery(name);
}

static void without_a_manager_there_is_nothing_to_do(void **state)
{
    struct reason why = {0};

    (void)state;
    unsetenv("NOTIFY_SOCKET");
    assert_int_equal(notify_send("READY=1", &why), 0);
    setenv("NOTIFY_SOCKET", "", 1);
    assert_int_equal(notify_send("READY=1", &why), 0);
}

static void a_manager_that_is_gone_is_a_failure(void **state)
{
    struct reason why = {0};

    (void)state;
    setenv("NOTIFY_SOCKET", "/nonexistent/notify", 1);
    assert_int_equal(notify_send("READY=1", &why), -ENOENT);
}

static void other_kinds_of_socket_are_refused(void **state)
{
    struct reason why = {0};
    char name[200];

    (void)state;
    setenv("NOTIFY_SOCKET", "vsock:2:1234", 1);
    assert_int_equal(notify_send("READY=1", &why), CONDITION_UNIMPLEMENTED);
    assert_string_equal(why.text, "NOTIFY_SOCKET is \"vsock:2:1234\", which is no unix socket; the "
                                  "service manager is not told READY=1");
    memset(name, 'a', sizeof(name) - 1);
    name[0] = '/';
    name[sizeof(name) - 1] = '\0';
    setenv("NOTIFY_SOCKET", name, 1);
    assert_int_equal(notify_send("READY=1", &why), CONDITION_UNIMPLEMENTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_a_socket_with_a_path),
        cmocka_unit_test(tells_an_abstract_socket),
        cmocka_unit_test(without_a_manager_there_is_nothing_to_do),
        cmocka_unit_test(a_manager_that_is_gone_is_a_failure),
        cmocka_unit_test(other_kinds_of_socket_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
