/* SPDX-License-Identifier: Apache-2.0 */
#include "base/scoped.h"
#include "layer/stream.h"
#include "unit/cmocka_setup.h"
#include "unit/layer/inflate_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* A file without a name that holds BYTES. */
static int blob_of(const struct rig_bytes *bytes)
{
    int blob = memfd_create("blob", MFD_CLOEXEC);
    size_t done = 0;

    assert_true(blob >= 0);
    while (done < bytes->length) {
        ssize_t count = write(blob, bytes->data + done, bytes->length - done);

        assert_true(count > 0);
        done += (size_t)count;
    }
    return blob;
}

static void assert_digest(const uint8_t *found, const struct rig_bytes *bytes)
{
    uint8_t wanted[DIGEST_SIZE];

    SHA256(bytes->data ? bytes->data : (const uint8_t *)"", bytes->length, wanted);
    assert_memory_equal(found, wanted, DIGEST_SIZE);
}

/* Reads STREAM to its end or first error into OUT, and then finishes. */
static int drain(struct stream *stream, struct rig_bytes *out, struct stream_sum *sum,
                 struct reason *why)
{
    struct chunk *chunk;
    int result;

    while ((result = stream_next(stream, &chunk, why)) == 0 && chunk) {
        assert_true(chunk->length > 0 && chunk->length <= CHUNK_SIZE);
        rig_append(out, chunk->data, chunk->length);
        chunk_unref(chunk);
    }
    assert_null(chunk);
    return result ? result : stream_finish(stream, sum, why);
}

static void append_as(int format, struct rig_bytes *blob, const struct rig_bytes *sample)
{
    if (format == 0)
        rig_append(blob, sample->data, sample->length);
    else if (format == 1)
        rig_append_gzip(blob, sample->data, sample->length);
    else
        rig_append_zstd(blob, sample->data, sample->length);
}

static void each_format_gives_its_bytes_digest_and_size(void **state)
{
    static const size_t sizes[] = {0, 1, CHUNK_SIZE - 1, CHUNK_SIZE, CHUNK_SIZE + 1, 3000000};

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]) * 3; i++) {
        struct rig_bytes sample = {0}, bytes = {0}, out = {0};
        uint8_t verify[DIGEST_SIZE];
        struct stream_options options = {.chunks = 2 + i % 3, .verify = i % 2 ? verify : NULL};
        struct stream_sum sum;
        struct reason why = {0};
        struct stream *stream;

        rig_append_sample(&sample, sizes[i / 3], (unsigned)i);
        append_as((int)(i % 3), &bytes, &sample);
        SHA256(bytes.data ? bytes.data : (const uint8_t *)"", bytes.length, verify);
        scoped_fd int blob = blob_of(&bytes);
        assert_int_equal(stream_open(&stream, blob, &options, &why), 0);
        assert_int_equal(drain(stream, &out, &sum, &why), 0);
        assert_string_equal(why.text, "");
        assert_int_equal(sum.size, sample.length);
        assert_int_equal(out.length, sample.length);
        if (out.length > 0)
            assert_memory_equal(out.data, sample.data, out.length);
        assert_digest(sum.digest, &sample);
        assert_null(stream_close(stream));
        rig_bytes_free(&sample);
        rig_bytes_free(&bytes);
        rig_bytes_free(&out);
    }
}

static void chunks_are_full_but_the_last(void **state)
{
    struct rig_bytes sample = {0}, bytes = {0};
    struct stream_options options = {.chunks = 4};
    struct stream *stream;
    struct chunk *chunk;

    (void)state;
    for (unsigned i = 0; i < 40; i++) {
        struct rig_bytes part = {0};

        rig_append_sample(&part, (size_t)i * 1000, i);
        rig_append(&sample, part.data, part.length);
        append_as(1, &bytes, &part);
        rig_bytes_free(&part);
    }
    scoped_fd int blob = blob_of(&bytes);
    assert_int_equal(stream_open(&stream, blob, &options, NULL), 0);
    for (size_t left = sample.length; left > 0; left -= chunk->length, chunk_unref(chunk)) {
        assert_int_equal(stream_next(stream, &chunk, NULL), 0);
        assert_int_equal(chunk->length, left < CHUNK_SIZE ? left : CHUNK_SIZE);
    }
    assert_int_equal(stream_next(stream, &chunk, NULL), 0);
    assert_null(chunk);
    stream_close(stream);
    rig_bytes_free(&sample);
    rig_bytes_free(&bytes);
}

