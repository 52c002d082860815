/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What the kernel rarely does to a chain: requests that end early or without a reason. The program
 * is linked so that the engine's calls of io_ring_write() and so on come here first; a request that
 * shall fail is turned into one that the kernel refuses, so that the chain breaks there indeed, and
 * its completion is given the error that was asked for.
 */

#include "unit/layer/io_rig.h"

#include "layer/io_ring.h"
#include "unit/cmocka_setup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum fault_call { FAULT_NONE, FAULT_OPEN, FAULT_WRITE, FAULT_TRUNCATE, FAULT_CLOSE };

static struct fault {
    enum fault_call call;
    unsigned after; /* calls of that kind that go well before */
    unsigned times;
    int error;

    uint64_t tag; /* of the one that is to fail */
    bool armed;
    unsigned done;
} fault;

#define FAULT_NO_SLOT 9999u

static unsigned fault_slot(enum fault_call call, unsigned slot, uint64_t tag)
{
    if (fault.call != call || fault.armed || fault.done == fault.times)
        return slot;
    if (fault.after > 0) {
        fault.after--;
        return slot;
    }
    fault.armed = true;
    fault.tag = tag;
    return FAULT_NO_SLOT;
}

void __real_io_ring_open(struct io_ring *ring, unsigned slot, int directory, const char *name,
                         int flags, uint32_t mode, uint64_t tag, bool last);
void __wrap_io_ring_open(struct io_ring *ring, unsigned slot, int directory, const char *name,
                         int flags, uint32_t mode, uint64_t tag, bool last);
void __wrap_io_ring_open(struct io_ring *ring, unsigned slot, int directory, const char *name,
                         int flags, uint32_t mode, uint64_t tag, bool last)
{
    /* A slot that is none would leave the file made: the folder must be the wrong one. */
    if (fault_slot(FAULT_OPEN, slot, tag) != slot)
        directory = -1;
    __real_io_ring_open(ring, slot, directory, name, flags, mode, tag, last);
}

void __real_io_ring_write(struct io_ring *ring, unsigned slot, const uint8_t *data, size_t length,
                          uint64_t offset, uint64_t tag, bool last);
void __wrap_io_ring_write(struct io_ring *ring, unsigned slot, const uint8_t *data, size_t length,
                          uint64_t offset, uint64_t tag, bool last);
void __wrap_io_ring_write(struct io_ring *ring, unsigned slot, const uint8_t *data, size_t length,
                          uint64_t offset, uint64_t tag, bool last)
{
    __real_io_ring_write(ring, fault_slot(FAULT_WRITE, slot, tag), data, length, offset, tag, last);
}

void __real_io_ring_truncate(struct io_ring *ring, unsigned slot, uint64_t size, uint64_t tag,
                             bool last);
void __wrap_io_ring_truncate(struct io_ring *ring, unsigned slot, uint64_t size, uint64_t tag,
                             bool last);
void __wrap_io_ring_truncate(struct io_ring *ring, unsigned slot, uint64_t size, uint64_t tag,
                             bool last)
{
    __real_io_ring_truncate(ring, fault_slot(FAULT_TRUNCATE, slot, tag), size, tag, last);
}

void __real_io_ring_close(struct io_ring *ring, unsigned slot, uint64_t tag, bool last);
void __wrap_io_ring_close(struct io_ring *ring, unsigned slot, uint64_t tag, bool last);
void __wrap_io_ring_close(struct io_ring *ring, unsigned slot, uint64_t tag, bool last)
{
    __real_io_ring_close(ring, fault_slot(FAULT_CLOSE, slot, tag), tag, last);
}

/* The longest file there may be, once a write has ended short at the present limit; 0: as it is. */
static uint64_t raise_limit_to;
static unsigned short_writes;

bool __real_io_ring_next(struct io_ring *ring, struct io_ring_completion *completion);
bool __wrap_io_ring_next(struct io_ring *ring, struct io_ring_completion *completion);
bool __wrap_io_ring_next(struct io_ring *ring, struct io_ring_completion *completion)
{
    if (!__real_io_ring_next(ring, completion))
        return false;
    if (fault.armed && completion->tag == fault.tag) {
        assert_true(completion->result < 0); /* the chain did break there */
        completion->result = -fault.error;
        fault.armed = false;
        fault.done++;
    }
    if (completion->result > 0 && raise_limit_to > 0) {
        struct rlimit limit = {raise_limit_to, RLIM_INFINITY};

        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
        short_writes++;
    }
    return true;
}

static int open_without_faults(void **state)
{
    memset(&fault, 0, sizeof(fault));
    raise_limit_to = 0;
    short_writes = 0;
    *state = (void *)&io_engine_uring;
    return io_rig_open(state);
}

/* Three files, the second of which meets FAULT, with a gap at its end. */
static int make_with(struct io_rig *rig, struct fault wanted)
{
    const struct io_engine *engine = rig->engine;
    struct io_file first = io_rig_file(rig, "first", 5000);
    struct io_file second = io_rig_file(rig, "second", 3 * CHUNK_SIZE);
    struct io_file third = io_rig_file(rig, "third", 5000);
    int result = io_rig_make_now(rig, &first);

    fault = wanted;
    if (!result)
        result = engine->begin(rig->handle, &second, &rig->why);
    for (unsigned i = 0; !result && i < 2; i++)
        result = engine->write(rig->handle, rig->chunk, rig->chunk->data, CHUNK_SIZE,
                               (uint64_t)i * CHUNK_SIZE, &rig->why);
    if (!result)
        result = engine->end(rig->handle, &rig->why);
    if (!result)
        result = io_rig_make(rig, &third);
    if (!result)
        result = engine->drain(rig->handle, &rig->why);
    return result;
}

