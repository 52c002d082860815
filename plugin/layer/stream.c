/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/stream.h"

/*
 * Two threads and two queues:
 *
 *      blob ─pread→ window ─inflate→ chunk ─┬─ to_reader ─→ stream_next() → the caller, writers
 *            (inflate thread)               └─ to_hash ───→ SHA-256 (hash thread)
 *
 * Why it never stands still. There are three places to wait, and each waits for somebody who needs
 * nothing from the one who waits:
 *
 *   1. The inflate thread waits in chunk_take() or chunk_pool_retire(), holding no chunk.
 *      Putting into a queue never waits, for each ring has room for every chunk of the pool.
 *   2. The hash thread waits for to_hash alone. It lets go of each chunk as soon as it is hashed,
 *      whether or not the caller has seen it.
 *   3. The caller waits in stream_next() for to_reader. What the caller owes in return: chunks that
 *      it and its writers hold come back without another stream_next(). A writer may sit on chunks
 *      while it writes, but not while it waits for more of them; and it must be able to work with
 *      one chunk fewer than the pool has, since the tar reader keeps the current one.
 *
 * So when the pool is empty, every chunk is with the hash thread, which never waits while it has
 * one; or in to_reader, where the caller finds it; or with the caller, whose turn it is.
 *
 * Why it always ends. stream_close() closes the pool, which releases the inflate thread from its
 * only wait, and sets STOP, which that thread looks at before each read of the blob, so that a blob
 * that inflates to nothing does not hold it up either. It then ends both queues, which releases the
 * hash thread. A read that hangs in the kernel is the one thing this cannot end.
 *
 * What is told when. A queue is ended after the result of the inflate thread is stored; the queue's
 * lock makes it visible to whoever finds the queue empty and ended. So the caller first gets every
 * good byte, then the error. The SHA-256 of the blob is compared in stream_finish(), after all else
 * has gone well: a blob that does not even inflate says so.
 */

#include "base/scoped.h"
#include "base/thread.h"
#include "layer/chunk_queue.h"
#include "layer/inflate.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STREAM_READ_AHEAD (1024 * 1024) /* bytes of the blob that the kernel is asked for early */
/* What a decompressor may hold beside all chunks: zstd's window up to level 19, and its own. A
 * larger one takes the place of chunks, of which some stay for the stages to work with. */
#define STREAM_INFLATER_MEMORY (9u * 1024 * 1024)
#define STREAM_CHUNKS_LEAST 8u

struct stream {
    int blob;
    bool verify;
    uint8_t expected[DIGEST_SIZE];
    uint64_t size_limit;
    uint64_t ratio_size; /* uncompressed bytes that the ratio allows; 0: any */
    unsigned ratio_limit;
    const atomic_bool *cancel;

    struct chunk_pool *pool;
    size_t chunks;                         /* of the pool at first */
    struct chunk_queue to_reader, to_hash; /* each with its lock; no lock is taken inside another */
    pthread_t inflate_thread, hash_thread;
    atomic_bool stop; /* the stream is being closed */
    bool joined;      /* both threads are gone */

    /* Of the inflate thread, until it has ended the queues. */
    uint64_t blob_offset, read_ahead; /* what was read, what the kernel was asked for */
    EVP_MD_CTX *blob_hash;            /* NULL when the blob's own bytes are not checked */
    uint64_t size;
    size_t retired;     /* chunks */
    bool blob_is_plain; /* its SHA-256 is that of the uncompressed bytes */
    int inflate_result;
    struct reason inflate_why;
    uint64_t inflate_processor; /* ns, as the next one */

    /* Of the hash thread, until it is joined. */
    EVP_MD_CTX *hash;
    bool hash_failed;
    uint64_t hash_processor;
};

static bool stream_cancelled(const struct stream *stream)
{
    return stream->cancel && atomic_load_explicit(stream->cancel, memory_order_relaxed);
}

static int stream_refuse_cancelled(struct reason *why)
{
    return refuse(why, CONDITION_CANCELLED, "reading the layer was cancelled by its caller");
}

/* Tells whether the inflate thread shall go on. */
static int stream_check(const struct stream *stream, struct reason *why)
{
    if (stream_cancelled(stream))
        return stream_refuse_cancelled(why);
    if (atomic_load_explicit(&stream->stop, memory_order_relaxed))
        return refuse(why, CONDITION_CANCELLED, "the layer's stream was closed before its end");
    return 0;
}

