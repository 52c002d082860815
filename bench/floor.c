/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The least processor time that unpacking layers can take: inflate, SHA-256, and the bare system
 * calls that make the same files on the same file system, one after another on one thread, with no
 * whiteouts, no resolving of names, no queues. The floor for the time is their sum divided by the
 * cores, or the inflating where that is more: it is one thread's work, one layer after the other.
 *
 *     floor FOLDER BLOB...
 *
 * The file system works in threads of its own too (on btrfs about a third), which no process is
 * charged for: the calls are therefore told twice, as charged to this process and as used by the
 * whole machine meanwhile, which must be quiet.
 */

#include "base/scoped.h"
#include "layer/inflate.h"
#include "layer/tar_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define FLOOR_PATH 4096

struct costs { /* milliseconds of processor time */
    double inflate, hash, parse, calls, machine;
    unsigned long long bytes, entries;
};

/* A layer's uncompressed bytes. */
struct memory {
    uint8_t *data;
    size_t length, at;
    struct chunk_pool *pool;
};

static void die(const char *what, const char *name)
{
    fprintf(stderr, "floor: %s %s: %s\n", what, name, strerror(errno));
    exit(1);
}

static void refuse_blob(const char *name, const struct reason *why)
{
    fprintf(stderr, "floor: %s: %s\n", name, why->text);
    exit(1);
}

static double own_ms(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e3 +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e3;
}

/* Of all processes and of the kernel (proc(5), /proc/stat). */
static double machine_ms(void)
{
    unsigned long long user, nice, system, idle, wait, irq, softirq;
    FILE *stat = fopen("/proc/stat", "re");

    if (!stat || fscanf(stat, "cpu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &system,
                        &idle, &wait, &irq, &softirq) != 7)
        die("read", "/proc/stat");
    fclose(stat);
    return (double)(user + nice + system + irq + softirq) * 1e3 / (double)sysconf(_SC_CLK_TCK);
}

/* ---- inflate and hash ---- */

static int read_blob(void *context, uint8_t *buffer, size_t room, size_t *got, struct reason *why)
{
    ssize_t done = read(*(int *)context, buffer, room);

    if (done < 0)
        return failure(why, errno, "read");
    *got = (size_t)done;
    return 0;
}

static void inflate_blob(int blob, const char *name, struct memory *memory)
{
    struct inflate_input input;
    const struct inflater *inflater;
    struct inflater_handle *handle;
    struct reason why = {0};
    size_t room = (size_t)64 << 20;
    size_t got = 0;
    int result = inflate_input_init(&input, read_blob, &blob, &why);

    if (!result)
        result = inflater_choose(&input, &inflater, &why);
    if (!result)
        result = inflater->open(&handle, &why);
    if (result)
        refuse_blob(name, &why);
    memory->length = memory->at = 0;
    memory->data = malloc(room);
    while (memory->data) {
        size_t want = room - memory->length < CHUNK_SIZE ? room - memory->length : CHUNK_SIZE;

        if (inflater->inflate(handle, &input, memory->data + memory->length, want, &got, &why))
            refuse_blob(name, &why);
        memory->length += got;
        if (got < want)
            break;
        if (memory->length == room)
            memory->data = realloc(memory->data, room *= 2);
    }
    if (!memory->data)
        die("hold", name);
    inflater->close(handle);
    inflate_input_deinit(&input);
}

static void hash_memory(const struct memory *memory)
{
    uint8_t digest[EVP_MAX_MD_SIZE];

    if (!EVP_Digest(memory->data, memory->length, digest, NULL, EVP_sha256(), NULL))
        die("hash", "a layer");
}

/* ---- the calls ---- */

/* The folder of the last entry stays open: entries of one folder come together. */
struct folder {
    int root, fd;
    char name[FLOOR_PATH];
};

static const char *enter(struct folder *folder, const char *path)
{
    const char *base;
    size_t length;

    while (*path == '/' || (*path == '.' && (path[1] == '/' || !path[1])))
        path++;
    base = strrchr(path, '/');
    length = base ? (size_t)(base - path) : 0;
    if (length >= FLOOR_PATH)
        return NULL;
    if (strncmp(folder->name, path, length) != 0 || folder->name[length]) {
        memcpy(folder->name, path, length);
        folder->name[length] = '\0';
        if (folder->fd != folder->root)
            close(folder->fd);
        folder->fd = length ? openat(folder->root, folder->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
                            : folder->root;
    }
    return base ? base + 1 : path;
}

static void make_file(int folder, const char *name, const struct entry *entry,
                      struct tar_reader *reader)
{
    scoped_fd int fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, entry->mode);
    const struct timespec times[2] = {entry->mtime, entry->mtime};
    struct tar_run run;

    while (tar_reader_data(reader, &run, NULL) == 0 && run.length > 0)
        if (fd >= 0 && pwrite(fd, run.data, run.length, (off_t)run.offset) < 0)
            die("write", name);
    if (fd < 0)
        return; /* twice in one layer: seldom, and no matter here */
    if ((entry->uid || entry->gid) && fchown(fd, entry->uid, entry->gid) < 0)
        die("chown", name);
    futimens(fd, times);
}

