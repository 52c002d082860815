/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/io_engine.h"

/*
 * Files by io_uring. Opening with O_CREAT is nothing the kernel does without waiting, so it hands
 * the request to threads of its own; such a thread then does the rest of the chain (write, close)
 * as well. The writer's thread meanwhile queues the next files, and gives owner, attributes, mode
 * and times to those that are closed, by name: there are no requests for that, and no descriptor.
 *
 * A file's state is what is left to do: whether it is open, the pieces that are not written,
 * whether it is to be closed. A chain is made from that, and its one completion tells how far it
 * came; what is left after a short write or an interruption is simply the next chain.
 */

#include "layer/io_error.h"
#include "layer/io_ring.h"
#include "layer/metadata.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define URING_FILES 32u  /* under way at once, each with a slot of the same number */
#define URING_PIECES 8u  /* of a file's data that wait */
#define URING_BATCH 8u   /* files that are handed to the kernel together */
#define URING_ENOUGH 4u  /* pieces that are worth a chain while the file goes on */
#define URING_WORKERS 1u /* of the kernel, for each writer */
#define URING_TRIES 100u /* of one file, when the kernel gives up on it without a reason */

/* What a chain is made of, in this order; each piece is a step. */
enum uring_step {
    URING_OPEN,
    URING_WRITE,
    URING_TRUNCATE = URING_WRITE + URING_PIECES,
    URING_CLOSE,
    URING_STEPS,
};

struct uring_piece {
    struct chunk *chunk; /* with a reference */
    const uint8_t *data;
    size_t length;
    uint64_t offset;
};

struct uring_file {
    struct io_file file; /* its name is NAME; its attributes are lent until end() returns */
    char name[NAME_MAX + 1];
    bool opened, ended, under_way;
    unsigned tries;
    uint64_t end; /* of what was given to be written */
    struct uring_piece pieces[URING_PIECES];
    unsigned piece_count;
    unsigned chained; /* pieces in the chain under way */
    struct uring_file *next_free;
};

struct io_engine_handle {
    struct io_ring ring;
    struct uring_file files[URING_FILES];
    struct uring_file *free;
    struct uring_file *current; /* begun and not ended */
    unsigned queued;            /* files whose chains were not handed over yet */
    int error;                  /* the first; nothing more is begun */
    struct reason why;
};

/* ---- one file ---- */

static void uring_drop_piece(struct uring_file *file)
{
    chunk_unref(file->pieces[0].chunk);
    file->piece_count--;
    memmove(file->pieces, file->pieces + 1, file->piece_count * sizeof(file->pieces[0]));
}

/* Queues what is left of FILE, which is not under way, as a chain. */
static void uring_queue(struct io_engine_handle *handle, struct uring_file *file)
{
    unsigned slot = (unsigned)(file - handle->files);
    uint64_t tag = (uint64_t)slot * URING_STEPS;
    struct io_ring *ring = &handle->ring;

    if (!file->opened)
        io_ring_open(ring, slot, file->file.directory, file->name,
                     O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, io_file_mode(&file->file),
                     tag + URING_OPEN, false);
    for (unsigned i = 0; i < file->piece_count; i++) {
        const struct uring_piece *piece = &file->pieces[i];

        io_ring_write(ring, slot, piece->data, piece->length, piece->offset, tag + URING_WRITE + i,
                      !file->ended && i + 1 == file->piece_count);
    }
    if (file->ended && file->end < file->file.size)
        io_ring_truncate(ring, slot, file->file.size, tag + URING_TRUNCATE, false);
    if (file->ended)
        io_ring_close(ring, slot, tag + URING_CLOSE, true);
    file->chained = file->piece_count;
    file->under_way = true;
    handle->queued++;
}

/* The file is closed; the rest goes by its name. */
static int uring_finish(struct io_engine_handle *handle, struct uring_file *file,
                        struct reason *why)
{
    int result =
        metadata_put_at(file->file.directory, file->name, ENTRY_FILE, &file->file.metadata, why);

