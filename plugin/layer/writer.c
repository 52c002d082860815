/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/writer.h"

/*
 * Why it never stands still. The caller waits for a writer in two places: for room in its queue,
 * and in writer_pool_wait(). A writer waits for nothing but messages, and only when its queue is
 * empty and its engine drained; it can therefore always go on without the caller, and gives back
 * the chunks of every message it was given.
 *
 * Why memory is bounded. Each queue has a fixed number of places, data stays in the chunks, names
 * lie in the messages themselves. Attributes are the exception: they are copied, and once more than
 * WRITER_ATTRIBUTES bytes of them are on their way, the caller waits for all writers. Open folders
 * are bounded by their cache, which calls for writer_pool_wait(), too.
 *
 * After an error a writer closes its engine at once and from then on only gives back what it is
 * handed, so that nobody waits for it in vain.
 */

#include "base/bytes.h"
#include "base/scoped.h"
#include "base/thread.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WRITER_QUEUE 256u                    /* messages; a power of two */
#define WRITER_FOLDERS 24u                   /* folders held until the engine is drained */
#define WRITER_ATTRIBUTES (4u * 1024 * 1024) /* bytes of attributes on their way */
#define WRITER_LAG (WRITER_QUEUE / 2)        /* how far behind, in cost, a folder's writer may be */
#define WRITER_COST_BYTES 8192u              /* data that costs as much as making a file */

/* A small file is one message: begin, its data, end. */
struct writer_message {
    bool begins, ends;
    struct directory *directory; /* with a reference; when it begins */
    struct io_file file;         /* when it begins; its name is NAME */
    char name[NAME_MAX + 1];
    void *attributes; /* memory behind file.metadata.xattrs, of ATTRIBUTES_SIZE bytes */
    size_t attributes_size;

    struct chunk *chunk; /* with a reference; NULL: no data */
    const uint8_t *data;
    size_t length;
    uint64_t offset;
};

struct writer {
    struct writer_pool *pool;
    pthread_t thread;
    unsigned number;

    pthread_mutex_t lock; /* guards what follows; nothing else is locked inside it */
    pthread_cond_t arrived, room, settled;
    struct writer_message *queue; /* WRITER_QUEUE places */
    unsigned first, count;
    bool caller_waits; /* for room */
    bool idle;         /* nothing queued, nothing under way */
    bool stop;
    uint64_t waited; /* ns, for messages */

    _Atomic unsigned cost; /* of what is queued */

    /* The thread's own. */
    struct io_engine_handle *handle; /* NULL after an error */
    struct writer_message current;   /* the file begun and not ended: its BEGIN */
    struct directory *folders[WRITER_FOLDERS];
    unsigned folder_count;
};

struct writer_pool {
    const struct io_engine *engine;
    const atomic_bool *cancel;
    unsigned count;

    pthread_mutex_t error_lock; /* the first error; never taken with a writer's lock held */
    int error;
    struct reason why;
    atomic_bool failed;

    atomic_size_t attributes; /* bytes of attributes on their way */

    /* The caller's own: the message that is being put together, and whose it will be. */
    struct writer_message next;
    struct writer *chosen;
    bool pending;
    uint64_t waited; /* ns, for writers */

    struct writer writers[];
};

static void writer_fail(struct writer_pool *pool, int error, const struct reason *why)
{
    pthread_mutex_lock(&pool->error_lock);
    if (pool->error == 0) {
        pool->error = error;
        pool->why = *why;
    }
    pthread_mutex_unlock(&pool->error_lock);
    atomic_store(&pool->failed, true);
}

static int writer_pool_error(struct writer_pool *pool, struct reason *why)
{
    int error = 0;

    if (atomic_load_explicit(&pool->failed, memory_order_acquire)) {
        pthread_mutex_lock(&pool->error_lock);
        error = pool->error;
        if (why)
            *why = pool->why;
        pthread_mutex_unlock(&pool->error_lock);
    }
    return error;
}

/* Gives back what MESSAGE holds. */
static void writer_message_drop(struct writer_pool *pool, struct writer_message *message)
{
    chunk_unref(message->chunk);
    directory_unref(message->directory);
    if (message->attributes) {
        free(message->attributes);
        atomic_fetch_sub(&pool->attributes, message->attributes_size);
    }
    message->chunk = NULL;
    message->directory = NULL;
    message->attributes = NULL;
}

static unsigned writer_message_cost(const struct writer_message *message)
{
    return (unsigned)message->begins + (unsigned)(message->length / WRITER_COST_BYTES);
}

/* ---- the writers' threads ---- */

static void writer_release_folders(struct writer *writer)
{
    while (writer->folder_count > 0)
        directory_unref(writer->folders[--writer->folder_count]);
}

