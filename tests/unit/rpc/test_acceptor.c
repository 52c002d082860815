/* SPDX-License-Identifier: Apache-2.0 */
/* The acceptor on a real socket. What it hands to gRPC is kept here instead, and calls of the
 * system fail when a test says so: see the linker's --wrap in CMakeLists.txt. */
#include "rpc/acceptor.h"

#include "base/log.h"
#include "rpc/socket.h"
#include "unit/cmocka_setup.h"

#include <errno.h>
#include <fcntl.h>
#include <grpc/grpc.h>
#include <grpc/grpc_posix.h>
#include <grpc/grpc_security.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define TAKEN_MOST 64

/* What a connection is handed to, and what must come along unchanged. */
static grpc_server *const core = (grpc_server *)(void *)&core;

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned count;
    int fds[TAKEN_MOST];
    bool strangers; /* something else was handed over, or waited for, than what should be */
    /* what fails */
    int accept_error;
    unsigned accept_failures; /* times it shall still fail */
    bool retry_hangs;         /* only the end wakes the wait before the next try */
    int eventfd_error, thread_error;
    uid_t peer; /* who connects */
    int peer_error;
    /* what was done */
    unsigned accepts, retries, retry_ms, credentials;
    atomic_uint running; /* threads */
} world = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static char folder[64], path[96];
static struct socket_file listening = {.listener = -1};
static struct acceptor *acceptor;
static struct reason why;

/* ---- the calls that are wrapped ---- */

void __wrap_grpc_server_add_channel_from_fd(grpc_server *server, int fd,
                                            grpc_server_credentials *credentials);
grpc_server_credentials *__real_grpc_insecure_server_credentials_create(void);
grpc_server_credentials *__wrap_grpc_insecure_server_credentials_create(void);
void __real_grpc_server_credentials_release(grpc_server_credentials *credentials);
void __wrap_grpc_server_credentials_release(grpc_server_credentials *credentials);
int __real_accept4(int fd, struct sockaddr *address, socklen_t *length, int flags);
int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *length, int flags);
int __real_getsockopt(int fd, int level, int name, void *value, socklen_t *length);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *length);
int __real_poll(struct pollfd *fds, nfds_t count, int timeout);
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout);
int __real_eventfd(unsigned value, int flags);
int __wrap_eventfd(unsigned value, int flags);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*body)(void *), void *context);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*body)(void *), void *context);

void __wrap_grpc_server_add_channel_from_fd(grpc_server *server, int fd,
                                            grpc_server_credentials *credentials)
{
    pthread_mutex_lock(&world.lock);
    if (server != core || !credentials || world.count == TAKEN_MOST)
        world.strangers = true;
    else
        world.fds[world.count++] = fd;
    pthread_cond_broadcast(&world.changed);
    pthread_mutex_unlock(&world.lock);
}

grpc_server_credentials *__wrap_grpc_insecure_server_credentials_create(void)
{
    world.credentials++;
    return __real_grpc_insecure_server_credentials_create();
}

void __wrap_grpc_server_credentials_release(grpc_server_credentials *credentials)
{
    world.credentials--;
    __real_grpc_server_credentials_release(credentials);
}

int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
    bool fails;

    pthread_mutex_lock(&world.lock);
    world.accepts++;
    fails = world.accept_failures > 0;
    if (fails)
        world.accept_failures--;
    pthread_mutex_unlock(&world.lock);
    if (!fails)
        return __real_accept4(fd, address, length, flags);
    errno = world.accept_error;
    return -1;
}

int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *length)
{
    struct ucred *peer = value;

    if (level != SOL_SOCKET || name != SO_PEERCRED || *length != sizeof(*peer))
        return __real_getsockopt(fd, level, name, value, length);
    pthread_mutex_lock(&world.lock);
    int error = world.peer_error;
    *peer = (struct ucred){.pid = 12, .uid = world.peer};
    pthread_mutex_unlock(&world.lock);
    errno = error;
    return error ? -1 : 0;
}

/* The wait before another try looks at one descriptor; here no time passes in it. */
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout)
{
    if (count != 1)
        return __real_poll(fds, count, timeout);
    pthread_mutex_lock(&world.lock);
    world.retries++;
    world.retry_ms = (unsigned)timeout;
    world.strangers |= fds->fd == listening.listener; /* the connection there would wake it */
    pthread_cond_broadcast(&world.changed);
    pthread_mutex_unlock(&world.lock);
    return __real_poll(fds, count, world.retry_hangs ? -1 : 0);
}

int __wrap_eventfd(unsigned value, int flags)
{
    if (!world.eventfd_error)
        return __real_eventfd(value, flags);
    errno = world.eventfd_error;
    return -1;
}

struct body {
    void *(*run)(void *);
    void *context;
};