    file->opened = file->ended = false;
    file->next_free = handle->free;
    handle->free = file;
    return result;
}

/* A request of FILE has failed. 0 when it may be tried again. */
static int uring_failed(struct uring_file *file, unsigned step, int error, struct reason *why)
{
    bool again = error == EINTR || error == EAGAIN || error == ECANCELED;

    if (again && ++file->tries < URING_TRIES)
        return 0;
    if (step == URING_OPEN)
        return io_error(why, error, "make the file", file->name);
    if (step < URING_TRUNCATE)
        return io_error(why, error, "write the file", file->name);
    if (step == URING_TRUNCATE)
        return io_error(why, error, "set the size of", file->name);
    return io_error(why, error, "close the file", file->name);
}

/* FILE's chain came as far as COMPLETION tells. */
static int uring_advance(struct io_engine_handle *handle, struct uring_file *file, unsigned step,
                         int result, struct reason *why)
{
    unsigned written = step < URING_WRITE ? 0 : step - URING_WRITE;

    file->under_way = false;
    file->opened = file->opened || step > URING_OPEN;
    for (unsigned i = 0; i < written && i < file->chained; i++)
        uring_drop_piece(file);
    if (step >= URING_WRITE && step < URING_TRUNCATE) {
        struct uring_piece *piece = &file->pieces[0];

        if (result == 0)
            result = -EIO; /* a disk that takes nothing */
        if (result > 0 && (size_t)result < piece->length) {
            piece->data += result;
            piece->offset += (uint64_t)result;
            piece->length -= (size_t)result;
        } else if (result > 0) {
            uring_drop_piece(file);
        }
    }
    if (result < 0)
        return uring_failed(file, step, -result, why);
    return step == URING_CLOSE ? uring_finish(handle, file, why) : 0;
}

/* Whether FILE should get its next chain without waiting for more to come. */
static bool uring_goes_on(const struct uring_file *file)
{
    return !file->under_way && (file->ended || file->piece_count >= URING_ENOUGH);
}

/* ---- all files ---- */

static void uring_complete(struct io_engine_handle *handle,
                           const struct io_ring_completion *completion)
{
    struct uring_file *file = &handle->files[completion->tag / URING_STEPS];
    unsigned step = (unsigned)(completion->tag % URING_STEPS);
    struct reason why = {0};
    int error = uring_advance(handle, file, step, completion->result, &why);

    if (error && handle->error == 0) {
        handle->error = error;
        handle->why = why;
    }
    if (handle->error == 0 && uring_goes_on(file))
        uring_queue(handle, file);
}

static int uring_error(const struct io_engine_handle *handle, struct reason *why)
{
    if (handle->error && why)
        *why = handle->why;
    return handle->error;
}

/* Hands over what is queued, and deals with what is done; waits until that is LEAST files. */
static int uring_turn(struct io_engine_handle *handle, unsigned least, struct reason *why)
{
    struct io_ring_completion completion;
    struct reason trouble = {0};
    int result = io_ring_submit(&handle->ring, least, &trouble);

    handle->queued = 0;
    if (result && handle->error == 0) {
        handle->error = result;
        handle->why = trouble;
    }
    while (io_ring_next(&handle->ring, &completion))
        uring_complete(handle, &completion);
    return uring_error(handle, why);
}

static int uring_probe(struct reason *why)
{
    struct io_ring ring;
    int result = io_ring_init(&ring, 1, URING_STEPS, URING_WORKERS, why);

    if (!result)
        io_ring_deinit(&ring);
    return result;
}

static int uring_open(struct io_engine_handle **handle, struct reason *why)
{
    struct io_engine_handle *made = calloc(1, sizeof(*made));
    int result;

    if (!made)
        return failure(why, ENOMEM, "cannot start writing files");
    result = io_ring_init(&made->ring, URING_FILES, URING_STEPS, URING_WORKERS, why);
    if (result) {
        free(made);
        return result;
    }
    for (unsigned i = URING_FILES; i-- > 0;) {
        made->files[i].next_free = made->free;
        made->free = &made->files[i];
    }
    *handle = made;
    return 0;
}

