/* SPDX-License-Identifier: Apache-2.0 */

/*
 * tar_dump [-v] CHUNK FILE…: prints one line for each entry of each archive, as the tar reader sees
 * it when its source hands over CHUNK bytes at a time (0: as many as fit). tests/tools/go/tardump
 * prints the same lines with Go's archive/tar; tests/differential/tar_reader_vs_go.sh compares.
 */

#include "layer/tar_reader.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A larger file (a hole costs no byte of the archive) is not read, by both programs. */
#define READ_LIMIT (1024u * 1024)

struct dump {
    FILE *file;
    struct chunk_pool *pool;
    size_t step;
};

static int next_chunk(void *context, struct chunk **chunk, struct reason *why)
{
    struct dump *dump = context;

    *chunk = chunk_take(dump->pool);
    if (!*chunk)
        return refuse(why, CONDITION_CANCELLED, "the pool is closed");
    (*chunk)->length = fread((*chunk)->data, 1, dump->step, dump->file);
    if ((*chunk)->length == 0) {
        chunk_unref(*chunk);
        *chunk = NULL;
    }
    return 0;
}

static void print_bytes(const void *data, size_t length)
{
    const uint8_t *byte = data;

    putchar('"');
    for (size_t i = 0; i < length; i++) {
        if (byte[i] > ' ' && byte[i] < 0x7f && byte[i] != '"' && byte[i] != '\\')
            putchar(byte[i]);
        else
            printf("\\x%02x", byte[i]);
    }
    putchar('"');
}

static void print_time(const char *what, const struct timespec *time)
{
    if (time->tv_nsec == UTIME_OMIT)
        printf(" %s=-", what);
    else
        printf(" %s=%lld.%09ld", what, (long long)time->tv_sec, time->tv_nsec);
}

static void hash_zeros(EVP_MD_CTX *hash, uint64_t length)
{
    static const uint8_t zeros[4096];

    while (length > 0) {
        size_t part = length < sizeof(zeros) ? (size_t)length : sizeof(zeros);

        EVP_DigestUpdate(hash, zeros, part);
        length -= part;
    }
}

/* The SHA-256 of the file with its holes. */
static int hash_file(struct tar_reader *reader, uint64_t size, uint8_t digest[32],
                     struct reason *why)
{
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    uint64_t position = 0;
    int result;

    EVP_DigestInit_ex(hash, EVP_sha256(), NULL);
    for (;;) {
        struct tar_run run;

        result = tar_reader_data(reader, &run, why);
        if (result != 0 || run.length == 0)
            break;
        if (run.offset < position || run.offset + run.length > size) {
            result = refuse(why, CONDITION_INVALID, "a run is out of order or of bounds");
            printf("BROKEN ");
            break;
        }
        hash_zeros(hash, run.offset - position);
        EVP_DigestUpdate(hash, run.data, run.length);
        position = run.offset + run.length;
    }
    if (result == 0)
        hash_zeros(hash, size - position);
    EVP_DigestFinal_ex(hash, digest, NULL);
    EVP_MD_CTX_free(hash);
    return result;
}

static int print_entry(struct tar_reader *reader, const struct entry *entry, struct reason *why)
{
    static const char *const types[] = {"file",    "dir",      "symlink", "hardlink",
                                        "chardev", "blockdev", "fifo"};
    uint8_t digest[32] = {0};
    bool read = entry->type == ENTRY_FILE && entry->size <= READ_LIMIT;
    int result = read ? hash_file(reader, entry->size, digest, why) : 0;

    if (result != 0)
        return result;
    printf("%s ", types[entry->type]);
    print_bytes(entry->name, strlen(entry->name));
    putchar(' ');
    print_bytes(entry->link, strlen(entry->link));
    printf(" mode=%04o uid=%" PRIu32 " gid=%" PRIu32 " size=%" PRIu64, entry->mode, entry->uid,
           entry->gid, entry->size);
    print_time("mtime", &entry->mtime);
    print_time("atime", &entry->atime);
    if (entry->type == ENTRY_CHARACTER_DEVICE || entry->type == ENTRY_BLOCK_DEVICE)
        printf(" dev=%" PRIu32 ":%" PRIu32, entry->device_major, entry->device_minor);
    for (size_t i = 0; i < entry->xattr_count; i++) {
        const struct entry_xattr *xattr = &entry->xattrs[i];

        putchar(' ');
        print_bytes(xattr->name, strlen(xattr->name));
        putchar('=');
        print_bytes(xattr->value, xattr->length);
    }
    if (read) {
        printf(" sha256=");
        for (size_t i = 0; i < sizeof(digest); i++)
            printf("%02x", digest[i]);
    }
    putchar('\n');
    return 0;
}

static int dump_archive(struct dump *dump, struct reason *why)
{
    const struct entry *entry;
    struct tar_reader *reader;
    int result = tar_reader_new(&reader, next_chunk, dump, why);

    if (result != 0)
        return result;
    while ((result = tar_reader_next(reader, &entry, why)) == 0 && entry)
        if ((result = print_entry(reader, entry, why)) != 0)
            break;
    tar_reader_free(reader);
    return result;
}

int main(int argc, char **argv)
{
    bool verbose = argc > 1 && strcmp(argv[1], "-v") == 0;
    int first = verbose ? 2 : 1;
    struct dump dump = {.pool = chunk_pool_new(2)};

    if (argc <= first || !dump.pool) {
        (void)fprintf(stderr, "usage: tar_dump [-v] CHUNK FILE...\n");
        return 2;
    }
    dump.step = strtoul(argv[first], NULL, 10);
    if (dump.step == 0 || dump.step > CHUNK_SIZE)
        dump.step = CHUNK_SIZE;
    for (int i = first + 1; i < argc; i++) {
        const char *base = strrchr(argv[i], '/');
        struct reason why = {0};
        int result;

        dump.file = fopen(argv[i], "rbe");
        if (!dump.file) {
            perror(argv[i]);
            return 1;
        }
        printf("# %s\n", base ? base + 1 : argv[i]);
        result = dump_archive(&dump, &why);
        printf("%s\n", result == 0 ? "end" : "error");
        if (verbose && result != 0)
            (void)fprintf(stderr, "%s: %d %s\n", argv[i], result, why.text);
        (void)fclose(dump.file);
    }
    chunk_pool_free(dump.pool);
    return 0;
}