static void *run_counted(void *context)
{
    struct body body = *(struct body *)context;
    void *result;

    free(context);
    result = body.run(body.context);
    atomic_fetch_sub(&world.running, 1);
    return result;
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *context)
{
    struct body *body;

    if (world.thread_error)
        return world.thread_error;
    body = malloc(sizeof(*body));
    assert_non_null(body);
    *body = (struct body){run, context};
    atomic_fetch_add(&world.running, 1);
    return __real_pthread_create(thread, attributes, run_counted, body);
}

/* ---- the rig ---- */

static int setup(void **state)
{
    (void)state;
    world.count = world.accepts = world.retries = world.retry_ms = world.accept_failures = 0;
    world.accept_error = world.eventfd_error = world.thread_error = 0;
    world.strangers = world.retry_hangs = false;
    world.peer = geteuid();
    world.peer_error = 0;
    why = (struct reason){0};
    snprintf(folder, sizeof(folder), "/tmp/cowsnap-acceptor-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof(path), "%s/c.sock", folder);
    return socket_listen(&listening, path, &why);
}

static int teardown(void **state)
{
    (void)state;
    acceptor = acceptor_close(acceptor);
    for (unsigned i = 0; i < world.count; i++)
        close(world.fds[i]);
    socket_close(&listening);
    if (rmdir(folder))
        return -1; /* something was left behind */
    return world.strangers || world.credentials ? -1 : 0;
}

static void begin(void)
{
    if (acceptor_open(&acceptor, listening.listener, core, &why))
        fail_msg("%s", why.text);
}

static int connect_one(void)
{
    int fd = -1;

    assert_int_equal(socket_connect(&fd, path, &why), 0);
    return fd;
}

static void await(const unsigned *counter, unsigned count)
{
    pthread_mutex_lock(&world.lock);
    while (*counter < count)
        pthread_cond_wait(&world.changed, &world.lock);
    pthread_mutex_unlock(&world.lock);
}

/* ---- tests ---- */

static void each_connection_is_handed_over_once(void **state)
{
    int clients[16];

    (void)state;
    begin();
    for (unsigned i = 0; i < 16; i++) {
        char byte = (char)('a' + i), got = 0;
        struct pollfd arrives = {.events = POLLIN};

        clients[i] = connect_one();
        await(&world.count, i + 1);
        assert_int_equal(write(clients[i], &byte, 1), 1);
        arrives.fd = world.fds[i];
        assert_int_equal(__real_poll(&arrives, 1, -1), 1);
        assert_int_equal(read(world.fds[i], &got, 1), 1);
        assert_int_equal(got, byte);
    }
    acceptor = acceptor_close(acceptor);
    assert_int_equal(world.count, 16);
    for (unsigned i = 0; i < 16; i++)
        close(clients[i]);
}

static void a_connection_neither_blocks_nor_is_inherited(void **state)
{
    int client;

    (void)state;
    begin();
    client = connect_one();
    await(&world.count, 1);
    assert_true(fcntl(world.fds[0], F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(world.fds[0], F_GETFD) & FD_CLOEXEC);
    close(client);
}

static void *connect_some(void *context)
{
    (void)context;
    for (int i = 0; i < 8; i++) {
        int fd = -1;

        if (socket_connect(&fd, path, NULL))
            return path;
        close(fd);
    }
    return NULL;
}

static void many_may_connect_at_once(void **state)
{
    pthread_t threads[4];

    (void)state;
    begin();
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, connect_some, NULL), 0);
    for (int i = 0; i < 4; i++) {
        void *failed;

        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    await(&world.count, 32);
    acceptor = acceptor_close(acceptor);
    assert_int_equal(world.count, 32);
}

static void none_is_handed_over_after_the_end(void **state)
{
    struct pollfd waits;
    int client;

    (void)state;
    begin();
    acceptor = acceptor_close(acceptor);
    assert_null(acceptor);
    assert_int_equal(world.running, 0);
    client = connect_one(); /* the socket is not the acceptor's, and still listens */
    waits = (struct pollfd){.fd = listening.listener, .events = POLLIN};
    assert_int_equal(__real_poll(&waits, 1, -1), 1);
    assert_int_equal(world.count, 0);
    assert_int_equal(world.accepts, 0);
    close(client);
}

static void no_acceptor_can_be_closed(void **state)
{
    (void)state;
    assert_null(acceptor_close(NULL));
}

/* Standard error from here on until hear() goes to a file. */
static int listen_to_log(int *before)
{
    int output = memfd_create("log", MFD_CLOEXEC);

    *before = dup(STDERR_FILENO);
    assert_true(dup2(output, STDERR_FILENO) >= 0);
    return output;
}

static void hear(int output, int before, char *text, size_t room)
{
    ssize_t length = pread(output, text, room - 1, 0);

    assert_true(length >= 0);
    text[length] = '\0';
    assert_true(dup2(before, STDERR_FILENO) >= 0);
    close(before);
    close(output);
}

/* Nobody but root and ourselves; the connection is closed, and the log says whose it was. */
static void a_connection_of_another_user_is_refused(void **state)
{
    char text[1024], byte;
    int before, output, client;

    (void)state;
    world.peer = geteuid() + 1;
    output = listen_to_log(&before);
    begin();
    client = connect_one();
    assert_int_equal(read(client, &byte, 1), 0);
    close(client);
    pthread_mutex_lock(&world.lock);
    world.peer_error = EPERM;
    pthread_mutex_unlock(&world.lock);
    client = connect_one();
    assert_int_equal(read(client, &byte, 1), 0);
    close(client);
    acceptor = acceptor_close(acceptor);
    hear(output, before, text, sizeof(text));
    assert_int_equal(world.count, 0);
    assert_non_null(strstr(text, "process 12, was refused: the socket is for root alone"));
    assert_non_null(strstr(text, "cannot be told"));
}

static void when_the_machine_is_out_of_something_it_waits_says_so_and_goes_on(void **state)
{
    char text[2048];
    int output, before, client;

    (void)state;
    world.accept_error = EMFILE;
    world.accept_failures = 3;
    output = listen_to_log(&before);
    begin();
    client = connect_one();
    await(&world.count, 1);
    acceptor = acceptor_close(acceptor);
    hear(output, before, text, sizeof(text));
    assert_non_null(strstr(text, "rpc: cannot take a connection: Too many open files"));
    assert_int_equal(world.retries, 3);
    assert_int_equal(world.retry_ms, 200);
    assert_int_equal(world.accepts, 4);
    close(client);
}

static void the_end_does_not_wait_for_another_try(void **state)
{
    int output, before, client;
    char text[2048];

    (void)state;
    world.accept_error = ENFILE;
    world.accept_failures = 1000;
    world.retry_hangs = true;
    output = listen_to_log(&before);
    begin();
    client = connect_one();
    await(&world.retries, 1);
    acceptor = acceptor_close(acceptor); /* hangs when the end is not looked for */
    hear(output, before, text, sizeof(text));
    assert_int_equal(world.count, 0);
    assert_int_equal(world.accepts, 1);
    close(client);
}

static void a_connection_that_has_gone_again_is_nothing_to_speak_of(void **state)
{
    static const int errors[] = {EAGAIN, EINTR, ECONNABORTED};
    int output, before, client;
    char text[2048];

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        world.accept_error = errors[i];
        world.accept_failures = 2;
        output = listen_to_log(&before);
        begin();
        client = connect_one();
        await(&world.count, i + 1);
        acceptor = acceptor_close(acceptor);
        hear(output, before, text, sizeof(text));
        assert_string_equal(text, "");
        assert_int_equal(world.retries, 0);
        close(client);
    }
}