/* Waits for what is under way, whose outcome is of no interest any more. */
static void uring_outwait(struct io_engine_handle *handle)
{
    struct io_ring_completion completion;
    struct reason why = {0};

    while (handle->ring.pending > 0 && io_ring_submit(&handle->ring, 1, &why) == 0)
        while (io_ring_next(&handle->ring, &completion)) {
            struct uring_file *file = &handle->files[completion.tag / URING_STEPS];
            unsigned step = (unsigned)(completion.tag % URING_STEPS);

            file->opened = step == URING_CLOSE ? false : file->opened || step > URING_OPEN;
        }
}

static void uring_close(struct io_engine_handle *handle)
{
    uring_outwait(handle);
    for (unsigned i = 0; i < URING_FILES; i++) {
        struct uring_file *file = &handle->files[i];

        while (file->piece_count > 0)
            uring_drop_piece(file);
        if (file->opened)
            io_ring_close(&handle->ring, i, (uint64_t)i * URING_STEPS + URING_CLOSE, true);
    }
    uring_outwait(handle);
    io_ring_deinit(&handle->ring);
    free(handle);
}

static int uring_begin(struct io_engine_handle *handle, const struct io_file *file,
                       struct reason *why)
{
    struct uring_file *begun;
    int result = uring_error(handle, why);

    while (!result && !handle->free)
        result = uring_turn(handle, 1, why);
    if (result)
        return result;
    begun = handle->free;
    handle->free = begun->next_free;
    handle->current = begun;
    begun->file = *file;
    memcpy(begun->name, file->name, strlen(file->name) + 1); /* one component: NAME_MAX */
    begun->ended = false;
    begun->tries = 0;
    begun->end = 0;
    return 0;
}

static int uring_write(struct io_engine_handle *handle, struct chunk *chunk, const uint8_t *data,
                       size_t length, uint64_t offset, struct reason *why)
{
    struct uring_file *file = handle->current;
    int result = uring_error(handle, why);

    if (length == 0)
        return result;
    while (!result && file->piece_count == URING_PIECES) {
        if (!file->under_way)
            uring_queue(handle, file);
        result = uring_turn(handle, 1, why);
    }
    if (result)
        return result;
    chunk_ref(chunk);
    file->pieces[file->piece_count++] = (struct uring_piece){chunk, data, length, offset};
    if (offset + length > file->end)
        file->end = offset + length;
    if (uring_goes_on(file)) {
        uring_queue(handle, file);
        result = uring_turn(handle, 0, why);
    }
    return result;
}

static int uring_end(struct io_engine_handle *handle, struct reason *why)
{
    struct uring_file *file = handle->current;
    int result = uring_error(handle, why);

    if (result)
        return result;
    handle->current = NULL;
    file->ended = true;
    if (uring_goes_on(file))
        uring_queue(handle, file);
    if (handle->queued >= URING_BATCH)
        result = uring_turn(handle, 0, why);
    /* Attributes are too rare to be copied. */
    while (!result && file->file.metadata.xattr_count > 0 && file->ended)
        result = uring_turn(handle, 1, why);
    return result;
}

static int uring_drain(struct io_engine_handle *handle, struct reason *why)
{
    struct uring_file *current = handle->current;
    int result = uring_error(handle, why);

    for (;;) {
        if (!result && current && !current->under_way && current->piece_count > 0)
            uring_queue(handle, current);
        if (result || handle->ring.pending == 0)
            return result;
        result = uring_turn(handle, 1, why);
    }
}

const struct io_engine io_engine_uring = {
    .name = "io_uring",
    .probe = uring_probe,
    .open = uring_open,
    .close = uring_close,
    .begin = uring_begin,
    .write = uring_write,
    .end = uring_end,
    .drain = uring_drain,
};