static void finishing_early_still_hashes_to_the_end(void **state)
{
    struct rig_bytes sample = {0}, bytes = {0};
    struct stream_options options = {.chunks = 2};
    struct stream_sum sum;
    struct stream *stream;
    struct chunk *chunk;

    (void)state;
    rig_append_sample(&sample, 20 * CHUNK_SIZE, 3);
    append_as(1, &bytes, &sample);
    scoped_fd int blob = blob_of(&bytes);
    assert_int_equal(stream_open(&stream, blob, &options, NULL), 0);
    assert_int_equal(stream_next(stream, &chunk, NULL), 0);
    chunk_unref(chunk);
    assert_int_equal(stream_finish(stream, &sum, NULL), 0);
    assert_int_equal(sum.size, sample.length);
    assert_digest(sum.digest, &sample);
    stream_close(stream);
    rig_bytes_free(&sample);
    rig_bytes_free(&bytes);
}

static void an_error_comes_after_the_good_bytes_and_stays(void **state)
{
    struct rig_bytes sample = {0}, bytes = {0}, out = {0};
    struct stream_options options = {.chunks = 3};
    struct stream_sum sum;
    struct reason why = {0};
    struct stream *stream;
    struct chunk *chunk;

    (void)state;
    rig_append_sample(&sample, 5 * CHUNK_SIZE + 5, 3);
    append_as(1, &bytes, &sample);
    bytes.data[bytes.length - 5] ^= 1; /* the CRC-32 */
    scoped_fd int blob = blob_of(&bytes);
    assert_int_equal(stream_open(&stream, blob, &options, NULL), 0);
    assert_int_equal(drain(stream, &out, &sum, &why), CONDITION_INVALID);
    assert_non_null(strstr(why.text, "the CRC-32 of its data is wrong"));
    assert_int_equal(out.length, sample.length);
    assert_memory_equal(out.data, sample.data, out.length);
    assert_int_equal(stream_next(stream, &chunk, &why), CONDITION_INVALID);
    assert_int_equal(stream_finish(stream, &sum, &why), CONDITION_INVALID);
    assert_non_null(strstr(why.text, "the CRC-32 of its data is wrong"));
    stream_close(stream);
    rig_bytes_free(&sample);
    rig_bytes_free(&bytes);
    rig_bytes_free(&out);
}

static void a_blob_that_cannot_be_read_is_a_failure(void **state)
{
    struct stream_options options = {.chunks = 3};
    struct stream_sum sum;
    struct reason why = {0};
    struct stream *stream;
    scoped_fd int folder = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    (void)state;
    assert_int_equal(stream_open(&stream, folder, &options, NULL), 0);
    assert_int_equal(stream_finish(stream, &sum, &why), -EISDIR);
    assert_non_null(strstr(why.text, "at byte 0"));
    stream_close(stream);
}

static void a_wrong_digest_of_the_blob_is_told_by_finish(void **state)
{
    static const char *const words = "the layer's blob is not what its digest says: sha256:0102";

    (void)state;
    for (int format = 0; format < 3; format++) {
        static const uint8_t wrong[DIGEST_SIZE] = {1, 2, 3};
        struct rig_bytes sample = {0}, bytes = {0}, out = {0};
        struct stream_options options = {.chunks = 3, .verify = wrong};
        struct stream_sum sum;
        struct reason why = {0};
        struct stream *stream;

        rig_append_sample(&sample, 1000000, 3);
        append_as(format, &bytes, &sample);
        scoped_fd int blob = blob_of(&bytes);
        assert_int_equal(stream_open(&stream, blob, &options, NULL), 0);
        assert_int_equal(drain(stream, &out, &sum, &why), CONDITION_INVALID);
        assert_int_equal(out.length, sample.length);
        assert_non_null(strstr(why.text, words));
        stream_close(stream);
        rig_bytes_free(&sample);
        rig_bytes_free(&bytes);
        rig_bytes_free(&out);
    }
}

static void the_digest_of_the_blob_covers_padding_behind_the_data(void **state)
{
    static const uint8_t zeros[700000];
    struct rig_bytes sample = {0}, bytes = {0}, out = {0};
    uint8_t verify[DIGEST_SIZE];
    struct stream_options options = {.chunks = 2, .verify = verify};
    struct stream_sum sum;
    struct stream *stream;

    (void)state;
    rig_append_sample(&sample, 1000, 3);
    append_as(1, &bytes, &sample);
    rig_append(&bytes, zeros, sizeof(zeros));
    SHA256(bytes.data, bytes.length, verify);
    scoped_fd int blob = blob_of(&bytes);
    assert_int_equal(stream_open(&stream, blob, &options, NULL), 0);
    assert_int_equal(drain(stream, &out, &sum, NULL), 0);
    stream_close(stream);
    rig_bytes_free(&sample);
    rig_bytes_free(&bytes);
    rig_bytes_free(&out);
}

