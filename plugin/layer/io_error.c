/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/io_error.h"

#include "base/bytes.h"

#include <errno.h>

int io_error(struct reason *why, int error, const char *what, const char *name)
{
    switch (error) {
    case ENOSPC:
        return refuse(why, CONDITION_EXHAUSTED,
                      "cannot %s %s: the pool has no space or no inodes left; remove snapshots or "
                      "enlarge it",
                      what, quoted(bytes_of(name)));
    case EDQUOT:
        return refuse(why, CONDITION_EXHAUSTED,
                      "cannot %s %s: the quota is used up; remove snapshots or raise it", what,
                      quoted(bytes_of(name)));
    case EROFS:
        return refuse(
            why, CONDITION_UNAVAILABLE,
            "cannot %s %s: the file system serves reads only; the kernel's log says since "
            "when and why",
            what, quoted(bytes_of(name)));
    case EIO:
        return refuse(
            why, CONDITION_UNAVAILABLE,
            "cannot %s %s: the disk below the file system cannot be read or written; the kernel's "
            "log says which and why",
            what, quoted(bytes_of(name)));
    case EMLINK:
        return refuse(
            why, CONDITION_INVALID,
            "cannot %s %s: the file has as many names as the file system takes; the layer "
            "must be built anew",
            what, quoted(bytes_of(name)));
    case EFBIG:
        return refuse(why, CONDITION_INVALID,
                      "cannot %s %s: it is larger than the file system takes; the layer must be "
                      "built anew",
                      what, quoted(bytes_of(name)));
    case ENAMETOOLONG:
        return refuse(why, CONDITION_INVALID,
                      "cannot %s %s: the name is longer than the file system takes (255 bytes, "
                      "4095 with its folders); the layer must be built anew",
                      what, quoted(bytes_of(name)));
    case ENOENT:
        return failure(why, error,
                       "cannot %s %s: its folder vanished; was the snapshot removed while the "
                       "layer was unpacked?",
                       what, quoted(bytes_of(name)));
    default:
        return failure(why, error, "cannot %s %s", what, quoted(bytes_of(name)));
    }
}
