/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/io_ring.h"

#include <errno.h>
#include <stdio.h>

/* Linux 6.9; the liburing of that time is newer than the oldest one we build with. */
#define IO_RING_OP_FTRUNCATE 55

/* The one who submits is the one who takes completions, and only when it asks for them. */
#define IO_RING_FLAGS                                                                              \
    (IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL)

/* kernel.io_uring_disabled; 0 where there is no such switch. */
static int io_ring_switched_off(void)
{
    FILE *file = fopen("/proc/sys/kernel/io_uring_disabled", "re");
    int value = 0;

    if (file && fscanf(file, "%d", &value) != 1)
        value = 0;
    if (file)
        (void)fclose(file);
    return value;
}

static int io_ring_refused(int error, struct reason *why)
{
    int off = io_ring_switched_off();

    switch (error) {
    case EPERM:
        if (off != 0)
            return refuse(why, CONDITION_UNAVAILABLE,
                          "io_uring is switched off (sysctl kernel.io_uring_disabled is %d)", off);
        return refuse(why, CONDITION_UNAVAILABLE,
                      "io_uring is forbidden for this process, most likely by a seccomp filter");
    case ENOSYS:
        return refuse(why, CONDITION_UNAVAILABLE,
                      "the kernel has no io_uring, or a seccomp filter hides it");
    case EINVAL:
        return refuse(why, CONDITION_UNAVAILABLE,
                      "the kernel's io_uring is too old; Linux 6.9 or newer is needed");
    default:
        return failure(why, error, "cannot set up an io_uring");
    }
}

/* Before Linux 6.4 a closed slot kept its file open for up to a second, in which a program in it
 * could not be started (ETXTBSY) and the file system not be unmounted. The operation ftruncate,
 * which is needed anyway, came with 6.9. */
static int io_ring_check(struct io_ring *ring, struct reason *why)
{
    static const int needed[] = {IORING_OP_OPENAT, IORING_OP_WRITE, IORING_OP_CLOSE,
                                 IO_RING_OP_FTRUNCATE};
    struct io_uring_probe *probe = io_uring_get_probe_ring(&ring->ring);
    bool has = probe && (ring->ring.features & IORING_FEAT_CQE_SKIP);

    for (size_t i = 0; has && i < sizeof(needed) / sizeof(needed[0]); i++)
        has = io_uring_opcode_supported(probe, needed[i]);
    io_uring_free_probe(probe);
    return has ? 0 : io_ring_refused(EINVAL, why);
}

int io_ring_init(struct io_ring *ring, unsigned slots, unsigned chain, unsigned workers,
                 struct reason *why)
{
    struct io_uring_params parameters = {.flags = IO_RING_FLAGS};
    /* Bounded ones work on files; the other kind is for sockets and pipes, and 0 would mean to
     * leave the limit as it is. */
    unsigned limits[2] = {workers, 1};
    int result;
    int error;

    *ring = (struct io_ring){.pending = 0};
    error = io_uring_queue_init_params(slots * chain, &ring->ring, &parameters);
    if (error)
        return io_ring_refused(-error, why);
    result = io_ring_check(ring, why);
    if (!result) {
        error = io_uring_register_files_sparse(&ring->ring, slots);
        if (!error)
            error = io_uring_register_iowq_max_workers(&ring->ring, limits);
        if (error)
            result = io_ring_refused(-error, why);
    }
    if (result)
        io_uring_queue_exit(&ring->ring);
    return result;
}

void io_ring_deinit(struct io_ring *ring)
{
    io_uring_queue_exit(&ring->ring);
}

/* ---- requests ---- */

/* There is room: each slot has one chain at most. */
static struct io_uring_sqe *io_ring_request(struct io_ring *ring)
{
    return io_uring_get_sqe(&ring->ring);
}

static void io_ring_queue(struct io_ring *ring, struct io_uring_sqe *request, unsigned flags,
                          uint64_t tag, bool last)
{
    if (!last)
        flags |= IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS;
    io_uring_sqe_set_flags(request, flags);
    io_uring_sqe_set_data64(request, tag);
    if (last)
        ring->pending++;
}

void io_ring_open(struct io_ring *ring, unsigned slot, int directory, const char *name, int flags,
                  uint32_t mode, uint64_t tag, bool last)
{
    struct io_uring_sqe *request = io_ring_request(ring);

    io_uring_prep_openat_direct(request, directory, name, flags, mode, slot);
    io_ring_queue(ring, request, 0, tag, last);
}

void io_ring_write(struct io_ring *ring, unsigned slot, const uint8_t *data, size_t length,
                   uint64_t offset, uint64_t tag, bool last)
{
    struct io_uring_sqe *request = io_ring_request(ring);

    io_uring_prep_write(request, (int)slot, data, (unsigned)length, offset);
    io_ring_queue(ring, request, IOSQE_FIXED_FILE, tag, last);
}

void io_ring_truncate(struct io_ring *ring, unsigned slot, uint64_t size, uint64_t tag, bool last)
{
    struct io_uring_sqe *request = io_ring_request(ring);

    io_uring_prep_rw(IO_RING_OP_FTRUNCATE, request, (int)slot, NULL, 0, size);
    io_ring_queue(ring, request, IOSQE_FIXED_FILE, tag, last);
}

void io_ring_close(struct io_ring *ring, unsigned slot, uint64_t tag, bool last)
{
    struct io_uring_sqe *request = io_ring_request(ring);

    io_uring_prep_close_direct(request, slot);
    io_ring_queue(ring, request, 0, tag, last);
}

/* ---- the way there and back ---- */

int io_ring_submit(struct io_ring *ring, unsigned least, struct reason *why)
{
    for (;;) {
        int done = least > 0 ? io_uring_submit_and_wait(&ring->ring, least)
                             : io_uring_submit_and_get_events(&ring->ring);

        if (done >= 0 && io_uring_sq_ready(&ring->ring) == 0 &&
            io_uring_cq_ready(&ring->ring) >= least)
            return 0;
        /* EAGAIN and EBUSY: the kernel is short of memory, or wants completions to be taken. */
        if (done < 0 && done != -EINTR && done != -EAGAIN && done != -EBUSY)
            return failure(why, -done, "cannot hand files to the kernel's io_uring");
    }
}

bool io_ring_next(struct io_ring *ring, struct io_ring_completion *completion)
{
    struct io_uring_cqe *told;

    if (io_uring_peek_cqe(&ring->ring, &told) != 0 || !told)
        return false;
    *completion = (struct io_ring_completion){.tag = told->user_data, .result = told->res};
    io_uring_cqe_seen(&ring->ring, told);
    ring->pending--;
    return true;
}