static void stream_advise(struct stream *stream, size_t room)
{
    if (stream->blob_offset + room <= stream->read_ahead)
        return;
    stream->read_ahead = stream->blob_offset + room + STREAM_READ_AHEAD;
    /* Only advice: a blob that is no file on disk does without. */
    (void)posix_fadvise(stream->blob, (off_t)(stream->blob_offset + room), STREAM_READ_AHEAD,
                        POSIX_FADV_WILLNEED);
}

/* An inflate_read over the blob. */
static int stream_read_blob(void *context, uint8_t *buffer, size_t room, size_t *got,
                            struct reason *why)
{
    struct stream *stream = context;
    int result = stream_check(stream, why);
    ssize_t count;

    if (result)
        return result;
    stream_advise(stream, room);
    do
        count = pread(stream->blob, buffer, room, (off_t)stream->blob_offset);
    while (count < 0 && errno == EINTR);
    if (count < 0)
        return failure(why, errno, "read the layer's blob at byte %" PRIu64, stream->blob_offset);
    if (stream->blob_hash && !stream->blob_is_plain &&
        EVP_DigestUpdate(stream->blob_hash, buffer, (size_t)count) != 1)
        return failure(why, EIO, "take the SHA-256 of the layer's blob");
    stream->blob_offset += (uint64_t)count;
    *got = (size_t)count;
    return 0;
}

/* Whether the layer may have SIZE bytes uncompressed. */
static int stream_check_size(const struct stream *stream, uint64_t size, struct reason *why)
{
    if (stream->size_limit != 0 && size > stream->size_limit)
        return refuse(why, CONDITION_EXHAUSTED,
                      "the layer holds more than the %" PRIu64
                      " bytes that apply.size_limit allows it uncompressed: raise that setting, or "
                      "refuse the image",
                      stream->size_limit);
    if (stream->ratio_size != 0 && size > stream->ratio_size)
        return refuse(why, CONDITION_EXHAUSTED,
                      "the layer inflates to more than %" PRIu64
                      " bytes, which is more than %u times its blob (apply.ratio_limit) and more "
                      "than any layer may have: it may be a bomb; refuse the image, or raise that "
                      "setting",
                      stream->ratio_size, stream->ratio_limit);
    return 0;
}

/* Hands CHUNK with LENGTH bytes to both queues, or gives it back if it is empty. */
static int stream_put(struct stream *stream, struct chunk *chunk, size_t length, struct reason *why)
{
    int result = stream_check_size(stream, stream->size + length, why);

    if (result) {
        chunk_unref(chunk);
        return result;
    }
    if (length == 0) {
        chunk_unref(chunk);
        return 0;
    }
    chunk->length = length;
    stream->size += length;
    chunk_ref(chunk);
    chunk_queue_put(&stream->to_reader, chunk);
    chunk_queue_put(&stream->to_hash, chunk);
    return 0;
}

/* Retires as many chunks as the decompressor holds memory beyond its share. False when the pool was
 * closed meanwhile. */
static bool stream_make_way(struct stream *stream, const struct inflater *inflater,
                            const struct inflater_handle *handle)
{
    size_t memory = inflater->memory ? inflater->memory(handle) : 0;
    size_t beyond = memory > STREAM_INFLATER_MEMORY ? memory - STREAM_INFLATER_MEMORY : 0;
    size_t wanted = (beyond + CHUNK_SIZE - 1) / CHUNK_SIZE;

    while (stream->retired < wanted && stream->chunks - stream->retired > STREAM_CHUNKS_LEAST) {
        if (!chunk_pool_retire(stream->pool))
            return false;
        stream->retired++;
    }
    return true;
}

static int stream_inflate_all(struct stream *stream, const struct inflater *inflater,
                              struct inflater_handle *handle, struct inflate_input *input,
                              struct reason *why)
{
    for (;;) {
        struct chunk *chunk = chunk_take(stream->pool);
        size_t got = 0;
        int result = stream_check(stream, why), put;

        if (!chunk || result) {
            chunk_unref(chunk);
            return result ? result
                          : refuse(why, CONDITION_CANCELLED, "the layer's stream was closed");
        }
        result = inflater->inflate(handle, input, chunk->data, CHUNK_SIZE, &got, why);
        put = stream_put(stream, chunk, got, result ? NULL : why);
        if (result || put)
            return result ? result : put;
        if (got < CHUNK_SIZE)
            return 0;
        if (!stream_make_way(stream, inflater, handle))
            return refuse(why, CONDITION_CANCELLED, "the layer's stream was closed");
    }
}

