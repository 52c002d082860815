/* SPDX-License-Identifier: Apache-2.0 */

/* What takes memory inside the libraries that backends call: the call as a whole fails, as it does
 * when the library's own allocation did. */

#include "inject/shim.h"

#include <btrfsutil.h>
#include <errno.h>
#include <spawn.h>
#include <stdlib.h>

SHIM_OF_MEMORY(char *, realpath, NULL, (const char *path, char *resolved), (path, resolved))

SHIM_OF_MEMORY(enum btrfs_util_error, btrfs_util_subvolume_path_fd, BTRFS_UTIL_ERROR_NO_MEMORY,
               (int fd, uint64_t id, char **path), (fd, id, path))
SHIM_OF_MEMORY(enum btrfs_util_error, btrfs_util_deleted_subvolumes_fd, BTRFS_UTIL_ERROR_NO_MEMORY,
               (int fd, uint64_t **ids, size_t *count), (fd, ids, count))

SHIM_OF_MEMORY(int, posix_spawn_file_actions_init, ENOMEM, (posix_spawn_file_actions_t * actions),
               (actions))
SHIM_OF_MEMORY(int, posix_spawnattr_init, ENOMEM, (posix_spawnattr_t * attributes), (attributes))
SHIM_OF_MEMORY(int, posix_spawn_file_actions_addopen, ENOMEM,
               (posix_spawn_file_actions_t * actions, int fd, const char *path, int flags,
                mode_t mode),
               (actions, fd, path, flags, mode))
SHIM_OF_MEMORY(int, posix_spawn_file_actions_adddup2, ENOMEM,
               (posix_spawn_file_actions_t * actions, int fd, int as), (actions, fd, as))
SHIM_OF_MEMORY(int, posix_spawnp, ENOMEM,
               (pid_t * child, const char *file, const posix_spawn_file_actions_t *actions,
                const posix_spawnattr_t *attributes, char *const *arguments,
                char *const *environment),
               (child, file, actions, attributes, arguments, environment))
