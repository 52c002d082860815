/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/writer.h"

#include "unit/cmocka_setup.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * The engine is a liar: it makes no files, keeps chunks until it is drained, fails at a chosen call
 * or stands still at a gate, and notes what it was asked for.
 */

#define CHUNKS 8u
#define NEVER 1000000u

struct io_engine_handle {
    const struct io_file *file;
    int directory;
    uint64_t seen; /* bytes of the file */
    uint8_t sum;
    struct chunk *held[4 * CHUNKS];
    unsigned held_count;
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned calls;   /* of all functions but close() */
    unsigned fail_at; /* this call and all after it fail */
    bool late;        /* chunks are given back by drain() and close() only */
    bool gate_closed; /* end() of a file in the folder GATED, or of any, waits */
    int gated;        /* -1: any */
    unsigned waiting; /* at the gate */
    unsigned files, failures;
    uint64_t bytes, seconds;
    unsigned handles; /* open now */
    bool misused;
} liar = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static int liar_call(const char *what, struct reason *why)
{
    int result = 0;

    pthread_mutex_lock(&liar.lock);
    if (++liar.calls >= liar.fail_at) {
        liar.failures++;
        result = failure(why, EIO, "%s number %u", what, liar.failures);
    }
    pthread_mutex_unlock(&liar.lock);
    return result;
}

static void liar_misused(bool misused)
{
    if (!misused)
        return;
    pthread_mutex_lock(&liar.lock);
    liar.misused = true;
    pthread_mutex_unlock(&liar.lock);
}

static void liar_let_go(struct io_engine_handle *handle)
{
    while (handle->held_count > 0)
        chunk_unref(handle->held[--handle->held_count]);
}

static int liar_open(struct io_engine_handle **handle, struct reason *why)
{
    int result = liar_call("open", why);

    if (result)
        return result;
    *handle = calloc(1, sizeof(**handle));
    pthread_mutex_lock(&liar.lock);
    liar.handles++;
    pthread_mutex_unlock(&liar.lock);
    return 0;
}

static void liar_close(struct io_engine_handle *handle)
{
    liar_let_go(handle);
    free(handle);
    pthread_mutex_lock(&liar.lock);
    liar.handles--;
    pthread_mutex_unlock(&liar.lock);
}

static int liar_begin(struct io_engine_handle *handle, const struct io_file *file,
                      struct reason *why)
{
    liar_misused(handle->file || fcntl(file->directory, F_GETFD) < 0);
    handle->file = file;
    handle->seen = 0;
    handle->sum = 0;
    for (size_t i = 0; i < file->metadata.xattr_count; i++)
        liar_misused(file->metadata.xattrs[i].length < 1 ||
                     file->metadata.xattrs[i].value[0] !=
                         (uint8_t)file->metadata.xattrs[i].name[0]);
    return liar_call("begin", why);
}

static int liar_write(struct io_engine_handle *handle, struct chunk *chunk, const uint8_t *data,
                      size_t length, uint64_t offset, struct reason *why)
{
    liar_misused(!handle->file || offset != handle->seen || data < chunk->data ||
                 data + length > chunk->data + CHUNK_SIZE);
    handle->seen += length;
    handle->sum = (uint8_t)(handle->sum + data[0]);
    if (liar.late) {
        liar_misused(handle->held_count == 4 * CHUNKS);
        chunk_ref(handle->held[handle->held_count++] = chunk);
    }
    return liar_call("write", why);
}

static int liar_end(struct io_engine_handle *handle, struct reason *why)
{
    const struct io_file *file = handle->file;

    liar_misused(!file || handle->seen != file->size);
    handle->file = NULL;
    pthread_mutex_lock(&liar.lock);
    liar.waiting++;
    pthread_cond_broadcast(&liar.changed);
    while (liar.gate_closed && (liar.gated < 0 || (file && file->directory == liar.gated)))
        pthread_cond_wait(&liar.changed, &liar.lock);
    liar.waiting--;
    liar.files++;
    liar.bytes += handle->seen;
    liar.seconds += file ? (uint64_t)file->metadata.times[1].tv_sec : 0;
    pthread_mutex_unlock(&liar.lock);
    return liar_call("end", why);
}

