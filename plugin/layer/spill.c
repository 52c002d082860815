/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/spill.h"

#include "layer/io_error.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

static const char spill_what[] = "temporary file of a large layer";

int spill_open(int folder, int *fd, struct reason *why)
{
    uint64_t random;
    char name[48];

    *fd = openat(folder, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (*fd >= 0)
        return 0;
    if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
        return io_error(why, errno, "make the", spill_what);
    if (getrandom(&random, sizeof(random), 0) != sizeof(random))
        return failure(why, errno, "cannot get random bytes");
    snprintf(name, sizeof(name), ".cowsnap-spill-%016" PRIx64, random);
    *fd = openat(folder, name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
    if (*fd < 0)
        return io_error(why, errno, "make the", spill_what);
    if (unlinkat(folder, name, 0) < 0) {
        int error = errno;

        close(*fd);
        *fd = -1;
        return io_error(why, error, "remove the name of the", spill_what);
    }
    return 0;
}

int spill_write(int fd, const void *data, size_t length, uint64_t offset, struct reason *why)
{
    const uint8_t *at = data;

    while (length > 0) {
        ssize_t done = pwrite(fd, at, length, (off_t)offset);

        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return io_error(why, done < 0 ? errno : EIO, "write the", spill_what);
        at += done;
        offset += (uint64_t)done;
        length -= (size_t)done;
    }
    return 0;
}

int spill_read(int fd, void *data, size_t length, uint64_t offset, struct reason *why)
{
    uint8_t *at = data;

    while (length > 0) {
        ssize_t done = pread(fd, at, length, (off_t)offset);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return io_error(why, errno, "read the", spill_what);
        if (done == 0) {
            memset(at, 0, length);
            return 0;
        }
        at += done;
        offset += (uint64_t)done;
        length -= (size_t)done;
    }
    return 0;
}

int spill_list_init(struct spill_list *list, int folder, size_t limit, struct reason *why)
{
    *list = (struct spill_list){.folder = folder, .fd = -1, .limit = limit};
    list->buffer = malloc(limit);
    if (!list->buffer)
        return failure(why, ENOMEM, "cannot keep a list of %zu bytes", limit);
    return 0;
}

void spill_list_deinit(struct spill_list *list)
{
    if (list->fd >= 0)
        close(list->fd);
    free(list->buffer);
    list->buffer = NULL;
    list->fd = -1;
}

/* Moves the buffer to the end of the file. */
static int spill_list_flush(struct spill_list *list, struct reason *why)
{
    int result = 0;

    if (list->fd < 0)
        result = spill_open(list->folder, &list->fd, why);
    if (!result)
        result = spill_write(list->fd, list->buffer, list->used, list->written, why);
    if (result)
        return result;
    list->written += list->used;
    list->used = 0;
    return 0;
}

int spill_list_append(struct spill_list *list, const void *data, size_t length, struct reason *why)
{
    if (length > list->limit - list->used) {
        int result = spill_list_flush(list, why);

        if (result)
            return result;
    }
    memcpy(list->buffer + list->used, data, length);
    list->used += length;
    return 0;
}

int spill_list_take(struct spill_list *list, void *data, size_t length, size_t *got,
                    struct reason *why)
{
    uint8_t *to = data;
    int result = 0;

    *got = 0;
    if (list->fd >= 0 && list->read == 0 && list->used > 0)
        result = spill_list_flush(list, why);
    while (!result && *got < length) {
        size_t piece = list->used - list->at;

        if (piece == 0) {
            if (list->read == list->written)
                break;
            piece =
                list->written - list->read < list->limit ? list->written - list->read : list->limit;
            result = spill_read(list->fd, list->buffer, piece, list->read, why);
            list->read += piece;
            list->used = piece;
            list->at = 0;
            continue;
        }
        if (piece > length - *got)
            piece = length - *got;
        memcpy(to + *got, list->buffer + list->at, piece);
        list->at += piece;
        *got += piece;
    }
    return result;
}