static int stream_inflate_blob(struct stream *stream, struct reason *why)
{
    struct inflate_input input;
    const struct inflater *inflater;
    struct inflater_handle *handle = NULL;
    int result = inflate_input_init(&input, stream_read_blob, stream, why);

    if (result)
        return result;
    result = inflater_choose(&input, &inflater, why);
    if (!result) {
        stream->blob_is_plain = inflater == &inflater_plain;
        result = inflater->open(&handle, why);
    }
    if (!result) {
        result = stream_inflate_all(stream, inflater, handle, &input, why);
        inflater->close(handle);
    }
    inflate_input_deinit(&input);
    return result;
}

static void *stream_inflate_main(void *context)
{
    struct stream *stream = context;

    stream->inflate_result = stream_inflate_blob(stream, &stream->inflate_why);
    stream->inflate_processor = stage_processor();
    chunk_queue_end(&stream->to_hash);
    chunk_queue_end(&stream->to_reader);
    return NULL;
}

static void *stream_hash_main(void *context)
{
    struct stream *stream = context;
    struct chunk *chunk;

    while ((chunk = chunk_queue_get(&stream->to_hash)) != NULL) {
        if (!atomic_load_explicit(&stream->stop, memory_order_relaxed) &&
            EVP_DigestUpdate(stream->hash, chunk->data, chunk->length) != 1)
            stream->hash_failed = true;
        chunk_unref(chunk);
    }
    stream->hash_processor = stage_processor();
    return NULL;
}

static EVP_MD_CTX *stream_hash_new(void)
{
    EVP_MD_CTX *hash = EVP_MD_CTX_new();

    if (hash && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1)
        return hash;
    EVP_MD_CTX_free(hash);
    return NULL;
}

/* What RATIO_LIMIT comes to for the blob. One whose size is not to be had is taken for empty. */
static uint64_t stream_ratio_size(int blob, unsigned ratio_limit)
{
    struct stat status;
    uint64_t size = fstat(blob, &status) == 0 && status.st_size > 0 ? (uint64_t)status.st_size : 0;

    if (ratio_limit == 0 || __builtin_mul_overflow(size, ratio_limit, &size))
        return 0;
    return size > STREAM_RATIO_FREE ? size : STREAM_RATIO_FREE;
}

/* Frees what the threads worked with; they are gone, or never were. */
static void stream_free(struct stream *stream)
{
    EVP_MD_CTX_free(stream->hash);
    EVP_MD_CTX_free(stream->blob_hash);
    if (stream->to_reader.ring)
        chunk_queue_deinit(&stream->to_reader);
    if (stream->to_hash.ring)
        chunk_queue_deinit(&stream->to_hash);
    chunk_pool_free(stream->pool);
    free(stream);
}

/* Starts both threads or none. */
static int stream_start(struct stream *stream, struct reason *why)
{
    int error = thread_start(&stream->hash_thread, "layer-sha256", stream_hash_main, stream);

    if (!error) {
        error = thread_start(&stream->inflate_thread, "layer-inflate", stream_inflate_main, stream);
        if (error) {
            chunk_queue_end(&stream->to_hash);
            pthread_join(stream->hash_thread, NULL);
        }
    }
    return error ? failure(why, error, "start the threads that read a layer") : 0;
}

int stream_open(struct stream **stream, int blob, const struct stream_options *options,
                struct reason *why)
{
    struct stream *made;
    int result;

