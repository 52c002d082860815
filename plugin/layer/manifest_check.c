/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/manifest_check.h"

#include "base/scoped.h"
#include "layer/content_sum.h"
#include "layer/manifest.h"
#include "layer/path.h"
#include "layer/spill.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define CHECK_READ (256u * 1024) /* bytes of a file at a time */
#define CHECK_WHAT 256           /* of a sentence */

/* Where a hard link of the layer leads, and what it says of that. */
struct link {
    uint64_t device, inode;
    uint32_t mode, uid, gid;
    uint32_t padding; /* 0: these are compared as bytes */
};

struct check {
    struct path_root root;
    const atomic_bool *cancel, *gone;
    manifest_visit *visit;
    void *context;
    uint8_t *bytes; /* the manifest */
    size_t length;
    uint32_t *records; /* where they start, in the order of names; of one name the last alone */
    size_t count;
    struct link *links; /* sorted; NULL until they are needed */
    size_t link_count;
    uint8_t *buffer; /* CHECK_READ */
};

/* ---- reading the manifest ---- */

static struct manifest_record record_at(const struct check *check, uint32_t at)
{
    struct manifest_record record;

    memcpy(&record, check->bytes + at, sizeof(record)); /* it lies at any place */
    return record;
}

static struct bytes name_at(const struct check *check, uint32_t at)
{
    return bytes_from(check->bytes + at + sizeof(struct manifest_record),
                      record_at(check, at).name_length);
}

static struct bytes link_at(const struct check *check, uint32_t at)
{
    struct bytes name = name_at(check, at);

    return bytes_from(name.data + name.length, record_at(check, at).link_length);
}

static int compare_names(struct bytes a, struct bytes b)
{
    size_t common = a.length < b.length ? a.length : b.length;
    int order = common > 0 ? memcmp(a.data, b.data, common) : 0;

    return order ? order : (a.length > b.length) - (a.length < b.length);
}

/* By name, then in the order of the manifest. */
static int compare_records(const void *a, const void *b, void *context)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    int order = compare_names(name_at(context, left), name_at(context, right));

    return order ? order : (left > right) - (left < right);
}

/* Whether a whole record starts at AT, and where the next one would. */
static bool step(const struct check *check, size_t at, size_t *next)
{
    struct manifest_record record;

    if (check->length - at < sizeof(record))
        return false;
    record = record_at(check, (uint32_t)at);
    *next = at + sizeof(record) + record.name_length + record.link_length;
    return *next <= check->length && record.name_length < PATH_ROOM &&
           record.link_length < PATH_ROOM &&
           !memchr(check->bytes + at + sizeof(record), 0,
                   (size_t)record.name_length + record.link_length);
}

/* Counts the records before the end. */
static bool count_records(struct check *check)
{
    size_t at = sizeof(MANIFEST_MARK) - 1, next;
    struct manifest_record record;

    if (check->length < at || memcmp(check->bytes, MANIFEST_MARK, at) != 0)
        return false;
    for (check->count = 0; step(check, at, &next); check->count++) {
        record = record_at(check, (uint32_t)at);
        if (record.what == MANIFEST_END) {
            const struct manifest_record end = {
                .what = MANIFEST_END,
                .size = check->count,
                .sum = content_sum_add(CONTENT_SUM_EMPTY, check->bytes, at),
            };

            return next == check->length && memcmp(&record, &end, sizeof(end)) == 0;
        }
        at = next;
    }
    return false;
}

static int sort_records(struct check *check, struct reason *why)
{
    size_t at = sizeof(MANIFEST_MARK) - 1, kept = 0;

    check->records = calloc(check->count + 1, sizeof(*check->records));
    if (!check->records)
        return failure(why, ENOMEM, "read what a layer wrote");
    for (size_t i = 0; i < check->count; i++) {
        check->records[i] = (uint32_t)at;
        (void)step(check, at, &at);
    }
    qsort_r(check->records, check->count, sizeof(*check->records), compare_records, check);
    for (size_t i = 0; i < check->count; i++)
        if (i + 1 == check->count || compare_names(name_at(check, check->records[i]),
                                                   name_at(check, check->records[i + 1])) != 0)
            check->records[kept++] = check->records[i];
    check->count = kept;
    return 0;
}

