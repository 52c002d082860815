// SPDX-License-Identifier: Apache-2.0
//
// tree_dump [--no-xattr PREFIX]… [--fresh-from SECONDS] DIRECTORY: a tree as text, so that two
// trees are equal exactly when their dumps are. One line a path, sorted by bytes, fields parted by
// tabs:
//
//   path  type  mode  uid:gid  mtime  size  device  content  group  attributes
//
// content is the SHA-256 of a file or the target of a symlink; group is the line of the first path
// of the same inode, for files with several links; attributes are name=hex, sorted. A field that
// says nothing about a type is "-": sizes of directories, for one, differ between file systems.
// Bytes that are not printable are written \xNN. Nothing is followed and no mount point is entered
// on purpose or avoided.

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

struct row {
    char *path; // "." for the root
    struct stat st;
    char *content;
    char *attributes;
};

struct dump {
    struct row *rows;
    size_t count, room;
    const char *ignored[16]; // prefixes of attribute names
    size_t ignored_count;
    time_t fresh_from, fresh_to;
};

static _Noreturn void die(const char *what, const char *path)
{
    fprintf(stderr, "tree_dump: %s '%s': %s\n", what, path, strerror(errno));
    exit(1);
}

static void *must(void *memory)
{
    if (!memory) {
        fputs("tree_dump: out of memory\n", stderr);
        exit(1);
    }
    return memory;
}

static char *text_of(const char *bytes, size_t length)
{
    char *text = must(malloc(length * 4 + 1)), *to = text;
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if (c > 0x20 && c < 0x7f && c != '\\')
            *to++ = (char)c;
        else
            to += sprintf(to, "\\x%02x", c);
    }
    *to = '\0';
    return text;
}

static char *hex_of(const unsigned char *bytes, size_t length)
{
    char *hex = must(malloc(length * 2 + 1));
    for (size_t i = 0; i < length; i++)
        sprintf(hex + 2 * i, "%02x", bytes[i]);
    hex[length * 2] = '\0';
    return hex;
}

static char *file_digest(int parent, const char *name, const char *path)
{
    static unsigned char piece[1 << 20];
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    int fd = openat(parent, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        die("open", path);
    EVP_MD_CTX *hash = must(EVP_MD_CTX_new());
    EVP_DigestInit_ex(hash, EVP_sha256(), NULL);
    for (;;) {
        ssize_t got = read(fd, piece, sizeof piece);
        if (got < 0)
            die("read", path);
        if (got == 0)
            break;
        EVP_DigestUpdate(hash, piece, (size_t)got);
    }
    EVP_DigestFinal_ex(hash, digest, &length);
    EVP_MD_CTX_free(hash);
    close(fd);
    return hex_of(digest, length);
}

static char *link_target(int parent, const char *name, const char *path)
{
    char target[65536];
    ssize_t length = readlinkat(parent, name, target, sizeof target);
    if (length < 0)
        die("readlink", path);
    return text_of(target, (size_t)length);
}

static int by_string(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool attribute_ignored(const struct dump *dump, const char *name)
{
    for (size_t i = 0; i < dump->ignored_count; i++)
        if (strncmp(name, dump->ignored[i], strlen(dump->ignored[i])) == 0)
            return true;
    return false;
}

// The last component is not followed, the directory is reached by its descriptor: long paths are no
// matter.
static char *attributes_of(const struct dump *dump, int parent, const char *name, const char *path)
{
    static char names[65536];
    static unsigned char value[65536];
    char *items[1024], *joined, where[512];
    size_t count = 0, total = 1;

    snprintf(where, sizeof where, "/proc/self/fd/%d/%s", parent, name);
    ssize_t length = llistxattr(where, names, sizeof names);
    if (length < 0 && errno == ENOTSUP)
        return must(strdup("-"));
    if (length < 0)
        die("list attributes of", path);
    for (const char *at = names; at < names + length; at += strlen(at) + 1) {
        if (attribute_ignored(dump, at) || count == 1024)
            continue;
        ssize_t size = lgetxattr(where, at, value, sizeof value);
        if (size < 0)
            die("read an attribute of", path);
        char *key = text_of(at, strlen(at)), *hex = hex_of(value, (size_t)size);
        if (asprintf(&items[count], "%s=%s", key, hex) < 0)
            must(NULL);
        total += strlen(items[count++]) + 1;
        free(key);
        free(hex);
    }
    if (count == 0)
        return must(strdup("-"));
    qsort(items, count, sizeof *items, by_string);
    joined = must(malloc(total));
    char *to = joined;
    for (size_t i = 0; i < count; i++) {
        to += sprintf(to, "%s%s", i ? "," : "", items[i]);
        free(items[i]);
    }
    return joined;
}

static void dump_add(struct dump *dump, int parent, const char *name, const char *path)
{
    if (dump->count == dump->room) {
        dump->room = dump->room ? dump->room * 2 : 1024;
        dump->rows = must(realloc(dump->rows, dump->room * sizeof *dump->rows));
    }
    struct row *row = &dump->rows[dump->count++];
    *row = (struct row){.path = must(strdup(path))};
    if (fstatat(parent, name, &row->st, AT_SYMLINK_NOFOLLOW) < 0)
        die("stat", path);
    if (S_ISREG(row->st.st_mode))
        row->content = file_digest(parent, name, path);
    else if (S_ISLNK(row->st.st_mode))
        row->content = link_target(parent, name, path);
    row->attributes = attributes_of(dump, parent, name, path);
}

static void dump_directory(struct dump *dump, int fd, const char *path)
{
    DIR *directory = fdopendir(fd);
    if (!directory)
        die("open", path);
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(directory);
        if (!entry && errno)
            die("list", path);
        if (!entry)
            break;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        char *below;
        if (asprintf(&below, "%s/%s", path, entry->d_name) < 0)
            must(NULL);
        dump_add(dump, dirfd(directory), entry->d_name, below);
        if (S_ISDIR(dump->rows[dump->count - 1].st.st_mode)) {
            int child = openat(dirfd(directory), entry->d_name,
                               O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            if (child < 0)
                die("open", below);
            dump_directory(dump, child, below);
        }
        free(below);
    }
    closedir(directory);
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct row *)a)->path, ((const struct row *)b)->path);
}