/* Everything given to the engine is done. */
static int writer_settle(struct writer *writer, struct reason *why)
{
    int result = 0;

    if (writer->handle)
        result = writer->pool->engine->drain(writer->handle, why);
    if (!result) {
        writer_release_folders(writer);
        if (writer->current.directory) /* of the file begun and not ended */
            directory_ref(writer->folders[writer->folder_count++] = writer->current.directory);
    }
    return result;
}

/* Keeps DIRECTORY open until the engine is drained. */
static int writer_hold(struct writer *writer, struct directory *directory, struct reason *why)
{
    int result;

    for (unsigned i = writer->folder_count; i-- > 0;)
        if (writer->folders[i] == directory)
            return 0;
    if (writer->folder_count == WRITER_FOLDERS) {
        result = writer_settle(writer, why);
        if (result)
            return result;
    }
    directory_ref(directory);
    writer->folders[writer->folder_count++] = directory;
    return 0;
}

/* Hands MESSAGE, which is emptied, to the engine. */
static int writer_do(struct writer *writer, struct writer_message *message, struct reason *why)
{
    const struct io_engine *engine = writer->pool->engine;
    int result = 0;

    if (message->begins) {
        result = writer_hold(writer, message->directory, why);
        if (result)
            return result;
        writer_message_drop(writer->pool, &writer->current);
        writer->current = *message;
        writer->current.chunk = NULL;
        writer->current.file.name = writer->current.name;
        writer->current.file.directory = message->directory->fd;
        message->directory = NULL;
        message->attributes = NULL;
        result = engine->begin(writer->handle, &writer->current.file, why);
    }
    if (!result && message->chunk)
        result = engine->write(writer->handle, message->chunk, message->data, message->length,
                               message->offset, why);
    if (!result && message->ends) {
        result = engine->end(writer->handle, why);
        writer_message_drop(writer->pool, &writer->current);
    }
    return result;
}

/* No more work is done after an error: what is under way ends here, and gives back its chunks. */
static void writer_break(struct writer *writer)
{
    if (writer->handle)
        writer->pool->engine->close(writer->handle);
    writer->handle = NULL;
    writer_message_drop(writer->pool, &writer->current);
    writer_release_folders(writer);
}

/* Takes the next message; settles and waits while there is none. False when the pool ends. */
static bool writer_take(struct writer *writer, struct writer_message *message)
{
    bool taken = false;

    pthread_mutex_lock(&writer->lock);
    while (writer->count == 0 && !writer->stop) {
        if (!writer->idle) {
            struct reason why = {0};
            int result;

            pthread_mutex_unlock(&writer->lock);
            result = writer_settle(writer, &why);
            if (result) {
                writer_fail(writer->pool, result, &why);
                writer_break(writer);
            }
            pthread_mutex_lock(&writer->lock);
            if (writer->count == 0) {
                writer->idle = true;
                pthread_cond_signal(&writer->settled);
            }
            continue;
        }
        stage_wait(&writer->arrived, &writer->lock, &writer->waited);
    }
    if (writer->count > 0) {
        *message = writer->queue[writer->first];
        writer->first = (writer->first + 1) % WRITER_QUEUE;
        writer->count--;
        if (writer->caller_waits && writer->count <= WRITER_QUEUE / 2) {
            writer->caller_waits = false;
            pthread_cond_signal(&writer->room);
        }
        taken = true;
    }
    pthread_mutex_unlock(&writer->lock);
    return taken;
}

/* Whether the work is to be thrown away. A cancelled pool counts as failed: files are missing. */
static bool writer_pool_ended(struct writer_pool *pool)
{
    struct reason why = {0};

    if (atomic_load_explicit(&pool->failed, memory_order_relaxed))
        return true;
    if (!pool->cancel || !atomic_load_explicit(pool->cancel, memory_order_relaxed))
        return false;
    writer_fail(pool, refuse(&why, CONDITION_CANCELLED, "unpacking the layer was cancelled"), &why);
    return true;
}

static void *writer_run(void *context)
{
    struct writer *writer = context;
    struct writer_pool *pool = writer->pool;
    struct writer_message message;
    struct reason why = {0};
    int result = pool->engine->open(&writer->handle, &why);

    if (result) {
        writer->handle = NULL;
        writer_fail(pool, result, &why);
    }
    while (writer_take(writer, &message)) {
        unsigned cost = writer_message_cost(&message);

        if (writer->handle && writer_pool_ended(pool))
            writer_break(writer);
        if (writer->handle) {
            result = writer_do(writer, &message, &why);
            if (result) {
                writer_fail(pool, result, &why);
                writer_break(writer);
            }
        }
        writer_message_drop(pool, &message);
        atomic_fetch_sub_explicit(&writer->cost, cost, memory_order_relaxed);
    }
    writer_break(writer);
    return NULL;
}