static void the_size_limit_is_the_last_size_allowed(void **state)
{
    struct rig_bytes sample = {0};
    struct stream_sum sum;

    (void)state;
    rig_append_sample(&sample, 3 * CHUNK_SIZE, 3);
    for (int i = 0; i < 6; i++) {
        struct stream_options options = {.chunks = 3, .size_limit = sample.length - (i >= 3)};
        struct rig_bytes bytes = {0}, out = {0};
        struct reason why = {0};
        struct stream *stream;
        int result;

        append_as(i % 3, &bytes, &sample);
        scoped_fd int blob = blob_of(&bytes);
        assert_int_equal(stream_open(&stream, blob, &options, NULL), 0);
        result = drain(stream, &out, &sum, &why);
        assert_int_equal(result, i < 3 ? 0 : CONDITION_EXHAUSTED);
        if (result) {
            assert_non_null(strstr(why.text, "786431 bytes"));
            assert_non_null(strstr(why.text, "apply.size_limit"));
            assert_true(out.length <= options.size_limit);
        }
        stream_close(stream);
        rig_bytes_free(&bytes);
        rig_bytes_free(&out);
    }
    rig_bytes_free(&sample);
}

/* 16 MiB of zeros, over and over, as members or frames of their own. */
static void the_ratio_counts_beyond_a_gibibyte(void **state)
{
    const size_t piece = 16 << 20, pieces = STREAM_RATIO_FREE / piece;
    struct rig_bytes zeros = {.data = calloc(1, piece), .length = piece}, packed = {0};

    (void)state;
    assert_non_null(zeros.data);
    append_as(2, &packed, &zeros);
    for (int i = 0; i < 4; i++) {
        /* one piece more than is free, in a blob that may be that large, or not; just what is free;
         * and no limit */
        size_t count = i == 2 ? pieces : pieces + 1;
        unsigned fits =
            (unsigned)((count * piece + count * packed.length - 1) / (count * packed.length));
        struct stream_options options = {.chunks = 3,
                                         .ratio_limit = i == 0   ? fits
                                                        : i == 3 ? 0
                                                                 : 10};
        struct rig_bytes bytes = {0};
        struct reason why = {0};
        struct stream_sum sum;
        struct stream *stream;
        int result;

        for (size_t at = 0; at < count; at++)
            rig_append(&bytes, packed.data, packed.length);
        scoped_fd int blob = blob_of(&bytes);
        assert_int_equal(stream_open(&stream, blob, &options, NULL), 0);
        result = stream_finish(stream, &sum, &why);
        assert_int_equal(result, i == 1 ? CONDITION_EXHAUSTED : 0);
        if (result) {
            assert_non_null(strstr(why.text, "apply.ratio_limit"));
            assert_non_null(strstr(why.text, "more than 10 times its blob"));
        }
        stream_close(stream);
        rig_bytes_free(&bytes);
    }
    rig_bytes_free(&zeros);
    rig_bytes_free(&packed);
}

static void cancelling_ends_a_stream_whose_caller_stands_still(void **state)
{
    struct rig_bytes sample = {0}, bytes = {0};
    atomic_bool cancel = false;
    struct stream_options options = {.chunks = 2, .cancel = &cancel};
    struct stream_sum sum;
    struct reason why = {0};
    struct stream *stream;
    struct chunk *first, *second, *third;

    (void)state;
    rig_append_sample(&sample, 20 * CHUNK_SIZE, 3);
    append_as(1, &bytes, &sample);
    scoped_fd int blob = blob_of(&bytes);
    assert_int_equal(stream_open(&stream, blob, &options, NULL), 0);
    assert_int_equal(stream_next(stream, &first, NULL), 0);
    assert_int_equal(stream_next(stream, &second, NULL), 0);
    /* The pool is empty now: the inflate thread waits, and a further stream_next() would too. */
    atomic_store(&cancel, true);
    assert_int_equal(stream_next(stream, &third, &why), CONDITION_CANCELLED);
    assert_null(third);
    assert_int_equal(stream_finish(stream, &sum, &why), CONDITION_CANCELLED);
    assert_memory_equal(second->data, sample.data + CHUNK_SIZE, CHUNK_SIZE);
    chunk_unref(first);
    chunk_unref(second);
    stream_close(stream);
    rig_bytes_free(&sample);
    rig_bytes_free(&bytes);
}

