/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/notify.h"

#include "base/bytes.h"
#include "base/scoped.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

int notify_send(const char *state, struct reason *why)
{
    const char *name = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct bytes path = bytes_of(name);
    scoped_fd int fd = -1;

    if (path.length == 0)
        return 0;
    if ((name[0] != '/' && name[0] != '@') || path.length >= sizeof(address.sun_path))
        return refuse(why, CONDITION_UNIMPLEMENTED,
                      "NOTIFY_SOCKET is %s, which is no unix socket; the service manager is not "
                      "told %s",
                      quoted(path), state);
    memcpy(address.sun_path, name, path.length);
    if (name[0] == '@') /* an abstract name: its bytes after a NUL, and no NUL at the end */
        address.sun_path[0] = '\0';
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return failure(why, errno, "telling the service manager %s", state);
    if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&address,
               (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.length)) < 0)
        return failure(why, errno, "telling the service manager %s at %s", state, quoted(path));
    return 0;
}
