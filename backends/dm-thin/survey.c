/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/dm-thin/survey.h"

#include "backends/dm-thin/device.h"
#include "backends/dm-thin/line.h"
#include "base/bytes.h"
#include "base/log.h"
#include "base/scoped.h"
#include "base/step.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>

/* A tree of 2^24 devices with nodes half full is five levels high. */
#define SURVEY_DEPTH 8

struct survey {
    int fd; /* of the metadata device; direct, since the kernel writes it behind the cache */
    const char *metadata;
    uint64_t blocks; /* of the device: the superblock has what they were when the pool was made */
    survey_visit *visit;
    void *context;
    uint8_t *rooms[SURVEY_DEPTH]; /* a block for each level */
};

static void survey_free(struct survey *survey)
{
    for (unsigned i = 0; i < SURVEY_DEPTH; i++)
        free(survey->rooms[i]);
    scoped_close_(&survey->fd);
}

static int survey_damaged(const struct survey *survey, uint64_t block, struct reason *why)
{
    return failure(why, EUCLEAN,
                   "block %" PRIu64 " of the thin pool's metadata %s is damaged: stop everything "
                   "that uses the pool and run thin_check on it",
                   block, survey->metadata);
}

static int survey_read(const struct survey *survey, uint64_t block, uint8_t *room,
                       struct reason *why)
{
    ssize_t got = pread(survey->fd, room, METADATA_BLOCK, (off_t)(block * METADATA_BLOCK));

    if (got == METADATA_BLOCK)
        return 0;
    return failure(why, got < 0 ? errno : EIO, "read block %" PRIu64 " of %s", block,
                   survey->metadata);
}

static int survey_begin(struct survey *survey, const char *metadata, struct reason *why)
{
    *survey = (struct survey){.fd = -1, .metadata = metadata};
    for (unsigned i = 0; i < SURVEY_DEPTH; i++) {
        survey->rooms[i] = aligned_alloc(METADATA_BLOCK, METADATA_BLOCK);
        if (!survey->rooms[i])
            return failure(why, ENOMEM, "read the pool's metadata");
    }
    survey->fd = open(metadata, O_RDONLY | O_DIRECT | O_CLOEXEC);
    if (survey->fd < 0)
        return failure(why, errno, "open the thin pool's metadata device %s",
                       quoted(bytes_of(metadata)));
    off_t end = lseek(survey->fd, 0, SEEK_END);
    if (end < 0)
        return failure(why, errno, "size of the thin pool's metadata device %s",
                       quoted(bytes_of(metadata)));
    survey->blocks = (uint64_t)end / METADATA_BLOCK;
    return 0;
}

/* One node and all below it. The depth is bounded, and a level's node has at most 254 entries, each
 * read once: a tree that bites its own tail ends at the bound. */
static int survey_node(const struct survey *survey, uint64_t block, unsigned depth,
                       struct reason *why)
{
    struct metadata_node node;
    struct metadata_device device;
    int result;

    if (block >= survey->blocks || depth == SURVEY_DEPTH)
        return survey_damaged(survey, block, why);
    result = survey_read(survey, block, survey->rooms[depth], why);
    if (result != 0)
        return result;
    if (!metadata_parse_node(survey->rooms[depth], block, &node))
        return survey_damaged(survey, block, why);
    for (unsigned i = 0; result == 0 && i < node.count; i++) {
        if (!node.leaf)
            result = survey_node(survey, metadata_child(&node, i), depth + 1, why);
        else if (metadata_entry(&node, i, &device))
            result = survey->visit(survey->context, &device, why);
        else
            result = survey_damaged(survey, block, why);
    }
    return result;
}

/* From the superblock at block NUMBER, 0 or a metadata snapshot's. */
static int survey_from(struct survey *survey, uint64_t number, struct reason *why)
{
    struct metadata_superblock superblock;
    int result = survey_read(survey, number, survey->rooms[0], why);

    if (result != 0)
        return result;
    if (!metadata_parse_superblock(survey->rooms[0], number, &superblock))
        return survey_damaged(survey, number, why);
    return survey_node(survey, superblock.details_root, 0, why);
}

int survey_status(const char *pool, struct line_pool_status *status, struct reason *why)
{
    char line[DEVICE_LINE];
    int error = device_status(pool, line, NULL, NULL);

    if (error == -ENXIO)
        return refuse(why, CONDITION_UNAVAILABLE,
                      "the thin pool %s is not active any more: restart cowsnapd", pool);
    if (error != 0)
        return failure(why, -error, "status of the thin pool %s", pool);
    if (!line_parse_pool_status(line, status))
        return failure(why, EPROTO, "the kernel's status of the thin pool %s reads %s", pool,
                       quoted(bytes_of(line)));
    return 0;
}

static int survey_send(const char *pool, pthread_mutex_t *messages, const char *message)
{
    if (messages)
        pthread_mutex_lock(messages);
    int error = device_message(pool, message);
    if (messages)
        pthread_mutex_unlock(messages);
    return error;
}

int survey_hold(const char *pool, pthread_mutex_t *messages)
{
    int error = survey_send(pool, messages, "reserve_metadata_snap");

    if (error == -EBUSY) {
        log_info("thin pool %s: giving back a metadata snapshot that was left", pool);
        survey_send(pool, messages, "release_metadata_snap");
        error = survey_send(pool, messages, "reserve_metadata_snap");
    }
    return error;
}

void survey_let_go(const char *pool, pthread_mutex_t *messages)
{
    int error = survey_send(pool, messages, "release_metadata_snap");

    if (error != 0)
        log_warn("give back the metadata snapshot of the thin pool %s: %s", pool,
                 strerrordesc_np(-error));
}

int survey_pool(const char *pool, const char *metadata, pthread_mutex_t *messages,
                survey_visit *visit, void *context, struct reason *why)
{
    struct line_pool_status status;
    scoped(survey_free) struct survey survey;
    int result = survey_begin(&survey, metadata, why);

    if (result == 0)
        result = survey_status(pool, &status, why);
    if (result != 0)
        return result;
    survey.visit = visit;
    survey.context = context;
    if (status.mode >= LINE_OUT_OF_METADATA)
        return survey_from(&survey, 0, why); /* nothing changes it now */

    int error = survey_hold(pool, messages);
    STEP("dm-thin.metadata-held");
    if (error != 0)
        return failure(why, -error, "keep the metadata of the thin pool %s still", pool);
    result = survey_status(pool, &status, why);
    if (result == 0)
        result = survey_from(&survey, status.held_root, why);
    survey_let_go(pool, messages);
    return result;
}

int survey_look(const char *metadata, struct reason *why)
{
    scoped(survey_free) struct survey survey;
    struct metadata_superblock superblock;
    int result = survey_begin(&survey, metadata, why);

    if (result == 0)
        result = survey_read(&survey, 0, survey.rooms[0], why);
    if (result != 0)
        return result;
    if (metadata_is_blank(survey.rooms[0]))
        return 0;
    if (metadata_parse_superblock(survey.rooms[0], 0, &superblock))
        return 1;
    return refuse(
        why, CONDITION_INVALID,
        "%s holds something that is not the metadata of a thin pool: name another device, "
        "or, if it may be lost, empty its first 4 KiB (dd if=/dev/zero of=… bs=4k "
        "count=1)",
        quoted(bytes_of(metadata)));
}
