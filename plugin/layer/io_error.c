/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/io_error.h"

#include "base/bytes.h"

#include <errno.h>
#include <stddef.h>

/* What is no failure of ours, and what there is to do. */
static const struct {
    int error;
    enum condition condition;
    const char *sentence;
} conditions[] = {
    {ENOSPC, CONDITION_EXHAUSTED,
     "the pool has no space or no inodes left; remove snapshots or enlarge it"},
    {EDQUOT, CONDITION_EXHAUSTED, "the quota is used up; remove snapshots or raise it"},
    {EROFS, CONDITION_UNAVAILABLE,
     "the file system serves reads only; the kernel's log says since when and why"},
    {EIO, CONDITION_UNAVAILABLE,
     "the disk below the file system cannot be read or written; the kernel's log says which and "
     "why"},
    {EMLINK, CONDITION_INVALID,
     "the file has as many names as the file system takes; the layer must be built anew"},
    {EFBIG, CONDITION_INVALID,
     "it is larger than the file system takes; the layer must be built anew"},
    {ENAMETOOLONG, CONDITION_INVALID,
     "the name is longer than the file system takes (255 bytes, 4095 with its folders); the layer "
     "must be built anew"},
};

int io_error(struct reason *why, int error, const char *what, const char *name)
{
    for (size_t i = 0; i < sizeof(conditions) / sizeof(conditions[0]); i++)
        if (conditions[i].error == error)
            return refuse(why, conditions[i].condition, "cannot %s %s: %s", what,
                          quoted(bytes_of(name)), conditions[i].sentence);
    if (error == ENOENT)
        return failure(why, error,
                       "cannot %s %s: its folder vanished; was the snapshot removed while the "
                       "layer was unpacked?",
                       what, quoted(bytes_of(name)));
    return failure(why, error, "cannot %s %s", what, quoted(bytes_of(name)));
}
