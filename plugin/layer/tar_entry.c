/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/tar_entry.h"

#include "layer/tar_number.h"

#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

static const char *text_or(struct bytes text, const char *otherwise)
{
    return text.length > 0 ? (const char *)text.data : otherwise;
}

static void choose_names(struct entry *entry, const struct tar_headers *headers)
{
    entry->name = text_or(headers->pax.path, headers->header.name);
    entry->link = text_or(headers->pax.linkpath, headers->header.link);
    if (headers->long_name && *headers->long_name)
        entry->name = headers->long_name;
    if (headers->long_link && *headers->long_link)
        entry->link = headers->long_link;
}

static bool ends_in_slash(const char *name)
{
    size_t length = strlen(name);

    return length > 0 && name[length - 1] == '/';
}

/* TYPE becomes one that tar_header_has_data() judges rightly. Contiguous files ('7'), volume labels
 * and the like are refused by containerd as well. */
static int choose_type(struct entry *entry, uint8_t *type, struct reason *why)
{
    if (*type == TAR_FILE_OLD)
        *type = ends_in_slash(entry->name) ? TAR_DIRECTORY : TAR_FILE;
    switch (*type) {
    case TAR_FILE:
    case TAR_SPARSE:
        entry->type = ENTRY_FILE;
        return 0;
    case TAR_HARDLINK:
        entry->type = ENTRY_HARDLINK;
        return 0;
    case TAR_SYMLINK:
        entry->type = ENTRY_SYMLINK;
        return 0;
    case TAR_CHARACTER_DEVICE:
        entry->type = ENTRY_CHARACTER_DEVICE;
        return 0;
    case TAR_BLOCK_DEVICE:
        entry->type = ENTRY_BLOCK_DEVICE;
        return 0;
    case TAR_DIRECTORY:
        entry->type = ENTRY_DIRECTORY;
        return 0;
    case TAR_FIFO:
        entry->type = ENTRY_FIFO;
        return 0;
    default:
        return refuse(why, CONDITION_INVALID,
                      "its type %s is none of file, directory, link, device, fifo",
                      quoted(bytes_from(type, 1)));
    }
}

static int narrow(int64_t number, const char *what, uint32_t *narrowed, struct reason *why)
{
    if (number < 0 || number > UINT32_MAX)
        return refuse(why, CONDITION_INVALID, "its %s %" PRId64 " is outside 0 to %" PRIu32, what,
                      number, UINT32_MAX);
    *narrowed = (uint32_t)number;
    return 0;
}

static int merge_owner(struct entry *entry, const struct tar_headers *headers, struct reason *why)
{
    int64_t uid = headers->header.uid, gid = headers->header.gid;
    int result;

    result = pax_number(headers->pax.uid, "uid", &uid, why);
    if (result == 0)
        result = narrow(uid, "uid", &entry->uid, why);
    if (result == 0)
        result = pax_number(headers->pax.gid, "gid", &gid, why);
    if (result == 0)
        result = narrow(gid, "gid", &entry->gid, why);
    return result;
}

static int merge_times(struct entry *entry, const struct tar_headers *headers, struct reason *why)
{
    const struct tar_header *header = &headers->header;
    struct timespec unused;
    int result;

    entry->mtime = (struct timespec){.tv_sec = header->mtime};
    entry->atime =
        (struct timespec){.tv_sec = header->atime, .tv_nsec = header->has_atime ? 0 : UTIME_OMIT};
    result = pax_time(headers->pax.mtime, "mtime", &entry->mtime, why);
    if (result == 0)
        result = pax_time(headers->pax.atime, "atime", &entry->atime, why);
    if (result == 0) /* no file system lets it be set; but it must be a time */
        result = pax_time(headers->pax.ctime, "ctime", &unused, why);
    return result;
}

static int merge_device(struct entry *entry, const struct tar_header *header, struct reason *why)
{
    int result;

    if (entry->type != ENTRY_CHARACTER_DEVICE && entry->type != ENTRY_BLOCK_DEVICE)
        return 0;
    result = narrow(header->device_major, "device's major number", &entry->device_major, why);
    if (result != 0)
        return result;
    return narrow(header->device_minor, "device's minor number", &entry->device_minor, why);
}