static void make_entry(struct folder *folder, const struct entry *entry, struct tar_reader *reader)
{
    char path[FLOOR_PATH];
    const char *name;
    size_t length = strlen(entry->name);

    if (length >= sizeof(path))
        return;
    memcpy(path, entry->name, length + 1);
    while (length > 1 && path[length - 1] == '/')
        path[--length] = '\0';
    name = enter(folder, path);
    if (!name || !*name || folder->fd < 0)
        return;
    switch (entry->type) {
    case ENTRY_FILE:
        make_file(folder->fd, name, entry, reader);
        break;
    case ENTRY_DIRECTORY:
        if (mkdirat(folder->fd, name, entry->mode) < 0 && errno != EEXIST)
            die("mkdir", name);
        break;
    case ENTRY_SYMLINK:
        if (symlinkat(entry->link, folder->fd, name) < 0 && errno != EEXIST)
            die("link", name);
        break;
    case ENTRY_HARDLINK:
        if (linkat(folder->root, entry->link[0] == '/' ? entry->link + 1 : entry->link, folder->fd,
                   name, 0) < 0 &&
            errno != EEXIST && errno != ENOENT) /* ENOENT: to a file of a lower layer */
            die("link", name);
        break;
    case ENTRY_CHARACTER_DEVICE:
    case ENTRY_BLOCK_DEVICE:
    case ENTRY_FIFO:
        break;
    }
}

static int next_chunk(void *context, struct chunk **chunk, struct reason *why)
{
    struct memory *memory = context;
    size_t left = memory->length - memory->at;

    (void)why;
    *chunk = NULL;
    if (left == 0)
        return 0;
    *chunk = chunk_take(memory->pool);
    (*chunk)->length = left < CHUNK_SIZE ? left : CHUNK_SIZE;
    memcpy((*chunk)->data, memory->data + memory->at, (*chunk)->length);
    memory->at += (*chunk)->length;
    return 0;
}

/* Reads the archive in MEMORY, and makes its files below FOLDER if that is not NULL. */
static unsigned long long walk(struct memory *memory, struct folder *folder, const char *name)
{
    struct reason why = {0};
    struct tar_reader *reader;
    const struct entry *entry;
    unsigned long long entries = 0;
    int result;

    memory->at = 0;
    memory->pool = chunk_pool_new(8);
    if (!memory->pool || tar_reader_new(&reader, next_chunk, memory, &why))
        refuse_blob(name, &why);
    while ((result = tar_reader_next(reader, &entry, &why)) == 0 && entry) {
        entries++;
        if (folder)
            make_entry(folder, entry, reader);
    }
    if (result)
        refuse_blob(name, &why);
    tar_reader_free(reader);
    memory->pool = chunk_pool_free(memory->pool);
    return entries;
}

static void measure(const char *blob_name, int root, struct costs *costs)
{
    struct memory memory = {0};
    struct folder folder = {.root = root, .fd = root};
    scoped_fd int blob = open(blob_name, O_RDONLY | O_CLOEXEC);
    double at, machine;

    if (blob < 0)
        die("open", blob_name);
    at = own_ms();
    inflate_blob(blob, blob_name, &memory);
    costs->inflate += own_ms() - at;
    at = own_ms();
    hash_memory(&memory);
    costs->hash += own_ms() - at;
    at = own_ms();
    costs->entries += walk(&memory, NULL, blob_name);
    double parse = own_ms() - at;
    sync();
    at = own_ms();
    machine = machine_ms();
    walk(&memory, &folder, blob_name);
    if (syncfs(root) < 0)
        die("sync", "the folder");
    costs->calls += own_ms() - at - parse;
    costs->machine += machine_ms() - machine - parse;
    costs->parse += parse;
    costs->bytes += memory.length;
    free(memory.data);
    if (folder.fd >= 0 && folder.fd != root)
        close(folder.fd);
}

int main(int argc, char **argv)
{
    struct costs costs = {0};
    char name[32];

    if (argc < 3) {
        fprintf(stderr, "usage: floor FOLDER BLOB...\n");
        return 2;
    }
    umask(0);
    for (int i = 2; i < argc; i++) {
        /* A folder a layer: what a layer of an image replaces is not made twice here. */
        snprintf(name, sizeof(name), "%d", i - 1);
        scoped_fd int parent = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (parent < 0 || mkdirat(parent, name, 0755) < 0)
            die("make a folder in", argv[1]);
        scoped_fd int root = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        measure(argv[i], root, &costs);
    }
    printf("{\"inflate_ms\": %.0f, \"hash_ms\": %.0f, \"parse_ms\": %.0f, \"calls_ms\": %.0f, "
           "\"machine_ms\": %.0f, \"bytes\": %llu, \"entries\": %llu}\n",
           costs.inflate, costs.hash, costs.parse, costs.calls, costs.machine, costs.bytes,
           costs.entries);
    return 0;
}
