/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/acceptor.h"

#include "base/log.h"
#include "base/owner.h"

#include <errno.h>
#include <grpc/grpc_posix.h>
#include <grpc/grpc_security.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define RETRY_MS 200

struct acceptor {
    int listener;
    grpc_server *core;
    grpc_server_credentials *credentials;
    int stop; /* eventfd: wakes the thread for its end */
    pthread_t thread;
};

/* The socket's mode lets nobody else in, but a descriptor can be passed on, and a mode changed. */
static bool is_trusted(int fd)
{
    struct ucred peer;
    socklen_t length = sizeof(peer);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0) {
        log_warn("rpc: a connection was refused: who is at its other end cannot be told: %s",
                 strerrordesc_np(errno));
        return false;
    }
    if (owner_is_trusted(peer.uid))
        return true;
    log_warn("rpc: a connection of user %u, process %d, was refused: the socket is for root alone",
             peer.uid, peer.pid);
    return false;
}

/* Takes one connection. False when it should wait a little: the machine is out of something. */
static bool accept_one(struct acceptor *acceptor)
{
    int fd = accept4(acceptor->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd >= 0 && !is_trusted(fd)) {
        close(fd);
        return true;
    }
    if (fd >= 0) {
        grpc_server_add_channel_from_fd(acceptor->core, fd, acceptor->credentials);
        return true;
    }
    if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
        return true;
    log_warn("rpc: cannot take a connection: %s", strerrordesc_np(errno));
    return false;
}

static void *acceptor_main(void *context)
{
    struct acceptor *acceptor = context;
    struct pollfd waits[] = {
        {.fd = acceptor->stop, .events = POLLIN},
        {.fd = acceptor->listener, .events = POLLIN},
    };

    pthread_setname_np(pthread_self(), "cowsnap-accept");
    for (;;) {
        if (poll(waits, 2, -1) < 0)
            continue;
        if (waits[0].revents)
            return NULL;
        /* the connection still waits, so poll() would return at once: look for the end alone */
        if (waits[1].revents && !accept_one(acceptor))
            poll(waits, 1, RETRY_MS);
    }
}

/* Frees; of a thread there is none. */
static void discard(struct acceptor *acceptor)
{
    if (acceptor->stop >= 0)
        close(acceptor->stop);
    grpc_server_credentials_release(acceptor->credentials);
    free(acceptor);
}

int acceptor_open(struct acceptor **opened, int listener, grpc_server *core, struct reason *why)
{
    struct acceptor *acceptor = calloc(1, sizeof(*acceptor));
    int error = 0;

    if (!acceptor)
        return failure(why, ENOMEM, "start the thread that takes connections");
    acceptor->listener = listener;
    acceptor->core = core;
    acceptor->credentials = grpc_insecure_server_credentials_create();
    acceptor->stop = eventfd(0, EFD_CLOEXEC);
    if (acceptor->stop < 0)
        error = errno;
    if (error == 0)
        error = pthread_create(&acceptor->thread, NULL, acceptor_main, acceptor);
    if (error) {
        discard(acceptor);
        return failure(why, error, "start the thread that takes connections");
    }
    *opened = acceptor;
    return 0;
}

struct acceptor *acceptor_close(struct acceptor *acceptor)
{
    const uint64_t one = 1;

    if (!acceptor)
        return NULL;
    while (write(acceptor->stop, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
    pthread_join(acceptor->thread, NULL);
    discard(acceptor);
    return NULL;
}