static int liar_drain(struct io_engine_handle *handle, struct reason *why)
{
    liar_let_go(handle);
    return liar_call("drain", why);
}

static const struct io_engine lying = {
    .name = "lying",
    .open = liar_open,
    .close = liar_close,
    .begin = liar_begin,
    .write = liar_write,
    .end = liar_end,
    .drain = liar_drain,
};

static void open_gate(void)
{
    pthread_mutex_lock(&liar.lock);
    liar.gate_closed = false;
    pthread_cond_broadcast(&liar.changed);
    pthread_mutex_unlock(&liar.lock);
}

static void wait_at_gate(void)
{
    pthread_mutex_lock(&liar.lock);
    while (liar.waiting == 0)
        pthread_cond_wait(&liar.changed, &liar.lock);
    pthread_mutex_unlock(&liar.lock);
}

/* ---- the rig: folders, chunks and a pool of writers ---- */

#define FOLDERS 40

struct rig {
    _Atomic unsigned open;
    struct directory *folders[FOLDERS];
    struct chunk_pool *chunks;
    struct writer_pool *writers;
    unsigned taken; /* under the liar's lock */
    atomic_bool cancel;
    struct reason why;
};

static int setup(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));

    assert_non_null(rig);
    liar.calls = liar.files = liar.failures = liar.waiting = liar.handles = 0;
    liar.bytes = liar.seconds = 0;
    liar.fail_at = NEVER;
    liar.late = liar.gate_closed = liar.misused = false;
    liar.gated = -1;
    for (size_t i = 0; i < FOLDERS; i++) {
        struct directory *folder = calloc(1, sizeof(*folder));

        assert_non_null(folder);
        folder->fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        folder->name = strdup("folder");
        folder->open = &rig->open;
        atomic_init(&folder->references, 1);
        atomic_fetch_add(&rig->open, 1);
        rig->folders[i] = folder;
    }
    rig->chunks = chunk_pool_new(CHUNKS);
    assert_non_null(rig->chunks);
    *state = rig;
    return 0;
}

static void start(struct rig *rig, unsigned writers)
{
    assert_int_equal(writer_pool_new(&rig->writers, &lying, writers, &rig->cancel, &rig->why), 0);
}

/* Ends the writers, and looks that nothing was kept back: no handle, chunk or folder. */
static void stop(struct rig *rig)
{
    struct chunk *all[CHUNKS];

    rig->writers = writer_pool_free(rig->writers);
    assert_int_equal(liar.handles, 0);
    assert_false(liar.misused);
    for (size_t i = 0; i < FOLDERS; i++)
        assert_int_equal(atomic_load(&rig->folders[i]->references), 1);
    for (size_t i = 0; i < CHUNKS; i++)
        all[i] = chunk_take(rig->chunks); /* stands still for ever if one was lost */
    for (size_t i = 0; i < CHUNKS; i++)
        chunk_unref(all[i]);
}

static int teardown(void **state)
{
    struct rig *rig = *state;

    open_gate();
    rig->writers = writer_pool_free(rig->writers);
    for (size_t i = 0; i < FOLDERS; i++)
        directory_unref(rig->folders[i]);
    chunk_pool_free(rig->chunks);
    free(rig);
    return 0;
}

/* A file of PIECES chunks, each taken from the pool just before. */
static int make_file(struct rig *rig, unsigned folder, unsigned pieces)
{
    const struct io_file file = {.name = "file", .size = (uint64_t)pieces * 1000};
    int result = writer_pool_begin(rig->writers, rig->folders[folder], &file, &rig->why);

    for (unsigned i = 0; !result && i < pieces; i++) {
        struct chunk *chunk = chunk_take(rig->chunks);

        memset(chunk->data, (int)i, 1000);
        chunk->length = 1000;
        result =
            writer_pool_data(rig->writers, chunk, chunk->data, 1000, (uint64_t)i * 1000, &rig->why);
        chunk_unref(chunk);
    }
    return result ? result : writer_pool_end(rig->writers, &rig->why);
}