    if (options->chunks < 2)
        return failure(why, EINVAL, "read a layer with fewer than two chunks of memory");
    made = calloc(1, sizeof(*made));
    if (!made)
        return failure(why, ENOMEM, "make room to read a layer");
    made->blob = blob;
    made->size_limit = options->size_limit;
    made->ratio_limit = options->ratio_limit;
    made->ratio_size = stream_ratio_size(blob, options->ratio_limit);
    made->cancel = options->cancel;
    made->verify = options->verify != NULL;
    if (made->verify)
        memcpy(made->expected, options->verify, DIGEST_SIZE);
    made->chunks = options->chunks;
    made->pool = chunk_pool_new(options->chunks);
    made->hash = stream_hash_new();
    made->blob_hash = made->verify ? stream_hash_new() : NULL;
    if (!made->pool || !made->hash || (made->verify && !made->blob_hash) ||
        chunk_queue_init(&made->to_reader, options->chunks) ||
        chunk_queue_init(&made->to_hash, options->chunks)) {
        stream_free(made);
        return failure(why, ENOMEM, "make room to read a layer");
    }
    (void)posix_fadvise(blob, 0, 0, POSIX_FADV_SEQUENTIAL);
    result = stream_start(made, why);
    if (result) {
        stream_free(made);
        return result;
    }
    *stream = made;
    return 0;
}

int stream_next(struct stream *stream, struct chunk **chunk, struct reason *why)
{
    *chunk = NULL;
    if (stream_cancelled(stream))
        return stream_refuse_cancelled(why);
    *chunk = chunk_queue_get(&stream->to_reader);
    if (*chunk || stream->inflate_result == 0)
        return 0;
    if (why)
        *why = stream->inflate_why;
    return stream->inflate_result;
}

static void stream_join(struct stream *stream)
{
    if (stream->joined)
        return;
    pthread_join(stream->inflate_thread, NULL);
    pthread_join(stream->hash_thread, NULL);
    stream->joined = true;
}

static void stream_hex(const uint8_t *digest, char text[2 * DIGEST_SIZE + 1])
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < DIGEST_SIZE; i++) {
        text[2 * i] = digits[digest[i] >> 4];
        text[2 * i + 1] = digits[digest[i] & 15];
    }
    text[(size_t)2 * DIGEST_SIZE] = '\0';
}

/* DIGEST is that of the uncompressed bytes. */
static int stream_verify(struct stream *stream, const uint8_t *digest, struct reason *why)
{
    uint8_t found[DIGEST_SIZE];
    char found_text[2 * DIGEST_SIZE + 1], expected_text[2 * DIGEST_SIZE + 1];

    if (stream->blob_is_plain)
        memcpy(found, digest, DIGEST_SIZE);
    else if (EVP_DigestFinal_ex(stream->blob_hash, found, NULL) != 1)
        return failure(why, EIO, "take the SHA-256 of the layer's blob");
    if (memcmp(found, stream->expected, DIGEST_SIZE) == 0)
        return 0;
    stream_hex(found, found_text);
    stream_hex(stream->expected, expected_text);
    return refuse(why, CONDITION_INVALID,
                  "the layer's blob is not what its digest says: sha256:%s is expected, sha256:%s "
                  "is found in %" PRIu64 " bytes: remove the blob and fetch the layer again",
                  expected_text, found_text, stream->blob_offset);
}

int stream_finish(struct stream *stream, struct stream_sum *sum, struct reason *why)
{
    struct chunk *chunk;
    int result;

    do {
        result = stream_next(stream, &chunk, why);
        if (result)
            return result;
        chunk_unref(chunk);
    } while (chunk);
    stream_join(stream);
    if (stream->hash_failed || EVP_DigestFinal_ex(stream->hash, sum->digest, NULL) != 1)
        return failure(why, EIO, "take the SHA-256 of the uncompressed layer");
    sum->size = stream->size;
    return stream->verify ? stream_verify(stream, sum->digest, why) : 0;
}

void stream_stages(const struct stream *stream, struct stages *stages)
{
    stages->of[STAGE_INFLATE] = (struct stage_time){
        .processor = stream->inflate_processor,
        .waited = chunk_pool_waited(stream->pool),
        .bytes = stream->blob_offset,
    };
    stages->of[STAGE_HASH] = (struct stage_time){
        .processor = stream->hash_processor,
        .waited = stream->to_hash.waited,
        .bytes = stream->size,
    };
    stages->of[STAGE_PARSE].waited = stream->to_reader.waited;
    stages->of[STAGE_PARSE].bytes = stream->size;
}

struct stream *stream_close(struct stream *stream)
{
    if (!stream)
        return NULL;
    atomic_store_explicit(&stream->stop, true, memory_order_relaxed);
    chunk_pool_close(stream->pool);
    stream_join(stream);
    stream_free(stream);
    return NULL;
}