static void a_start_that_fails_leaves_nothing(void **state)
{
    struct acceptor *none = NULL;
    int next, after;

    (void)state;
    next = dup(STDIN_FILENO); /* the lowest number that is free */
    close(next);
    world.thread_error = EAGAIN;
    assert_int_equal(acceptor_open(&none, listening.listener, core, &why), -EAGAIN);
    assert_string_equal(
        why.text, "start the thread that takes connections: Resource temporarily unavailable");
    world.thread_error = 0;
    world.eventfd_error = EMFILE;
    assert_int_equal(acceptor_open(&none, listening.listener, core, &why), -EMFILE);
    assert_string_equal(why.text, "start the thread that takes connections: Too many open files");
    assert_null(none);
    assert_int_equal(world.credentials, 0);
    after = dup(STDIN_FILENO);
    close(after);
    assert_int_equal(after, next);
    assert_true(fcntl(listening.listener, F_GETFD) >= 0); /* it was only borrowed */
}

static int start_grpc(void **state)
{
    (void)state;
    log_setup(LOG_LEVEL_WARN, LOG_FORMAT_TEXT);
    grpc_init();
    return 0;
}

static int stop_grpc(void **state)
{
    (void)state;
    grpc_shutdown();
    return 0;
}

int main(void)
{
#define on_socket(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        on_socket(each_connection_is_handed_over_once),
        on_socket(a_connection_neither_blocks_nor_is_inherited),
        on_socket(many_may_connect_at_once),
        on_socket(none_is_handed_over_after_the_end),
        on_socket(no_acceptor_can_be_closed),
        on_socket(a_connection_of_another_user_is_refused),
        on_socket(when_the_machine_is_out_of_something_it_waits_says_so_and_goes_on),
        on_socket(the_end_does_not_wait_for_another_try),
        on_socket(a_connection_that_has_gone_again_is_nothing_to_speak_of),
        on_socket(a_start_that_fails_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, start_grpc, stop_grpc);
}