static int wait_all(struct rig *rig)
{
    return writer_pool_wait(rig->writers, writer_pool_all(rig->writers), &rig->why);
}

/* ---- what is tested ---- */

static void every_file_is_made_before_the_wait_ends(void **state)
{
    struct rig *rig = *state;

    start(rig, 3);
    for (unsigned i = 0; i < 3000; i++)
        assert_int_equal(make_file(rig, i % FOLDERS, i % 4), 0);
    assert_int_equal(wait_all(rig), 0);
    assert_int_equal(liar.files, 3000);
    assert_int_equal(liar.bytes, 750 * (1 + 2 + 3) * 1000);
    assert_int_equal(wait_all(rig), 0);
    stop(rig);
}

/* Only draining gives a chunk back, and the caller stands in chunk_take() meanwhile. */
static void a_late_engine_does_not_starve_the_caller(void **state)
{
    struct rig *rig = *state;

    liar.late = true;
    start(rig, 2);
    assert_int_equal(make_file(rig, 0, 500), 0);
    for (unsigned i = 0; i < 500; i++)
        assert_int_equal(make_file(rig, i % 3, 3), 0);
    assert_int_equal(wait_all(rig), 0);
    assert_int_equal(liar.files, 501);
    stop(rig);
}

/* 1000 files; how many of them were taken is told at the gate. */
static void *make_many(void *argument)
{
    struct rig *rig = argument;

    for (unsigned i = 0; i < 1000; i++) {
        const struct io_file file = {.name = "file", .metadata.times = {{0}, {.tv_sec = i}}};

        if (writer_pool_begin(rig->writers, rig->folders[0], &file, &rig->why) ||
            writer_pool_end(rig->writers, &rig->why))
            return rig;
        pthread_mutex_lock(&liar.lock);
        rig->taken = i + 1;
        pthread_cond_broadcast(&liar.changed);
        pthread_mutex_unlock(&liar.lock);
    }
    return NULL;
}

static void a_slow_engine_holds_the_caller_up_and_no_more(void **state)
{
    struct rig *rig = *state;
    pthread_t caller;
    void *result;

    liar.gate_closed = true;
    start(rig, 1);
    assert_int_equal(pthread_create(&caller, NULL, make_many, rig), 0);
    wait_at_gate();
    pthread_mutex_lock(&liar.lock);
    while (rig->taken < 256) /* a full queue */
        pthread_cond_wait(&liar.changed, &liar.lock);
    pthread_mutex_unlock(&liar.lock);
    open_gate();
    assert_int_equal(pthread_join(caller, &result), 0);
    assert_null(result);
    assert_int_equal(wait_all(rig), 0);
    assert_int_equal(liar.files, 1000);
    assert_int_equal(liar.seconds, 999 * 1000 / 2); /* each of them once */
    stop(rig);
}

static void only_the_writers_asked_for_are_waited_for(void **state)
{
    struct rig *rig = *state;

    liar.gate_closed = true;
    liar.gated = rig->folders[0]->fd;
    start(rig, 2);
    assert_int_equal(make_file(rig, 0, 0), 0);
    wait_at_gate();
    assert_int_equal(make_file(rig, 1, 0), 0);
    assert_int_not_equal(rig->folders[0]->busy, rig->folders[1]->busy);
    assert_int_equal(writer_pool_wait(rig->writers, rig->folders[1]->busy, &rig->why), 0);
    assert_int_equal(liar.files, 1);
    open_gate();
    assert_int_equal(wait_all(rig), 0);
    assert_int_equal(liar.files, 2);
    stop(rig);
}

