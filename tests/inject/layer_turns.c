/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A layer of everything, into a folder, while allocations and system calls fail in turn. What an
 * extraction that failed leaves is a part, and thrown away by whoever asked; one that succeeds must
 * have made all of it.
 */

#include "inject/turns.h"
#include "layer/layer.h"
#include "unit/layer/inflate_rig.h"
#include "unit/layer/tar_builder.h"
#include "unit/layer/tree_rig.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define LARGE (CHUNK_SIZE + CHUNK_SIZE / 2) /* a file of two chunks */

static int blob; /* the layer, as it lies in the content store */
static const struct io_engine *engine;

struct extraction {
    struct tree_rig *tree;
    struct layer_result result;
};

/* ---- the layer ---- */

static void add(struct tar_builder *tar, char type, const char *name, const char *link)
{
    tar_builder_header(tar, &(struct tar_member){.name = name,
                                                 .type = type,
                                                 .link = link,
                                                 .mode = type == '5' ? 0755 : 0644,
                                                 .uid = 7,
                                                 .mtime = 1000,
                                                 .format = TAR_FORMAT_USTAR});
}

static void build(struct tar_builder *tar)
{
    static uint8_t large[LARGE];
    char name[64];

    for (size_t i = 0; i < LARGE; i++)
        large[i] = (uint8_t)(i * 7 + i / 251);
    add(tar, '5', "d/", NULL);
    tar_builder_file(tar, "d/f", "text");
    add(tar, '1', "d/h", "d/f");
    add(tar, '2', "d/l", "/else/where");
    add(tar, '6', "d/p", NULL);
    tar_builder_pax(tar, "SCHILY.xattr.user.k", "value", "path", "d/x", NULL);
    tar_builder_file(tar, "short", "with attributes");
    tar_builder_special(tar, 'L', "d/a name told apart", 20);
    tar_builder_file(tar, "short", "with a long name");
    tar_builder_header(
        tar, &(struct tar_member){
                 .name = "d/large", .type = '0', .size = LARGE, .format = TAR_FORMAT_USTAR});
    tar_builder_data(tar, large, LARGE);
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof(name), "implied/%d/deep/file", i);
        tar_builder_file(tar, name, "small");
    }
    tar_builder_file(tar, "d/f", "again");
    add(tar, '0', "below/.wh.gone", NULL);
    add(tar, '0', "opaque/.wh..wh..opq", NULL);
    tar_builder_file(tar, "opaque/new", "stays");
    tar_builder_end(tar);
}

typedef void packer(struct rig_bytes *bytes, const void *data, size_t length);

static void store(packer *pack)
{
    struct tar_builder tar = {0};
    struct rig_bytes packed = {0};

    build(&tar);
    pack(&packed, tar.data, tar.length);
    blob = memfd_create("layer", MFD_CLOEXEC);
    if (blob < 0 || write(blob, packed.data, packed.length) != (ssize_t)packed.length)
        err(2, "the layer cannot be kept");
    rig_bytes_free(&packed);
    tar_builder_deinit(&tar);
}

/* ---- the call ---- */

static void *begin(void)
{
    struct extraction *made = calloc(1, sizeof(*made));
    void *tree;

    if (!made)
        errx(2, "memory is out");
    tree_rig_setup(&tree);
    made->tree = tree;
    tree_rig_folder(tree, "below");
    tree_rig_file(tree, "below/gone", "x");
    tree_rig_folder(tree, "opaque");
    tree_rig_file(tree, "opaque/old", "x");
    return made;
}

static int act(void *state, struct reason *why)
{
    struct extraction *extraction = state;
    const struct layer_request request = {
        .blob = blob,
        .target = extraction->tree->fd,
        .engine = engine,
        .writers = 2,
        .sync = true,
    };

    return layer_apply(&request, &extraction->result, why);
}

/* The tree, and of the large file all its bytes; what was told of it. */
static void describe(void *state, char *text, size_t room)
{
    struct extraction *extraction = state;
    static uint8_t bytes[LARGE + 1];
    uint64_t sum = 0;
    int fd = openat(extraction->tree->fd, "d/large", O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? 0 : read(fd, bytes, sizeof(bytes));

    for (ssize_t i = 0; i < length; i++)
        sum = sum * 31 + bytes[i];
    if (fd >= 0)
        close(fd);
    snprintf(text, room, "%s sum %llu, %llu entries, %llu bytes, id %02x%02x",
             tree_rig_list(extraction->tree, "."), (unsigned long long)sum,
             (unsigned long long)extraction->result.entries,
             (unsigned long long)extraction->result.file_bytes, extraction->result.sum.digest[0],
             extraction->result.sum.digest[1]);
}

static void end(void *state)
{
    struct extraction *extraction = state;
    void *tree = extraction->tree;

    if (tree_rig_teardown(&tree))
        errx(2, "the scratch folder cannot be removed");
    free(extraction);
}

static void take(struct turns *turns, const char *name, const struct io_engine *with, packer *pack,
                 enum shim_kind kind, int error)
{
    const struct turn_call call = {name, begin, act, describe, end, true, false};

    engine = with;
    store(pack);
    turns_take(turns, &call, kind, error);
    close(blob);
}

static int all_memory(void)
{
    struct turns turns = {0};
    struct reason why;

    take(&turns, "Apply of a plain layer", &io_engine_plain, rig_append, SHIM_MEMORY, 0);
    take(&turns, "Apply of a gzip layer", &io_engine_plain, rig_append_gzip, SHIM_MEMORY, 0);
    take(&turns, "Apply of a zstd layer", &io_engine_plain, rig_append_zstd, SHIM_MEMORY, 0);
    if (io_engine_uring.probe(&why) == 0)
        take(&turns, "Apply by io_uring", &io_engine_uring, rig_append, SHIM_MEMORY, 0);
    return turns_end(&turns, "allocations of a layer");
}

static int all_files(void)
{
    static const int errors[] = {EIO, ENOSPC, EINTR, EAGAIN, SHIM_SHORT};
    struct turns turns = {0};

    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        char name[64];

        snprintf(name, sizeof(name), "Apply, %s", errors[i] ? strerrorname_np(errors[i]) : "short");
        take(&turns, name, &io_engine_plain, rig_append_gzip, SHIM_FILES, errors[i]);
    }
    return turns_end(&turns, "file calls of a layer");
}

int main(int count, char **arguments)
{
    umask(0); /* as the daemon does */
    if (!tree_rig_is_root())
        return 77;
    if (count == 2 && strcmp(arguments[1], "memory") == 0)
        return all_memory();
    if (count == 2 && strcmp(arguments[1], "files") == 0)
        return all_files();
    errx(2, "usage: layer_turns memory|files");
}
