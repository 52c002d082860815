/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/layer/io_rig.h"

#include "base/scoped.h"
#include "unit/cmocka_setup.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

bool io_rig_can_run(void)
{
    const char *lacks = NULL;

    umask(0); /* as the daemon does */
    if (geteuid() != 0)
        lacks = "root";
    else if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        lacks = "a mount namespace";
    if (lacks)
        printf("SKIPPED: this test needs %s\n", lacks);
    return !lacks;
}

int io_rig_open(void **state)
{
    struct io_rig *rig = calloc(1, sizeof(*rig));
    char options[64];

    assert_non_null(rig);
    rig->engine = *state;
    strcpy(rig->path, "/tmp/io-engine-XXXXXX");
    assert_non_null(mkdtemp(rig->path));
    snprintf(options, sizeof(options), "mode=0755,size=%u", IO_RIG_SPACE);
    assert_int_equal(mount("test", rig->path, "tmpfs", 0, options), 0);
    rig->folder = open(rig->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(rig->folder >= 0);
    rig->pool = chunk_pool_new(IO_RIG_CHUNKS);
    rig->chunk = chunk_take(rig->pool);
    for (size_t i = 0; i < CHUNK_SIZE; i++)
        rig->chunk->data[i] = (uint8_t)(i * 7 + i / 251);
    rig->chunk->length = CHUNK_SIZE;
    io_rig_must(rig, rig->engine->open(&rig->handle, &rig->why));
    *state = rig;
    return 0;
}

int io_rig_close(void **state)
{
    struct io_rig *rig = *state;

    if (rig->handle)
        rig->engine->close(rig->handle);
    assert_int_equal(rig->chunk->references, 1);
    chunk_unref(rig->chunk);
    chunk_pool_free(rig->pool);
    close(rig->folder);
    assert_int_equal(umount2(rig->path, 0), 0); /* nothing has a file open */
    rmdir(rig->path);
    free(rig);
    return 0;
}

struct io_file io_rig_file(const struct io_rig *rig, const char *name, uint64_t size)
{
    return (struct io_file){
        .directory = rig->folder,
        .name = name,
        .size = size,
        .metadata = {.mode = 0644,
                     .plain_owner = true,
                     .plain_mode = true,
                     .times = {{1000000001, 123456789}, {1000000000, 987654321}}},
    };
}

int io_rig_make(struct io_rig *rig, const struct io_file *file)
{
    const struct io_engine *engine = rig->engine;
    int result = engine->begin(rig->handle, file, &rig->why);

    for (uint64_t at = 0; !result && at < file->size;) {
        size_t length = file->size - at < CHUNK_SIZE ? (size_t)(file->size - at) : CHUNK_SIZE;

        result = engine->write(rig->handle, rig->chunk, rig->chunk->data, length, at, &rig->why);
        at += length;
    }
    return result ? result : engine->end(rig->handle, &rig->why);
}

int io_rig_make_now(struct io_rig *rig, const struct io_file *file)
{
    int result = io_rig_make(rig, file);

    return result ? result : rig->engine->drain(rig->handle, &rig->why);
}

void io_rig_check_(const struct io_rig *rig, int result, const char *call, const char *file,
                   int line)
{
    if (result == 0)
        return;
    fprintf(stderr, "%s:%d: %s is %d: %s\n", file, line, call, result, rig->why.text);
    _fail(file, line);
}

struct stat io_rig_stat(const struct io_rig *rig, const char *name)
{
    struct stat status;

    assert_int_equal(fstatat(rig->folder, name, &status, AT_SYMLINK_NOFOLLOW), 0);
    return status;
}

void io_rig_holds(const struct io_rig *rig, const char *name, uint64_t offset, size_t start,
                  size_t length)
{
    scoped_fd int fd = openat(rig->folder, name, O_RDONLY | O_CLOEXEC);
    scoped_free uint8_t *found = malloc(length + 1);

    assert_true(fd >= 0);
    assert_non_null(found);
    assert_int_equal(pread(fd, found, length, (off_t)offset), length);
    assert_memory_equal(found, rig->chunk->data + start, length);
}