static int load(struct check *check, int manifest, bool *complete, struct reason *why)
{
    struct stat status;

    *complete = false;
    if (fstat(manifest, &status) < 0)
        return failure(why, errno, "look at what a layer wrote");
    if (status.st_size == 0 || (uint64_t)status.st_size > MANIFEST_MOST)
        return 0;
    check->length = (size_t)status.st_size;
    check->bytes = malloc(check->length);
    check->buffer = malloc(CHECK_READ);
    if (!check->bytes || !check->buffer)
        return failure(why, ENOMEM, "read what a layer wrote");
    int result = spill_read(manifest, check->bytes, check->length, 0, NULL);
    if (result)
        return failure(why, result < 0 ? -result : EIO, "read what a layer wrote");
    *complete = count_records(check);
    return *complete ? sort_records(check, why) : 0;
}

/* ---- comparing ---- */

static int differs(const struct check *check, struct bytes name, struct reason *why,
                   const char *format, ...) __attribute__((format(printf, 4, 5)));

static int differs(const struct check *check, struct bytes name, struct reason *why,
                   const char *format, ...)
{
    char what[CHECK_WHAT];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(what, sizeof(what), format, arguments);
    va_end(arguments);
    return check->visit(check->context, name, what, why);
}

static const char *type_name(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFREG:
        return "file";
    case S_IFDIR:
        return "folder";
    case S_IFLNK:
        return "symlink";
    case S_IFCHR:
        return "character device";
    case S_IFBLK:
        return "block device";
    case S_IFIFO:
        return "fifo";
    default:
        return "socket";
    }
}

static mode_t type_of(uint8_t type)
{
    static const mode_t types[] = {
        [ENTRY_FILE] = S_IFREG,         [ENTRY_DIRECTORY] = S_IFDIR,
        [ENTRY_SYMLINK] = S_IFLNK,      [ENTRY_CHARACTER_DEVICE] = S_IFCHR,
        [ENTRY_BLOCK_DEVICE] = S_IFBLK, [ENTRY_FIFO] = S_IFIFO,
    };

    return type < sizeof(types) / sizeof(types[0]) ? types[type] : 0;
}

static bool is_set(const atomic_bool *flag)
{
    return flag && atomic_load(flag);
}

/* 0, or why not to go on. */
static int is_to_stop(const struct check *check, struct reason *why)
{
    if (is_set(check->gone))
        return refuse(why, CONDITION_NOT_FOUND, "the snapshot was removed meanwhile");
    return is_set(check->cancel) ? refuse(why, CONDITION_CANCELLED, "the check was cancelled") : 0;
}

/* The sum of the file's bytes; holes are not read. 0 or minus an errno, or CONDITION_CANCELLED. */
static int sum_file(const struct check *check, int fd, uint64_t size, uint64_t *sum)
{
    uint64_t at = 0;

    *sum = CONTENT_SUM_EMPTY;
    while (at < size) {
        off_t data = lseek(fd, (off_t)at, SEEK_DATA);
        ssize_t got;

        if (is_to_stop(check, NULL))
            return CONDITION_CANCELLED;
        if (data < 0 && errno != ENXIO)
            return -errno;
        uint64_t until = data < 0 || (uint64_t)data > size ? size : (uint64_t)data;
        *sum = content_sum_zeros(*sum, until - at);
        at = until;
        if (at == size)
            break;
        do
            got = pread(fd, check->buffer, CHECK_READ, (off_t)at);
        while (got < 0 && errno == EINTR);
        if (got <= 0)
            return got < 0 ? -errno : -EIO;
        *sum = content_sum_add(*sum, check->buffer, (size_t)got);
        at += (uint64_t)got;
    }
    return 0;
}

static int compare_bytes(const struct check *check, struct bytes name, const char *path,
                         const struct manifest_record *record, struct reason *why)
{
    scoped_fd int fd = path_open(&check->root, path, O_RDONLY | O_NOATIME);
    uint64_t sum;
    int result = fd < 0 ? fd : sum_file(check, fd, record->size, &sum);

    if (result == CONDITION_CANCELLED)
        return is_to_stop(check, why);
    if (result < 0) /* btrfs keeps sums of its own, and answers with an error */
        return differs(check, name, why, "it cannot be read: %s", strerrordesc_np(-result));
    return sum == record->sum ? 0 : differs(check, name, why, "its bytes are others");
}