static void a_folder_keeps_to_its_writer_until_that_lags(void **state)
{
    struct rig *rig = *state;
    unsigned first;

    liar.gate_closed = true;
    liar.gated = rig->folders[0]->fd;
    start(rig, 2);
    assert_int_equal(make_file(rig, 0, 0), 0);
    first = rig->folders[0]->writer;
    wait_at_gate();
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(make_file(rig, 0, 0), 0);
    assert_int_equal(rig->folders[0]->writer, first);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(make_file(rig, 0, 0), 0);
    assert_int_not_equal(rig->folders[0]->writer, first);
    assert_int_equal(rig->folders[0]->busy, 3);
    open_gate();
    assert_int_equal(wait_all(rig), 0);
    assert_int_equal(liar.files, 201);
    stop(rig);
}

/* Fails at each of the first calls in turn, and at some later ones. */
static void the_first_error_ends_the_work_and_is_told_for_ever(void **state)
{
    for (unsigned at = 1; at < 400; at += at < 40 ? 1 : 37) {
        struct rig *rig = *state;
        struct reason first;
        int result = 0;

        liar.fail_at = at;
        liar.late = at % 2 == 0;
        start(rig, 1 + at % 3);
        for (unsigned i = 0; !result && i < 2000; i++)
            result = make_file(rig, i % FOLDERS, i % 5);
        if (!result)
            result = wait_all(rig);
        assert_int_equal(result, -EIO);
        first = rig->why;
        if (at % 3 == 0) /* of several writers, any may be the first to tell */
            assert_non_null(strstr(first.text, "number 1:"));
        assert_int_equal(make_file(rig, 0, 1), -EIO);
        assert_string_equal(rig->why.text, first.text);
        assert_int_equal(wait_all(rig), -EIO);
        assert_string_equal(rig->why.text, first.text);
        stop(rig);
        teardown(state);
        setup(state);
    }
}

static void an_engine_that_does_not_open_is_an_error_of_the_first_call(void **state)
{
    struct rig *rig = *state;

    liar.fail_at = 1;
    start(rig, 4);
    (void)make_file(rig, 0, 3);
    assert_int_equal(wait_all(rig), -EIO);
    assert_non_null(strstr(rig->why.text, "open number"));
    assert_int_equal(liar.files, 0);
    stop(rig);
}

static void a_cancelled_pool_throws_its_work_away_and_says_so(void **state)
{
    struct rig *rig = *state;

    liar.gate_closed = true;
    start(rig, 1);
    assert_int_equal(make_file(rig, 0, 0), 0);
    wait_at_gate();
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(make_file(rig, 0, i == 0), 0);
    atomic_store(&rig->cancel, true);
    open_gate();
    assert_int_equal(wait_all(rig), CONDITION_CANCELLED);
    assert_int_equal(liar.files, 1);
    assert_int_equal(make_file(rig, 0, 0), CONDITION_CANCELLED);
    stop(rig);
}

static void a_pool_may_end_at_any_moment(void **state)
{
    struct rig *rig = *state;

    for (unsigned step = 0; step < 6; step++) {
        const struct entry_xattr xattr = {"user.x", (const uint8_t *)"u", 1};
        const struct io_file file = {
            .name = "file", .size = 2000, .metadata = {.xattrs = &xattr, .xattr_count = 1}};
        struct chunk *chunk = chunk_take(rig->chunks);

        liar.late = true;
        start(rig, 2);
        for (unsigned i = 0; i < 50; i++)
            assert_int_equal(make_file(rig, i % FOLDERS, i % 3), 0);
        if (step > 0)
            assert_int_equal(writer_pool_begin(rig->writers, rig->folders[0], &file, NULL), 0);
        for (unsigned i = 1; i < step && i < 3; i++)
            assert_int_equal(writer_pool_data(rig->writers, chunk, chunk->data, 1000,
                                              (i - 1) * UINT64_C(1000), NULL),
                             0);
        if (step > 3)
            assert_int_equal(writer_pool_end(rig->writers, NULL), 0);
        if (step > 4)
            assert_int_equal(wait_all(rig), 0);
        chunk_unref(chunk);
        stop(rig);
        teardown(state);
        setup(state);
        rig = *state;
    }
}

/* They are copied: the caller may write over them at once. They take as little memory as is said.
 */