static void all_three_are_whole(const struct io_rig *rig)
{
    io_rig_holds(rig, "first", 0, 0, 5000);
    io_rig_holds(rig, "second", 0, 0, CHUNK_SIZE);
    io_rig_holds(rig, "second", CHUNK_SIZE, 0, CHUNK_SIZE);
    io_rig_holds(rig, "third", 0, 0, 5000);
    assert_int_equal(io_rig_stat(rig, "second").st_size, 3 * CHUNK_SIZE);
    assert_int_equal(io_rig_stat(rig, "second").st_mtim.tv_nsec, 987654321);
    assert_int_equal(rig->chunk->references, 1);
}

static void a_request_that_was_given_up_is_made_again(void **state)
{
    static const int errors[] = {EINTR, EAGAIN, ECANCELED};
    static const char *const names[] = {"first", "second", "third"};
    struct io_rig *rig = *state;

    for (unsigned error = 0; error < 3; error++)
        for (enum fault_call call = FAULT_OPEN; call <= FAULT_CLOSE; call++)
            for (unsigned times = 1; times <= 3; times++) {
                unsigned after = call == FAULT_WRITE ? times - 1 : 0;

                io_rig_must(rig, make_with(rig, (struct fault){.call = call,
                                                               .after = after,
                                                               .times = times,
                                                               .error = errors[error]}));
                assert_int_equal(fault.done, times);
                all_three_are_whole(rig);
                for (unsigned i = 0; i < 3; i++)
                    assert_int_equal(unlinkat(rig->folder, names[i], 0), 0);
            }
}

static void a_request_that_is_always_given_up_ends_the_work(void **state)
{
    struct io_rig *rig = *state;

    assert_int_equal(
        make_with(rig, (struct fault){.call = FAULT_WRITE, .times = 100000, .error = ECANCELED}),
        -ECANCELED);
    assert_non_null(strstr(rig->why.text, "cannot write the file \"second\""));
    fault.call = FAULT_NONE;
}

static void a_failure_says_what_was_done_to_which_file(void **state)
{
    static const struct {
        enum fault_call call;
        int error, result;
        const char *says;
    } cases[] = {
        {FAULT_OPEN, EMFILE, -EMFILE, "cannot make the file \"second\""},
        {FAULT_WRITE, EDQUOT, CONDITION_EXHAUSTED, "cannot write the file \"second\""},
        {FAULT_TRUNCATE, EIO, CONDITION_UNAVAILABLE, "cannot set the size of \"second\""},
        {FAULT_CLOSE, EIO, CONDITION_UNAVAILABLE, "cannot close the file \"second\""},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        void *own;
        struct io_rig *rig;

        open_without_faults(&own);
        rig = own;
        assert_int_equal(
            make_with(rig,
                      (struct fault){.call = cases[i].call, .times = 1, .error = cases[i].error}),
            cases[i].result);
        assert_non_null(strstr(rig->why.text, cases[i].says));
        /* It stays so, whatever is asked for next. */
        assert_int_equal(rig->engine->drain(rig->handle, &rig->why), cases[i].result);
        io_rig_close(&own);
    }
}

/* A real one: the limit on the length of files lets a part of it through. */
static void a_short_write_is_finished(void **state)
{
    const struct rlimit tight = {100000, RLIM_INFINITY}, none = {RLIM_INFINITY, RLIM_INFINITY};
    struct io_rig *rig = *state;
    struct io_file file = io_rig_file(rig, "short", 2 * CHUNK_SIZE);

    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    raise_limit_to = RLIM_INFINITY;
    io_rig_must(rig, io_rig_make_now(rig, &file));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    assert_int_equal(short_writes, 1);
    io_rig_holds(rig, "short", 0, 0, CHUNK_SIZE);
    io_rig_holds(rig, "short", CHUNK_SIZE, 0, CHUNK_SIZE);
    assert_int_equal(io_rig_stat(rig, "short").st_size, 2 * CHUNK_SIZE);
}

static void a_write_that_stays_short_is_refused(void **state)
{
    const struct rlimit tight = {100000, RLIM_INFINITY}, none = {RLIM_INFINITY, RLIM_INFINITY};
    struct io_rig *rig = *state;
    struct io_file file = io_rig_file(rig, "short", 2 * CHUNK_SIZE);

    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    assert_int_equal(io_rig_make_now(rig, &file), CONDITION_INVALID);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    assert_non_null(strstr(rig->why.text, "cannot write the file \"short\""));
    io_rig_holds(rig, "short", 0, 0, 100000);
}

#define FAULT_TEST(test) cmocka_unit_test_setup_teardown(test, open_without_faults, io_rig_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FAULT_TEST(a_request_that_was_given_up_is_made_again),
        FAULT_TEST(a_request_that_is_always_given_up_ends_the_work),
        cmocka_unit_test(a_failure_says_what_was_done_to_which_file),
        FAULT_TEST(a_short_write_is_finished),
        FAULT_TEST(a_write_that_stays_short_is_refused),
    };
    struct reason missing = {0};

    signal(SIGXFSZ, SIG_IGN);
    if (!io_rig_can_run())
        return 77;
    if (io_engine_uring.probe(&missing) != 0) {
        printf("SKIPPED: %s\n", missing.text);
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