/* A blob that takes minutes to read and gives nothing: a gzip member of no bytes, and zeros. */
static int endless_blob(void)
{
    struct rig_bytes bytes = {0};
    int blob;

    rig_append_gzip(&bytes, "", 0);
    blob = blob_of(&bytes);
    assert_int_equal(ftruncate(blob, (off_t)1 << 40), 0);
    rig_bytes_free(&bytes);
    return blob;
}

static void *cancel_main(void *cancel)
{
    atomic_store((atomic_bool *)cancel, true);
    return NULL;
}

static void cancelling_reaches_a_caller_that_waits_for_the_next_chunk(void **state)
{
    atomic_bool cancel = false;
    struct stream_options options = {.chunks = 2, .cancel = &cancel};
    struct reason why = {0};
    struct stream *stream;
    struct chunk *chunk;
    pthread_t thread;
    scoped_fd int blob = endless_blob();

    (void)state;
    assert_int_equal(stream_open(&stream, blob, &options, NULL), 0);
    assert_int_equal(pthread_create(&thread, NULL, cancel_main, &cancel), 0);
    assert_int_equal(stream_next(stream, &chunk, &why), CONDITION_CANCELLED);
    assert_string_equal(why.text, "reading the layer was cancelled by its caller");
    assert_int_equal(pthread_join(thread, NULL), 0);
    stream_close(stream);
}

static void closing_does_not_wait_for_a_blob_that_gives_nothing(void **state)
{
    struct stream_options options = {.chunks = 2};
    struct stream *stream;
    scoped_fd int blob = endless_blob();

    (void)state;
    assert_int_equal(stream_open(&stream, blob, &options, NULL), 0);
    stream_close(stream);
}

static void a_stream_may_be_closed_at_any_moment(void **state)
{
    struct rig_bytes sample = {0}, bytes = {0};

    (void)state;
    rig_append_sample(&sample, 20 * CHUNK_SIZE, 3);
    append_as(1, &bytes, &sample);
    scoped_fd int blob = blob_of(&bytes);
    assert_null(stream_close(NULL));
    for (int takes = 0; takes < 12; takes++) {
        struct stream_options options = {.chunks = 2 + (size_t)takes % 5};
        struct stream *stream;

        assert_int_equal(stream_open(&stream, blob, &options, NULL), 0);
        for (int i = 0; i < takes; i++) {
            struct chunk *chunk;

            assert_int_equal(stream_next(stream, &chunk, NULL), 0);
            chunk_unref(chunk);
        }
        stream_close(stream);
    }
    rig_bytes_free(&sample);
    rig_bytes_free(&bytes);
}

static void chunks_held_elsewhere_may_come_back_after_the_close(void **state)
{
    struct rig_bytes sample = {0}, bytes = {0};
    struct stream_options options = {.chunks = 3};
    struct stream *stream;
    struct chunk *chunks[3];

    (void)state;
    rig_append_sample(&sample, 20 * CHUNK_SIZE, 3);
    append_as(2, &bytes, &sample);
    scoped_fd int blob = blob_of(&bytes);
    assert_int_equal(stream_open(&stream, blob, &options, NULL), 0);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(stream_next(stream, &chunks[i], NULL), 0);
    stream_close(stream);
    for (size_t i = 0; i < 3; i++) {
        assert_memory_equal(chunks[i]->data, sample.data + i * CHUNK_SIZE, CHUNK_SIZE);
        chunk_unref(chunks[i]);
    }
    rig_bytes_free(&sample);
    rig_bytes_free(&bytes);
}

#define WRITER_COUNT 3

struct writer {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct chunk *held[8];
    size_t count;
    bool ended;
    uint64_t bytes;
};

/* Lets go of chunks in an order and at times that are not the reader's. */
static void *writer_main(void *context)
{
    struct writer *writer = context;

    pthread_mutex_lock(&writer->lock);
    while (!writer->ended || writer->count > 0) {
        struct chunk *chunk;

        if (writer->count == 0) {
            pthread_cond_wait(&writer->changed, &writer->lock);
            continue;
        }
        chunk = writer->held[--writer->count];
        pthread_cond_signal(&writer->changed);
        pthread_mutex_unlock(&writer->lock);
        for (size_t i = 0; i < chunk->length; i++)
            writer->bytes += chunk->data[i];
        chunk_unref(chunk);
        pthread_mutex_lock(&writer->lock);
    }
    pthread_mutex_unlock(&writer->lock);
    return NULL;
}

static void writer_give(struct writer *writer, struct chunk *chunk)
{
    pthread_mutex_lock(&writer->lock);
    while (writer->count == sizeof(writer->held) / sizeof(writer->held[0]))
        pthread_cond_wait(&writer->changed, &writer->lock);
    chunk_ref(chunk);
    writer->held[writer->count++] = chunk;
    pthread_cond_broadcast(&writer->changed);
    pthread_mutex_unlock(&writer->lock);
}

