/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/io_engine.h"

#include "layer/io_error.h"
#include "layer/metadata.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* Files by plain system calls, each done when its function returns. */

struct io_engine_handle {
    const struct io_file *file; /* begun and not ended */
    int fd;                     /* -1 between files */
    uint64_t end;               /* of what was written */
};

static int io_plain_probe(struct reason *why)
{
    (void)why;
    return 0;
}

static int io_plain_open(struct io_engine_handle **handle, struct reason *why)
{
    struct io_engine_handle *made = calloc(1, sizeof(*made));

    if (!made)
        return failure(why, ENOMEM, "cannot start writing files");
    made->fd = -1;
    *handle = made;
    return 0;
}

static void io_plain_close(struct io_engine_handle *handle)
{
    if (handle->fd >= 0)
        close(handle->fd);
    free(handle);
}

static int io_plain_begin(struct io_engine_handle *handle, const struct io_file *file,
                          struct reason *why)
{
    handle->fd = openat(file->directory, file->name,
                        O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, io_file_mode(file));
    if (handle->fd < 0)
        return io_error(why, errno, "make the file", file->name);
    handle->file = file;
    handle->end = 0;
    return 0;
}

static int io_plain_write(struct io_engine_handle *handle, struct chunk *chunk, const uint8_t *data,
                          size_t length, uint64_t offset, struct reason *why)
{
    (void)chunk; /* done before this returns */
    while (length > 0) {
        ssize_t done = pwrite(handle->fd, data, length, (off_t)offset);

        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return io_error(why, done < 0 ? errno : EIO, "write the file", handle->file->name);
        data += done;
        offset += (uint64_t)done;
        length -= (size_t)done;
    }
    if (offset > handle->end)
        handle->end = offset;
    return 0;
}

static int io_plain_end(struct io_engine_handle *handle, struct reason *why)
{
    const struct io_file *file = handle->file;
    int fd = handle->fd;
    int result;

    if (handle->end < file->size && ftruncate(fd, (off_t)file->size) < 0)
        return io_error(why, errno, "set the size of", file->name);
    result = metadata_put(fd, file->name, &file->metadata, why);
    if (result)
        return result;
    /* The outcome is of no interest: it is the sync at the end that counts. */
    if (file->early)
        (void)sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
    handle->fd = -1;
    handle->file = NULL;
    if (close(fd) < 0 && errno != EINTR)
        return io_error(why, errno, "close the file", file->name);
    return 0;
}

static int io_plain_drain(struct io_engine_handle *handle, struct reason *why)
{
    (void)handle;
    (void)why;
    return 0;
}

const struct io_engine io_engine_plain = {
    .name = "plain",
    .probe = io_plain_probe,
    .open = io_plain_open,
    .close = io_plain_close,
    .begin = io_plain_begin,
    .write = io_plain_write,
    .end = io_plain_end,
    .drain = io_plain_drain,
};