/* ---- the caller ---- */

static int writer_start(struct writer_pool *pool, unsigned number, struct reason *why)
{
    struct writer *writer = &pool->writers[number];
    char name[16];
    int error;

    writer->pool = pool;
    writer->number = number;
    writer->idle = true;
    writer->queue = calloc(WRITER_QUEUE, sizeof(*writer->queue));
    if (!writer->queue)
        return failure(why, ENOMEM, "cannot queue files for writing");
    pthread_mutex_init(&writer->lock, NULL);
    pthread_cond_init(&writer->arrived, NULL);
    pthread_cond_init(&writer->room, NULL);
    pthread_cond_init(&writer->settled, NULL);
    snprintf(name, sizeof(name), "writer-%u", number);
    error = thread_start(&writer->thread, name, writer_run, writer);
    if (error) {
        pthread_cond_destroy(&writer->settled);
        pthread_cond_destroy(&writer->room);
        pthread_cond_destroy(&writer->arrived);
        pthread_mutex_destroy(&writer->lock);
        free(writer->queue);
        return failure(why, error, "cannot start a thread that writes files");
    }
    return 0;
}

int writer_pool_new(struct writer_pool **pool, const struct io_engine *engine, unsigned count,
                    const atomic_bool *cancel, struct reason *why)
{
    struct writer_pool *made;

    if (count == 0)
        count = 1;
    if (count > WRITERS_MOST)
        count = WRITERS_MOST;
    made = calloc(1, sizeof(*made) + count * sizeof(made->writers[0]));
    if (!made)
        return failure(why, ENOMEM, "cannot start the threads that write files");
    made->engine = engine;
    made->cancel = cancel;
    pthread_mutex_init(&made->error_lock, NULL);
    for (; made->count < count; made->count++) {
        int result = writer_start(made, made->count, why);

        if (result) {
            writer_pool_free(made);
            return result;
        }
    }
    *pool = made;
    return 0;
}

struct writer_pool *writer_pool_free(struct writer_pool *pool)
{
    struct reason why = {0};

    if (!pool)
        return NULL;
    /* Whatever is queued still is thrown away, not written. */
    writer_fail(pool, refuse(&why, CONDITION_CANCELLED, "the writers were stopped"), &why);
    for (unsigned i = 0; i < pool->count; i++) {
        struct writer *writer = &pool->writers[i];

        pthread_mutex_lock(&writer->lock);
        writer->stop = true;
        pthread_cond_signal(&writer->arrived);
        pthread_mutex_unlock(&writer->lock);
    }
    for (unsigned i = 0; i < pool->count; i++) {
        struct writer *writer = &pool->writers[i];

        pthread_join(writer->thread, NULL);
        pthread_cond_destroy(&writer->settled);
        pthread_cond_destroy(&writer->room);
        pthread_cond_destroy(&writer->arrived);
        pthread_mutex_destroy(&writer->lock);
        free(writer->queue);
    }
    if (pool->pending)
        writer_message_drop(pool, &pool->next);
    pthread_mutex_destroy(&pool->error_lock);
    free(pool);
    return NULL;
}

uint64_t writer_pool_all(const struct writer_pool *pool)
{
    return (1ull << pool->count) - 1;
}

/* Puts the pending message into its queue. */
static void writer_pool_push(struct writer_pool *pool)
{
    struct writer *writer = pool->chosen;

    atomic_fetch_add_explicit(&writer->cost, writer_message_cost(&pool->next),
                              memory_order_relaxed);
    pthread_mutex_lock(&writer->lock);
    while (writer->count == WRITER_QUEUE) {
        writer->caller_waits = true;
        stage_wait(&writer->room, &writer->lock, &pool->waited);
    }
    writer->queue[(writer->first + writer->count) % WRITER_QUEUE] = pool->next;
    if (writer->count++ == 0)
        pthread_cond_signal(&writer->arrived);
    writer->idle = false;
    pthread_mutex_unlock(&writer->lock);
    pool->pending = false;
}

static void writer_pool_choose(struct writer_pool *pool, struct directory *directory)
{
    unsigned least = 0;
    unsigned costs[WRITERS_MOST] = {0};

    for (unsigned i = 0; i < pool->count; i++) {
        costs[i] = atomic_load_explicit(&pool->writers[i].cost, memory_order_relaxed);
        if (costs[i] < costs[least])
            least = i;
    }
    if (!directory->busy || costs[directory->writer] > costs[least] + WRITER_LAG)
        directory->writer = least;
    directory->busy |= 1ull << directory->writer;
    pool->chosen = &pool->writers[directory->writer];
}

