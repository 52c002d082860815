/* SPDX-License-Identifier: Apache-2.0 */
#include "crash/tree.h"

#include "base/scoped.h"
#include "crash/chance.h"
#include "unit/layer/tar_builder.h"

#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/*
 * Layer N holds a folder "layer-N" with some files, replaces the file "shared" and the symlink
 * "last", and takes away the folder of layer N + 3: so what a tree holds depends on the order of
 * its layers, and a clone that shares too much with its parent is seen.
 */

#define FILE_MOST (2u << 20)
#define SHARED_SIZE 3000u

static unsigned files_of(uint32_t layer)
{
    return layer == 0 ? 60 : 3 + layer;
}

static size_t size_of(uint32_t layer, unsigned file)
{
    uint64_t seed = layer * 1000 + file;

    if (layer == 1)
        return FILE_MOST / 4;
    return chance_below(&seed, 9000);
}

static uint64_t seed_of(uint32_t layer, unsigned file)
{
    return ((uint64_t)layer << 32) + file + 1;
}

/* ---- the number of a thing: FNV-1a, and sums of those, which no order changes ---- */

static uint64_t mix(uint64_t hash, const void *data, size_t length)
{
    const uint8_t *bytes = data;

    for (size_t i = 0; i < length; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static uint64_t number_of(const char *path, uint32_t mode, const void *data, size_t length)
{
    uint64_t hash = mix(UINT64_C(0xcbf29ce484222325), path, strlen(path) + 1);

    hash = mix(hash, &mode, sizeof(mode));
    return mix(hash, data, length);
}

/* ---- what it should be ---- */

static uint8_t *content_of(uint32_t layer, unsigned file, size_t length)
{
    uint8_t *bytes = malloc(length + 1);

    if (!bytes)
        err(1, "memory");
    chance_fill(seed_of(layer, file), bytes, length);
    return bytes;
}

static uint64_t wanted_file(const char *path, uint32_t mode, uint32_t layer, unsigned file,
                            size_t length)
{
    scoped_free uint8_t *bytes = content_of(layer, file, length);

    return number_of(path, S_IFREG | mode, bytes, length);
}

/* The folder of a layer; each is counted once, by the first who asks. */
static uint64_t wanted_folder(uint32_t layer)
{
    static uint64_t known[TREE_LAYERS];
    char path[64];
    uint64_t sum;

    if (known[layer])
        return known[layer];
    snprintf(path, sizeof(path), "layer-%u", layer);
    sum = number_of(path, S_IFDIR | 0755, "", 0);
    for (unsigned i = 0; i < files_of(layer); i++) {
        snprintf(path, sizeof(path), "layer-%u/%u", layer, i);
        sum += wanted_file(path, 0600 + i % 64, layer, i, size_of(layer, i));
    }
    return known[layer] = sum;
}

static uint64_t wanted_by_hand(uint32_t part)
{
    char path[64];

    snprintf(path, sizeof(path), "by-hand-%u", part);
    return wanted_file(path, 0640, part, 0, size_of(part, 0));
}

uint64_t tree_wanted(const struct tree *tree)
{
    bool there[TREE_LAYERS] = {false};
    int last = -1;
    uint64_t sum = 0;
    char link[64];

    for (unsigned i = 0; i < tree->count; i++) {
        uint32_t part = tree->parts[i];

        if (part >= TREE_LAYERS) {
            sum += wanted_by_hand(part);
            continue;
        }
        there[(part + 3) % TREE_LAYERS] = false;
        there[part] = true;
        last = (int)part;
    }
    for (unsigned i = 0; i < TREE_LAYERS; i++)
        sum += there[i] ? wanted_folder(i) : 0;
    if (last >= 0) {
        snprintf(link, sizeof(link), "layer-%d", last);
        sum += number_of("last", S_IFLNK | 0777, link, strlen(link));
        sum += wanted_file("shared", 0644, (uint32_t)last, 999, SHARED_SIZE);
    }
    return sum;
}

/* ---- what it is ---- */

static bool add_folder(int folder, const char *path, uint64_t *sum);

static bool add_file(int folder, const char *name, const char *path, const struct stat *status,
                     uint64_t *sum)
{
    size_t length = (size_t)status->st_size;
    scoped_free uint8_t *bytes = malloc(length + 1);
    scoped_fd int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

    if (!bytes || fd < 0 || read(fd, bytes, length + 1) != (ssize_t)length)
        return false;
    *sum += number_of(path, status->st_mode, bytes, length);
    return true;
}

static bool add_entry(int folder, const char *name, const char *path, uint64_t *sum)
{
    struct stat status;
    char link[256];
    ssize_t length;
    int inner;

    if (fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return false;
    if (S_ISREG(status.st_mode))
        return add_file(folder, name, path, &status, sum);
    if (S_ISLNK(status.st_mode)) {
        length = readlinkat(folder, name, link, sizeof(link));
        *sum += length < 0 ? 0 : number_of(path, status.st_mode, link, (size_t)length);
        return length >= 0;
    }
    *sum += number_of(path, status.st_mode, "", 0);
    if (!S_ISDIR(status.st_mode))
        return true;
    inner = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return inner >= 0 && add_folder(inner, path, sum);
}

/* Closes FOLDER. */
static bool add_folder(int folder, const char *path, uint64_t *sum)
{
    DIR *directory = fdopendir(folder);
    struct dirent *entry;
    bool whole = directory != NULL;

    while (whole && (errno = 0, entry = readdir(directory)) != NULL) {
        char below[512];

        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(below, sizeof(below), "%s%s%s", path, path[0] ? "/" : "", entry->d_name);
        whole = add_entry(folder, entry->d_name, below, sum);
    }
    whole = whole && errno == 0;
    if (directory)
        closedir(directory);
    else
        close(folder);
    return whole;
}

bool tree_found(const char *path, uint64_t *sum)
{
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    *sum = 0;
    return folder >= 0 && add_folder(folder, "", sum);
}

/* ---- making it ---- */

static void write_whole(const char *path, const void *data, size_t length, mode_t mode)
{
    scoped_fd int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);

    if (fd < 0 || fchmod(fd, mode) < 0 || write(fd, data, length) != (ssize_t)length)
        err(1, "write %s", path);
}

void tree_write_file(const char *volume, uint32_t part)
{
    scoped_free uint8_t *bytes = content_of(part, 0, size_of(part, 0));
    char path[4096];

    snprintf(path, sizeof(path), "%s/by-hand-%u", volume, part);
    write_whole(path, bytes, size_of(part, 0), 0640);
}

static void add_member(struct tar_builder *tar, const char *name, char type, uint32_t mode,
                       const char *link, const void *data, size_t length)
{
    tar_builder_header(tar, &(struct tar_member){.name = name,
                                                 .type = type,
                                                 .mode = mode,
                                                 .link = link,
                                                 .size = (int64_t)length,
                                                 .format = TAR_FORMAT_USTAR});
    tar_builder_data(tar, data, length);
}

static void add_content(struct tar_builder *tar, const char *name, uint32_t mode, uint32_t layer,
                        unsigned file, size_t length)
{
    scoped_free uint8_t *bytes = content_of(layer, file, length);

    add_member(tar, name, '0', mode, NULL, bytes, length);
}

static void build(struct tar_builder *tar, uint32_t layer)
{
    char name[64];

    snprintf(name, sizeof(name), ".wh.layer-%u", (layer + 3) % TREE_LAYERS);
    add_member(tar, name, '0', 0600, NULL, "", 0);
    snprintf(name, sizeof(name), "layer-%u", layer);
    add_member(tar, name, '5', 0755, NULL, "", 0);
    add_member(tar, "last", '2', 0777, name, "", 0);
    for (unsigned i = 0; i < files_of(layer); i++) {
        snprintf(name, sizeof(name), "layer-%u/%u", layer, i);
        add_content(tar, name, 0600 + i % 64, layer, i, size_of(layer, i));
    }
    add_content(tar, "shared", 0644, layer, 999, SHARED_SIZE);
    tar_builder_end(tar);
}

void tree_make_layers(const char *content, struct tree_layer layers[TREE_LAYERS])
{
    for (uint32_t i = 0; i < TREE_LAYERS; i++) {
        scoped(tar_builder_deinit) struct tar_builder tar = {0};
        uint8_t sum[SHA256_DIGEST_LENGTH];
        char path[4096];
        char *hex = layers[i].digest + strlen("sha256:");

        build(&tar, i);
        SHA256(tar.data, tar.length, sum);
        strcpy(layers[i].digest, "sha256:");
        for (unsigned byte = 0; byte < sizeof(sum); byte++)
            sprintf(hex + byte * 2, "%02x", sum[byte]);
        layers[i].size = (int64_t)tar.length;
        snprintf(path, sizeof(path), "%s/blobs/sha256/%s", content, hex);
        write_whole(path, tar.data, tar.length, 0644);
    }
}