static int compare_link(const struct check *check, struct bytes name, int fd, struct bytes link,
                        struct reason *why)
{
    char target[PATH_ROOM];
    ssize_t length = readlinkat(fd, "", target, sizeof(target));

    if (length < 0)
        return differs(check, name, why, "it cannot be read: %s", strerrordesc_np(errno));
    if (bytes_equal(bytes_from(target, (size_t)length), link))
        return 0;
    return differs(check, name, why, "it leads elsewhere");
}

/* Finds what is at NAME, which becomes a C string in PATH: a descriptor or minus an errno. */
static int open_name(const struct check *check, struct bytes name, char path[static PATH_ROOM])
{
    memcpy(path, name.data, name.length);
    path[name.length] = '\0';
    return path_open(&check->root, path, O_PATH);
}

/* By inode, then by what its mode and owner are to be. */
static int compare_links(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct link));
}

/* Lists the hard links of the layer, once, since each must be opened to know its inode. */
static int list_links(struct check *check, struct reason *why)
{
    char path[PATH_ROOM];

    check->links = calloc(check->count, sizeof(*check->links));
    if (!check->links)
        return failure(why, ENOMEM, "list the hard links of a layer");
    for (size_t i = 0; i < check->count; i++) {
        const struct manifest_record record = record_at(check, check->records[i]);
        struct stat status;

        if (record.type != ENTRY_HARDLINK || record.what != MANIFEST_PUT)
            continue;
        scoped_fd int fd = open_name(check, name_at(check, check->records[i]), path);
        int result = is_to_stop(check, why);
        if (result)
            return result;
        if (fd >= 0 && fstat(fd, &status) == 0)
            check->links[check->link_count++] = (struct link){
                .device = status.st_dev,
                .inode = status.st_ino,
                .mode = record.mode,
                .uid = record.uid,
                .gid = record.gid,
            };
    }
    qsort(check->links, check->link_count, sizeof(*check->links), compare_links);
    return 0;
}

/* An inode with several names may have got its mode and owner by any of them: hard links are
 * entries with a mode and an owner, too: *FROM_LINK. Asked only when something differs. */
static int look_at_links(struct check *check, const struct stat *status, bool *from_link,
                         struct reason *why)
{
    const struct link wanted = {
        .device = status->st_dev,
        .inode = status->st_ino,
        .mode = status->st_mode & 07777,
        .uid = status->st_uid,
        .gid = status->st_gid,
    };

    *from_link = false;
    if (S_ISDIR(status->st_mode) || status->st_nlink < 2)
        return 0;
    int result = check->links ? 0 : list_links(check, why);
    *from_link = !result && check->link_count > 0 &&
                 bsearch(&wanted, check->links, check->link_count, sizeof(*check->links),
                         compare_links) != NULL;
    return result;
}

/* chown(2) leaves an owner as it is for -1. */
static bool is_owner(uint32_t wanted, uint32_t owner)
{
    return wanted == UINT32_MAX || wanted == owner;
}

/* Of a device number, mknod(2) takes 12 bits and 20 (linux/kdev_t.h). */
static bool is_device(const struct manifest_record *record, dev_t device)
{
    return (record->device_major & 0xfff) == major(device) &&
           (record->device_minor & 0xfffff) == minor(device);
}

static int compare_metadata(struct check *check, struct bytes name, const struct stat *status,
                            const struct manifest_record *record, struct reason *why)
{
    bool mode = S_ISLNK(status->st_mode) || record->mode == (status->st_mode & 07777);
    bool owner = is_owner(record->uid, status->st_uid) && is_owner(record->gid, status->st_gid);
    bool from_link;

    if (record->mode == MANIFEST_ANY_MODE || (mode && owner))
        return 0;
    int result = look_at_links(check, status, &from_link, why);
    if (result || from_link)
        return result;
    if (!mode)
        result = differs(check, name, why, "its mode is %04o, not %04" PRIo32,
                         (unsigned)(status->st_mode & 07777), record->mode);
    if (!result && !owner)
        result = differs(check, name, why, "its owner is %u:%u, not %" PRIu32 ":%" PRIu32,
                         status->st_uid, status->st_gid, record->uid, record->gid);
    return result;
}

