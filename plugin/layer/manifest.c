/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/manifest.h"

#include "layer/content_sum.h"
#include "layer/path.h"
#include "layer/spill.h"
#include "layer/tar_header.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MANIFEST_BUFFER (64u * 1024)

struct manifest {
    int fd;
    int error; /* of the first write that failed */
    struct reason why;
    uint64_t offset, count, sum; /* written; records; of all before the buffer */
    uint64_t excess;             /* see MANIFEST_EXCESS */
    size_t used;
    uint8_t buffer[MANIFEST_BUFFER];
};

_Static_assert(sizeof(struct manifest_record) + 2 * PATH_ROOM < MANIFEST_BUFFER, "one record fits");
_Static_assert(sizeof(struct manifest_record) == 48, "no holes, whose bytes would be anything");

/* It lies in the daemon's root, not in the pool. */
static int manifest_write(struct manifest *manifest)
{
    int result =
        spill_write(manifest->fd, manifest->buffer, manifest->used, manifest->offset, NULL);

    if (result == CONDITION_EXHAUSTED)
        return refuse(&manifest->why, CONDITION_EXHAUSTED,
                      "the file system that holds the folder manifests is full; free some space "
                      "there");
    return result < 0 ? failure(&manifest->why, -result, "note what a layer wrote") : result;
}

/* Gives its room back, too. */
static void manifest_flush(struct manifest *manifest)
{
    if (!manifest->error &&
        (manifest->offset + manifest->used > MANIFEST_MOST || manifest->excess > MANIFEST_EXCESS))
        manifest->error = refuse(&manifest->why, CONDITION_EXHAUSTED,
                                 "its names take more than %" PRIu64 " MiB, or %" PRIu64
                                 " MiB more than the layer spends on them",
                                 MANIFEST_MOST >> 20, MANIFEST_EXCESS >> 20);
    else if (!manifest->error)
        manifest->error = manifest_write(manifest);
    if (manifest->error && manifest->offset > 0 && ftruncate(manifest->fd, 0) == 0)
        manifest->offset = 0;
    manifest->sum = content_sum_add(manifest->sum, manifest->buffer, manifest->used);
    manifest->offset += manifest->used;
    manifest->used = 0;
}

static void manifest_append(struct manifest *manifest, const void *data, size_t length)
{
    if (length > 0)
        memcpy(manifest->buffer + manifest->used, data, length);
    manifest->used += length;
}

/* NAMES are the bytes of the names in the entry that it is of; 0 for none. */
static void manifest_add(struct manifest *manifest, struct manifest_record *record,
                         const char *folder, const char *base, const char *link, size_t names)
{
    size_t before = strlen(folder), length = strlen(base), target = strlen(link);
    bool slash = before > 0 && length > 0;
    size_t size = sizeof(*record) + before + slash + length + target;
    size_t right = TAR_BLOCK + 4 * names;

    record->name_length = (uint16_t)(before + slash + length);
    record->link_length = (uint16_t)target;
    if (before + slash + length >= PATH_ROOM || target >= PATH_ROOM)
        return;
    manifest->excess += size > right ? size - right : 0;
    if (manifest->used + size > MANIFEST_BUFFER)
        manifest_flush(manifest);
    manifest_append(manifest, record, sizeof(*record));
    manifest_append(manifest, folder, before);
    manifest_append(manifest, "/", slash);
    manifest_append(manifest, base, length);
    manifest_append(manifest, link, target);
    manifest->count++;
}

int manifest_begin(struct manifest **manifest, int fd, struct reason *why)
{
    struct manifest *made = calloc(1, sizeof(*made));

    if (!made) {
        close(fd);
        return failure(why, ENOMEM, "note what a layer writes");
    }
    made->fd = fd;
    made->sum = CONTENT_SUM_EMPTY;
    manifest_append(made, MANIFEST_MARK, sizeof(MANIFEST_MARK) - 1);
    *manifest = made;
    return 0;
}

void manifest_put(struct manifest *manifest, const char *folder, const char *base,
                  const struct entry *entry, bool made, const char *link, uint64_t sum)
{
    struct manifest_record record = {
        .what = MANIFEST_PUT,
        .type = (uint8_t)entry->type,
        .made = made,
        .mode = entry->mode & 07777,
        .uid = entry->uid,
        .gid = entry->gid,
        .device_major = entry->device_major,
        .device_minor = entry->device_minor,
        .size = entry->size,
        .sum = sum,
    };

    if (manifest)
        manifest_add(manifest, &record, folder, base, link,
                     strlen(entry->name) + strlen(entry->link));
}

void manifest_imply(struct manifest *manifest, const char *folder, const char *base)
{
    struct manifest_record record = {
        .what = MANIFEST_PUT, .type = ENTRY_DIRECTORY, .made = 1, .mode = MANIFEST_ANY_MODE};

    if (manifest)
        manifest_add(manifest, &record, folder, base, "", 0);
}

void manifest_gone(struct manifest *manifest, const char *folder, const char *base)
{
    struct manifest_record record = {.what = MANIFEST_GONE};

    if (manifest)
        manifest_add(manifest, &record, folder, base, "", 0);
}

int manifest_end(struct manifest *manifest, bool whole, struct reason *why)
{
    struct manifest_record end = {.what = MANIFEST_END};
    int result = 0;

    if (!manifest)
        return 0;
    if (whole) {
        manifest_flush(manifest);
        end.size = manifest->count;
        end.sum = manifest->sum;
        manifest_append(manifest, &end, sizeof(end));
        manifest_flush(manifest);
        result = manifest->error;
        if (result && why)
            *why = manifest->why;
    }
    if ((!whole || result) && ftruncate(manifest->fd, 0) < 0 && !result)
        result = failure(why, errno, "empty the note of what a layer wrote");
    close(manifest->fd);
    free(manifest);
    return result;
}