/* A version that is none of these makes the records mean nothing. 0.0 and 0.1 had none at first. */
static enum tar_sparse find_sparse(uint8_t type, const struct pax *pax)
{
    struct bytes major = pax->sparse_major, minor = pax->sparse_minor;
    bool minor_zero = bytes_equal(minor, bytes_of("0"));

    if (type == TAR_SPARSE)
        return TAR_SPARSE_GNU;
    if (bytes_equal(major, bytes_of("0")) && (minor_zero || bytes_equal(minor, bytes_of("1"))))
        return TAR_SPARSE_LIST;
    if (bytes_equal(major, bytes_of("1")) && minor_zero)
        return TAR_SPARSE_LINES;
    if (major.length == 0 && minor.length == 0 && pax->sparse_map.length > 0)
        return TAR_SPARSE_LIST;
    return TAR_SPARSE_NONE;
}

/* The size of a sparse file with its holes; *SIZE is that of its data before. */
static int merge_sparse(struct entry *entry, const struct tar_headers *headers,
                        enum tar_sparse sparse, int64_t *size, struct reason *why)
{
    const struct pax *pax = &headers->pax;

    if (entry->type != ENTRY_FILE)
        return refuse(why, CONDITION_INVALID, "it has a sparse map but is no file");
    if (sparse == TAR_SPARSE_GNU) {
        if (headers->header.format != TAR_FORMAT_GNU)
            return refuse(why, CONDITION_INVALID,
                          "its type 'S' has a meaning in GNU's format only, which this is not");
        if (!tar_number_field(headers->header.real_size, size))
            return refuse(why, CONDITION_INVALID, "its real size, %s, is no number of 64 bits",
                          quoted(headers->header.real_size));
        return 0;
    }
    if (pax->sparse_name.length > 0 && memchr(pax->sparse_name.data, '\0', pax->sparse_name.length))
        return refuse(why, CONDITION_INVALID, "its GNU.sparse.name holds a NUL byte: %s",
                      quoted(pax->sparse_name));
    entry->name = text_or(pax->sparse_name, entry->name);
    if (pax->sparse_size.length > 0)
        return pax_number(pax->sparse_size, "GNU.sparse.size", size, why);
    return pax_number(pax->sparse_real_size, "GNU.sparse.realsize", size, why);
}

/* They are sorted by name. */
static int check_xattrs(const struct entry *entry, struct reason *why)
{
    if (entry->xattr_count > 0 && *entry->xattrs[0].name == '\0')
        return refuse(why, CONDITION_INVALID, "one of its extended attributes has no name");
    return 0;
}

static int refuse_size(struct reason *why, int64_t size)
{
    return refuse(why, CONDITION_INVALID, "its size is negative: %" PRId64, size);
}

int tar_entry_merge(struct entry *entry, const struct tar_headers *headers, uint64_t *stored,
                    enum tar_sparse *sparse, struct reason *why)
{
    const struct tar_header *header = &headers->header;
    uint8_t type = header->type;
    int64_t size = header->size;
    int result;

    *entry = (struct entry){.mode = (uint32_t)header->mode & 07777,
                            .xattrs = headers->pax.xattrs,
                            .xattr_count = headers->pax.xattr_count};
    *stored = 0;
    *sparse = find_sparse(type, &headers->pax);
    choose_names(entry, headers);
    if ((result = choose_type(entry, &type, why)) != 0 ||
        (result = merge_owner(entry, headers, why)) != 0 ||
        (result = merge_times(entry, headers, why)) != 0 ||
        (result = merge_device(entry, header, why)) != 0 ||
        (result = check_xattrs(entry, why)) != 0 ||
        (result = pax_number(headers->pax.size, "size", &size, why)) != 0)
        return result;

    if (tar_header_has_data(type)) {
        if (size < 0)
            return refuse_size(why, size);
        *stored = (uint64_t)size;
    }
    if (*sparse != TAR_SPARSE_NONE) {
        result = merge_sparse(entry, headers, *sparse, &size, why);
        if (result != 0)
            return result;
        if (size < 0)
            return refuse_size(why, size);
    }
    if (entry->type == ENTRY_FILE)
        entry->size = (uint64_t)size;
    if (entry->type != ENTRY_SYMLINK && entry->type != ENTRY_HARDLINK)
        entry->link = "";
    return 0;
}