/* What only this type has. */
static int compare_own(const struct check *check, uint32_t at, const char *path, int fd,
                       const struct stat *status, struct reason *why)
{
    const struct manifest_record record = record_at(check, at);
    struct bytes name = name_at(check, at);

    switch (record.type) {
    case ENTRY_FILE:
        if ((uint64_t)status->st_size != record.size)
            return differs(check, name, why, "its size is %lld, not %" PRIu64,
                           (long long)status->st_size, record.size);
        return compare_bytes(check, name, path, &record, why);
    case ENTRY_SYMLINK:
        return compare_link(check, name, fd, link_at(check, at), why);
    case ENTRY_CHARACTER_DEVICE:
    case ENTRY_BLOCK_DEVICE:
        if (is_device(&record, status->st_rdev))
            return 0;
        return differs(check, name, why, "it is device %u:%u, not %" PRIu32 ":%" PRIu32,
                       major(status->st_rdev), minor(status->st_rdev), record.device_major,
                       record.device_minor);
    default:
        return 0;
    }
}

static int find(const struct check *check, struct bytes name, uint32_t *at)
{
    size_t low = 0, high = check->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare_names(name_at(check, check->records[middle]), name);

        if (order == 0) {
            *at = check->records[middle];
            return 1;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return 0;
}

/* Names in the folder at PATH that the layer did not put there, though it made the folder. */
static int look_for_others(const struct check *check, const char *path, struct reason *why)
{
    int fd = path_open(&check->root, path, O_RDONLY | O_DIRECTORY | O_NOATIME);
    DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
    char name[PATH_ROOM + NAME_MAX + 2];
    struct dirent *item;
    int result = 0;

    if (!folder) {
        result = differs(check, bytes_of(path), why, "it cannot be listed: %s",
                         strerrordesc_np(fd < 0 ? -fd : errno));
        if (fd >= 0)
            close(fd);
        return result;
    }
    while (!result && (item = readdir(folder)) != NULL) {
        uint32_t at;

        if (strcmp(item->d_name, ".") == 0 || strcmp(item->d_name, "..") == 0)
            continue;
        snprintf(name, sizeof(name), "%s/%s", path, item->d_name);
        /* one that the layer took away is told by its own record; too long a name has none */
        if (strlen(name) < PATH_ROOM && !find(check, bytes_of(name), &at))
            result = differs(check, bytes_of(name), why, "it is not of the layer");
    }
    closedir(folder);
    return result;
}

static int compare_put(struct check *check, uint32_t at, const char *path, int fd,
                       struct reason *why)
{
    const struct manifest_record record = record_at(check, at);
    struct bytes name = name_at(check, at);
    struct stat status;
    int result;

    if (fstat(fd, &status) < 0)
        return differs(check, name, why, "it cannot be looked at: %s", strerrordesc_np(errno));
    if (record.type == ENTRY_HARDLINK ? S_ISDIR(status.st_mode)
                                      : (status.st_mode & S_IFMT) != type_of(record.type))
        return differs(check, name, why, "it is a %s", type_name(status.st_mode));
    result = compare_metadata(check, name, &status, &record, why);
    if (!result)
        result = compare_own(check, at, path, fd, &status, why);
    if (!result && record.type == ENTRY_DIRECTORY && record.made)
        result = look_for_others(check, path, why);
    return result;
}

static int compare(struct check *check, uint32_t at, struct reason *why)
{
    struct bytes name = name_at(check, at);
    char path[PATH_ROOM];
    scoped_fd int fd = -1;
    int result = is_to_stop(check, why);

    if (result)
        return result;
    fd = open_name(check, name, path);
    if (record_at(check, at).what == MANIFEST_GONE)
        return fd < 0 ? 0 : differs(check, name, why, "it is there, and the layer removed it");
    if (fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP)
        return differs(check, name, why, "it is missing");
    if (fd < 0)
        return differs(check, name, why, "it cannot be looked at: %s", strerrordesc_np(-fd));
    return compare_put(check, at, path, fd, why);
}

int manifest_check(int manifest, int tree, const atomic_bool *cancel, const atomic_bool *gone,
                   bool *complete, manifest_visit *visit, void *context, struct reason *why)
{
    struct check check = {.cancel = cancel, .gone = gone, .visit = visit, .context = context};
    int result = load(&check, manifest, complete, why);

    path_root_init(&check.root, tree);
    for (size_t i = 0; !result && *complete && i < check.count; i++)
        result = compare(&check, check.records[i], why);
    free(check.links);
    free(check.records);
    free(check.buffer);
    free(check.bytes);
    return result;
}