static void attributes_are_copied_and_bounded(void **state)
{
    struct rig *rig = *state;
    static uint8_t value[1024 * 1024];
    char name[] = "user.x";

    start(rig, 3);
    for (unsigned i = 0; i < 64; i++) {
        const struct entry_xattr xattrs[] = {{name, value, sizeof(value)},
                                             {"v", (uint8_t *)"v", 1}};
        const struct io_file file = {.name = "file",
                                     .metadata = {.xattrs = xattrs, .xattr_count = 2}};

        name[0] = (char)('a' + i % 26);
        value[0] = (uint8_t)name[0];
        assert_int_equal(writer_pool_begin(rig->writers, rig->folders[i % 3], &file, NULL), 0);
        name[0] = '!';
        assert_int_equal(writer_pool_end(rig->writers, NULL), 0);
    }
    assert_int_equal(wait_all(rig), 0);
    assert_int_equal(liar.files, 64);
    stop(rig);
}

static void too_many_attributes_wait_for_those_on_their_way(void **state)
{
    struct rig *rig = *state;
    static uint8_t value[3 * 1024 * 1024] = "u";
    const struct entry_xattr xattr = {"user.x", value, sizeof(value)};
    const struct io_file file = {.name = "file", .metadata = {.xattrs = &xattr, .xattr_count = 1}};

    start(rig, 2);
    for (unsigned i = 1; i < 20; i++) {
        assert_int_equal(writer_pool_begin(rig->writers, rig->folders[0], &file, NULL), 0);
        pthread_mutex_lock(&liar.lock);
        assert_int_equal(liar.files, i - 1); /* two of them would be more than is allowed */
        pthread_mutex_unlock(&liar.lock);
        assert_int_equal(writer_pool_end(rig->writers, NULL), 0);
    }
    stop(rig);
}

static void a_name_of_256_bytes_is_refused(void **state)
{
    struct rig *rig = *state;
    char name[NAME_MAX + 2];
    const struct io_file file = {.name = name};

    memset(name, 'n', sizeof(name));
    name[NAME_MAX + 1] = '\0';
    start(rig, 1);
    assert_int_equal(writer_pool_begin(rig->writers, rig->folders[0], &file, &rig->why),
                     CONDITION_INVALID);
    assert_non_null(strstr(rig->why.text, "255"));
    name[NAME_MAX] = '\0';
    assert_int_equal(writer_pool_begin(rig->writers, rig->folders[0], &file, &rig->why), 0);
    assert_int_equal(writer_pool_end(rig->writers, &rig->why), 0);
    assert_int_equal(wait_all(rig), 0);
    stop(rig);
}

static void the_number_of_writers_has_its_bounds(void **state)
{
    struct rig *rig = *state;

    start(rig, 0);
    assert_int_equal(writer_pool_all(rig->writers), 1);
    stop(rig);
    start(rig, 1000);
    assert_int_equal(writer_pool_all(rig->writers), (UINT64_C(1) << WRITERS_MOST) - 1);
    rig->writers = writer_pool_free(rig->writers);
    assert_null(writer_pool_free(NULL));
}

#define with_rig(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_rig(every_file_is_made_before_the_wait_ends),
        with_rig(a_late_engine_does_not_starve_the_caller),
        with_rig(a_slow_engine_holds_the_caller_up_and_no_more),
        with_rig(only_the_writers_asked_for_are_waited_for),
        with_rig(a_folder_keeps_to_its_writer_until_that_lags),
        with_rig(the_first_error_ends_the_work_and_is_told_for_ever),
        with_rig(an_engine_that_does_not_open_is_an_error_of_the_first_call),
        with_rig(a_cancelled_pool_throws_its_work_away_and_says_so),
        with_rig(a_pool_may_end_at_any_moment),
        with_rig(attributes_are_copied_and_bounded),
        with_rig(too_many_attributes_wait_for_those_on_their_way),
        with_rig(a_name_of_256_bytes_is_refused),
        with_rig(the_number_of_writers_has_its_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