struct inode {
    dev_t dev;
    ino_t ino;
    size_t row;
};

static int by_inode(const void *a, const void *b)
{
    const struct inode *x = a, *y = b;
    if (x->dev != y->dev)
        return x->dev < y->dev ? -1 : 1;
    if (x->ino != y->ino)
        return x->ino < y->ino ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

// group[i] becomes the line (from 1) of the first path with row i's inode, 0 where a row is alone.
static size_t *groups_of(const struct dump *dump)
{
    size_t *group = must(calloc(dump->count, sizeof *group)), count = 0;
    struct inode *inodes = must(malloc(dump->count * sizeof *inodes));
    for (size_t i = 0; i < dump->count; i++)
        if (!S_ISDIR(dump->rows[i].st.st_mode) && dump->rows[i].st.st_nlink > 1)
            inodes[count++] = (struct inode){dump->rows[i].st.st_dev, dump->rows[i].st.st_ino, i};
    qsort(inodes, count, sizeof *inodes, by_inode);
    for (size_t i = 0, first = 0; i < count; i++) {
        if (inodes[i].dev != inodes[first].dev || inodes[i].ino != inodes[first].ino)
            first = i;
        group[inodes[i].row] = inodes[first].row + 1;
    }
    free(inodes);
    return group;
}

static char type_of(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFREG:
        return 'f';
    case S_IFDIR:
        return 'd';
    case S_IFLNK:
        return 'l';
    case S_IFCHR:
        return 'c';
    case S_IFBLK:
        return 'b';
    case S_IFIFO:
        return 'p';
    case S_IFSOCK:
        return 's';
    default:
        return '?';
    }
}

static void row_print(const struct dump *dump, const struct row *row, size_t group)
{
    const struct stat *st = &row->st;
    char *path = text_of(row->path, strlen(row->path));
    printf("%s\t%c\t%04o\t%u:%u\t", path, type_of(st->st_mode), (unsigned)(st->st_mode & 07777),
           st->st_uid, st->st_gid);
    if (st->st_mtim.tv_sec >= dump->fresh_from && st->st_mtim.tv_sec <= dump->fresh_to)
        printf("now\t");
    else
        printf("%jd.%09ld\t", (intmax_t)st->st_mtim.tv_sec, st->st_mtim.tv_nsec);
    if (S_ISREG(st->st_mode) || S_ISLNK(st->st_mode))
        printf("%jd\t", (intmax_t)st->st_size);
    else
        printf("-\t");
    if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode))
        printf("%u:%u\t", major(st->st_rdev), minor(st->st_rdev));
    else
        printf("-\t");
    printf("%s\t", row->content ? row->content : "-");
    if (group)
        printf("%zu\t", group);
    else
        printf("-\t");
    printf("%s\n", row->attributes);
    free(path);
}

int main(int argc, char **argv)
{
    struct dump dump = {.fresh_from = 1, .fresh_to = 0};
    int at = 1;
    for (; at + 2 < argc; at += 2) {
        if (strcmp(argv[at], "--no-xattr") == 0 && dump.ignored_count < 16) {
            dump.ignored[dump.ignored_count++] = argv[at + 1];
        } else if (strcmp(argv[at], "--fresh-from") == 0) {
            dump.fresh_from = (time_t)strtoll(argv[at + 1], NULL, 10);
            dump.fresh_to = time(NULL);
        } else {
            break;
        }
    }
    if (at + 1 != argc) {
        fputs("usage: tree_dump [--no-xattr PREFIX]... [--fresh-from SECONDS] DIRECTORY\n", stderr);
        return 2;
    }
    int fd = open(argv[at], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        die("open", argv[at]);
    dump_add(&dump, fd, ".", ".");
    dump_directory(&dump, fd, ".");
    qsort(dump.rows, dump.count, sizeof *dump.rows, by_path);
    size_t *group = groups_of(&dump);
    for (size_t i = 0; i < dump.count; i++) {
        row_print(&dump, &dump.rows[i], group[i]);
        free(dump.rows[i].path);
        free(dump.rows[i].content);
        free(dump.rows[i].attributes);
    }
    free(group);
    free(dump.rows);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fputs("tree_dump: cannot write\n", stderr);
        return 1;
    }
    return 0;
}