/* Copies the attributes of FILE into one piece of memory. */
static int writer_copy_attributes(struct writer_pool *pool, const struct io_file *file,
                                  struct reason *why)
{
    struct writer_message *next = &pool->next;
    const struct metadata *metadata = &file->metadata;
    struct entry_xattr *copies;
    size_t size = metadata->xattr_count * sizeof(*metadata->xattrs);
    uint8_t *at;
    int result = 0;

    for (size_t i = 0; i < metadata->xattr_count; i++)
        size += strlen(metadata->xattrs[i].name) + 1 + metadata->xattrs[i].length;
    if (atomic_load(&pool->attributes) + size > WRITER_ATTRIBUTES)
        result = writer_pool_wait(pool, writer_pool_all(pool), why);
    if (result)
        return result;
    copies = malloc(size);
    if (!copies)
        return failure(why, ENOMEM, "cannot keep the attributes of %s",
                       quoted(bytes_of(file->name)));
    at = (uint8_t *)(copies + metadata->xattr_count);
    for (size_t i = 0; i < metadata->xattr_count; i++) {
        const struct entry_xattr *from = &metadata->xattrs[i];
        size_t name = strlen(from->name) + 1;

        copies[i] = (struct entry_xattr){memcpy(at, from->name, name), at + name, from->length};
        if (from->length > 0)
            memcpy(at + name, from->value, from->length);
        at += name + from->length;
    }
    next->file.metadata.xattrs = copies;
    next->attributes = copies;
    next->attributes_size = size;
    atomic_fetch_add(&pool->attributes, size);
    return 0;
}

int writer_pool_begin(struct writer_pool *pool, struct directory *directory,
                      const struct io_file *file, struct reason *why)
{
    struct writer_message *next = &pool->next;
    size_t length = strlen(file->name);
    int result = writer_pool_error(pool, why);

    if (result)
        return result;
    if (length > NAME_MAX)
        return refuse(why, CONDITION_INVALID, "the name %s is longer than %d bytes",
                      quoted(bytes_of(file->name)), NAME_MAX);
    next->begins = true;
    next->ends = false;
    next->directory = NULL;
    next->file = *file;
    next->attributes = NULL;
    next->chunk = NULL;
    next->length = 0;
    memcpy(next->name, file->name, length + 1);
    if (file->metadata.xattr_count > 0) {
        result = writer_copy_attributes(pool, file, why);
        if (result)
            return result;
    }
    directory_ref(directory);
    next->directory = directory;
    pool->pending = true;
    writer_pool_choose(pool, directory);
    return 0;
}

/* A further message for the file that was begun. */
static void writer_pool_continue(struct writer_pool *pool)
{
    struct writer_message *next = &pool->next;

    if (pool->pending)
        writer_pool_push(pool);
    next->begins = next->ends = false;
    next->directory = NULL;
    next->attributes = NULL;
    next->chunk = NULL;
    next->length = 0;
    pool->pending = true;
}

int writer_pool_data(struct writer_pool *pool, struct chunk *chunk, const uint8_t *data,
                     size_t length, uint64_t offset, struct reason *why)
{
    struct writer_message *next = &pool->next;
    int result = writer_pool_error(pool, why);

    if (result)
        return result;
    if (!pool->pending || next->chunk)
        writer_pool_continue(pool);
    chunk_ref(chunk);
    next->chunk = chunk;
    next->data = data;
    next->length = length;
    next->offset = offset;
    return 0;
}

int writer_pool_end(struct writer_pool *pool, struct reason *why)
{
    if (!pool->pending)
        writer_pool_continue(pool);
    pool->next.ends = true;
    writer_pool_push(pool);
    return writer_pool_error(pool, why);
}

int writer_pool_wait(struct writer_pool *pool, uint64_t writers, struct reason *why)
{
    for (unsigned i = 0; i < pool->count; i++) {
        struct writer *writer = &pool->writers[i];

        if (!(writers >> i & 1))
            continue;
        pthread_mutex_lock(&writer->lock);
        while (!writer->idle)
            stage_wait(&writer->settled, &writer->lock, &pool->waited);
        pthread_mutex_unlock(&writer->lock);
    }
    return writer_pool_error(pool, why);
}

void writer_pool_stages(struct writer_pool *pool, struct stages *stages)
{
    struct stage_time *write = &stages->of[STAGE_WRITE];

    stages->of[STAGE_HAND].waited = pool->waited;
    for (unsigned i = 0; i < pool->count; i++) {
        struct writer *writer = &pool->writers[i];

        write->processor += stage_processor_of(writer->thread);
        pthread_mutex_lock(&writer->lock);
        write->waited += writer->waited;
        pthread_mutex_unlock(&writer->lock);
    }
}
