/* SPDX-License-Identifier: Apache-2.0 */
#include "inject/shim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/xattr.h>
#include <unistd.h>

/* A call that cannot be short: that fault passes it by. */
static bool fails(void)
{
    if (!shim_strikes(SHIM_FILES) || shim_error() == SHIM_SHORT)
        return false;
    errno = shim_error();
    return true;
}

#define SHIM(type, name, parameters, arguments)                                                    \
    type __real_##name parameters;                                                                 \
    type __wrap_##name parameters;                                                                 \
    type __wrap_##name parameters                                                                  \
    {                                                                                              \
        return fails() ? -1 : __real_##name arguments;                                             \
    }

SHIM(int, fstat64, (int fd, struct stat *status), (fd, status))
SHIM(int, fstatat64, (int at, const char *name, struct stat *status, int flags),
     (at, name, status, flags))
SHIM(int, mkdirat, (int at, const char *name, mode_t mode), (at, name, mode))
SHIM(int, linkat, (int at, const char *name, int to, const char *link, int flags),
     (at, name, to, link, flags))
SHIM(int, symlinkat, (const char *target, int at, const char *name), (target, at, name))
SHIM(int, mknodat, (int at, const char *name, mode_t mode, dev_t device), (at, name, mode, device))
SHIM(int, unlinkat, (int at, const char *name, int flags), (at, name, flags))
SHIM(ssize_t, readlinkat, (int at, const char *name, char *target, size_t room),
     (at, name, target, room))
SHIM(int, fchown, (int fd, uid_t owner, gid_t group), (fd, owner, group))
SHIM(int, fchownat, (int at, const char *name, uid_t owner, gid_t group, int flags),
     (at, name, owner, group, flags))
SHIM(int, fchmod, (int fd, mode_t mode), (fd, mode))
SHIM(int, futimens, (int fd, const struct timespec times[2]), (fd, times))
SHIM(int, utimensat, (int at, const char *name, const struct timespec times[2], int flags),
     (at, name, times, flags))
SHIM(int, fsetxattr, (int fd, const char *key, const void *value, size_t length, int flags),
     (fd, key, value, length, flags))
SHIM(int, lsetxattr,
     (const char *path, const char *key, const void *value, size_t length, int flags),
     (path, key, value, length, flags))
SHIM(int, ftruncate64, (int fd, off_t size), (fd, size))

/* A real flush of this machine's disk would show nothing more, and take long. */
int __wrap_syncfs(int fd);
int __wrap_syncfs(int fd)
{
    (void)fd;
    return fails() ? -1 : 0;
}

/* syscall(2), by which openat2 is called. */
long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
    long words[6];
    va_list arguments;

    va_start(arguments, number);
    for (int i = 0; i < 6; i++)
        words[i] = va_arg(arguments, long);
    va_end(arguments);
    return fails()
               ? -1
               : __real_syscall(number, words[0], words[1], words[2], words[3], words[4], words[5]);
}

int __real_openat64(int at, const char *name, int flags, ...);
int __wrap_openat64(int at, const char *name, int flags, ...);
int __wrap_openat64(int at, const char *name, int flags, ...)
{
    mode_t mode = 0;

    if (flags & (O_CREAT | O_TMPFILE)) {
        va_list arguments;

        va_start(arguments, flags);
        mode = va_arg(arguments, mode_t);
        va_end(arguments);
    }
    return fails() ? -1 : __real_openat64(at, name, flags, mode);
}

/* Those that can be short. */
static size_t moved(size_t length)
{
    return length > 1 ? length / 2 : length;
}

ssize_t __real_pread64(int fd, void *data, size_t length, off_t offset);
ssize_t __wrap_pread64(int fd, void *data, size_t length, off_t offset);
ssize_t __wrap_pread64(int fd, void *data, size_t length, off_t offset)
{
    if (!shim_strikes(SHIM_FILES))
        return __real_pread64(fd, data, length, offset);
    if (shim_error() == SHIM_SHORT)
        return __real_pread64(fd, data, moved(length), offset);
    errno = shim_error();
    return -1;
}

ssize_t __real_pwrite64(int fd, const void *data, size_t length, off_t offset);
ssize_t __wrap_pwrite64(int fd, const void *data, size_t length, off_t offset);
ssize_t __wrap_pwrite64(int fd, const void *data, size_t length, off_t offset)
{
    if (!shim_strikes(SHIM_FILES))
        return __real_pwrite64(fd, data, length, offset);
    if (shim_error() == SHIM_SHORT)
        return __real_pwrite64(fd, data, moved(length), offset);
    errno = shim_error();
    return -1;
}