static void slow_writers_never_stall_a_small_pool(void **state)
{
    struct rig_bytes sample = {0}, bytes = {0};
    struct stream_options options = {.chunks = 4};
    struct stream_sum sum;
    struct stream *stream;
    struct chunk *chunk;
    uint64_t wanted = 0, found = 0;
    struct writer writers[WRITER_COUNT];
    pthread_t threads[WRITER_COUNT];

    (void)state;
    rig_append_sample(&sample, 100 * CHUNK_SIZE, 3);
    append_as(1, &bytes, &sample);
    scoped_fd int blob = blob_of(&bytes);
    assert_int_equal(stream_open(&stream, blob, &options, NULL), 0);
    for (size_t i = 0; i < WRITER_COUNT; i++) {
        writers[i] = (struct writer){0};
        pthread_mutex_init(&writers[i].lock, NULL);
        pthread_cond_init(&writers[i].changed, NULL);
        assert_int_equal(pthread_create(&threads[i], NULL, writer_main, &writers[i]), 0);
    }
    for (size_t i = 0; stream_next(stream, &chunk, NULL) == 0 && chunk; i++) {
        for (size_t at = 0; at < chunk->length; at++)
            wanted += chunk->data[at];
        writer_give(&writers[i % WRITER_COUNT], chunk);
        chunk_unref(chunk);
    }
    assert_int_equal(stream_finish(stream, &sum, NULL), 0);
    for (size_t i = 0; i < WRITER_COUNT; i++) {
        pthread_mutex_lock(&writers[i].lock);
        writers[i].ended = true;
        pthread_cond_broadcast(&writers[i].changed);
        pthread_mutex_unlock(&writers[i].lock);
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        found += writers[i].bytes;
        pthread_cond_destroy(&writers[i].changed);
        pthread_mutex_destroy(&writers[i].lock);
    }
    assert_int_equal(found, wanted);
    assert_digest(sum.digest, &sample);
    stream_close(stream);
    rig_bytes_free(&sample);
    rig_bytes_free(&bytes);
}

static void one_chunk_is_not_enough(void **state)
{
    struct stream_options options = {.chunks = 1};
    struct reason why = {0};
    struct stream *stream;

    (void)state;
    assert_int_equal(stream_open(&stream, -1, &options, &why), -EINVAL);
}

static void the_threads_leave_the_callers_signals_alone(void **state)
{
    struct rig_bytes nothing = {0}, out = {0};
    struct stream_options options = {.chunks = 2};
    struct stream_sum sum = {.size = 1};
    struct stream *stream;
    sigset_t none, after;

    (void)state;
    scoped_fd int blob = blob_of(&nothing);
    sigemptyset(&none);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, &none, NULL), 0);
    assert_int_equal(stream_open(&stream, blob, &options, NULL), 0);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &after), 0);
    assert_int_equal(sigismember(&after, SIGTERM), 0);
    assert_int_equal(drain(stream, &out, &sum, NULL), 0);
    assert_int_equal(sum.size, 0);
    stream_close(stream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_format_gives_its_bytes_digest_and_size),
        cmocka_unit_test(chunks_are_full_but_the_last),
        cmocka_unit_test(finishing_early_still_hashes_to_the_end),
        cmocka_unit_test(an_error_comes_after_the_good_bytes_and_stays),
        cmocka_unit_test(a_blob_that_cannot_be_read_is_a_failure),
        cmocka_unit_test(a_wrong_digest_of_the_blob_is_told_by_finish),
        cmocka_unit_test(the_digest_of_the_blob_covers_padding_behind_the_data),
        cmocka_unit_test(the_size_limit_is_the_last_size_allowed),
        cmocka_unit_test(the_ratio_counts_beyond_a_gibibyte),
        cmocka_unit_test(cancelling_ends_a_stream_whose_caller_stands_still),
        cmocka_unit_test(cancelling_reaches_a_caller_that_waits_for_the_next_chunk),
        cmocka_unit_test(closing_does_not_wait_for_a_blob_that_gives_nothing),
        cmocka_unit_test(a_stream_may_be_closed_at_any_moment),
        cmocka_unit_test(chunks_held_elsewhere_may_come_back_after_the_close),
        cmocka_unit_test(slow_writers_never_stall_a_small_pool),
        cmocka_unit_test(one_chunk_is_not_enough),
        cmocka_unit_test(the_threads_leave_the_callers_signals_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
