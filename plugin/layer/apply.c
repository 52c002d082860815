/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/apply.h"

#include "base/bytes.h"
#include "layer/content_sum.h"
#include "layer/io_error.h"
#include "layer/manifest.h"
#include "layer/metadata.h"
#include "layer/whiteout.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define APPLY_DIRECTORIES (512u * 1024) /* bytes of the list of folders that stay in memory */
#define APPLY_EARLY (128u * 1024) /* bytes of a file whose write-back is not left to the sync */

/* A record of that list; the name follows it, without a NUL. */
struct apply_directory {
    struct timespec times[2];
    uint32_t length;
};

int apply_init(struct apply *apply, struct tree *tree, const struct layer_request *request,
               struct layer_result *result, struct reason *why)
{
    *apply = (struct apply){
        .tree = tree,
        .whiteouts = request->whiteouts,
        .early = request->sync,
        .refuse_devices = request->refuse_devices,
        .result = result,
        .uid = geteuid(),
        .gid = getegid(),
    };
    room_init(&apply->room, request->room, tree);
    return spill_list_init(&apply->directories, tree->fd, APPLY_DIRECTORIES, why);
}

void apply_deinit(struct apply *apply)
{
    spill_list_deinit(&apply->directories);
}

/* What ENTRY says, for an inode that is made new in PARENT: owner and mode may be right at once. A
 * change of owner takes set-ID bits away again, and attributes may hold an ACL. */
static struct metadata apply_metadata(const struct apply *apply, const struct directory *parent,
                                      const struct entry *entry)
{
    struct metadata metadata = metadata_of(entry);

    metadata.plain_owner =
        parent->plain && metadata.uid == apply->uid && metadata.gid == apply->gid;
    metadata.plain_mode =
        parent->plain_mode && metadata.xattr_count == 0 && !(metadata.mode & (S_ISUID | S_ISGID));
    return metadata;
}

/* Removes what stands in the way of an entry. */
static int apply_clear(struct apply *apply, struct directory *parent, const char *base,
                       struct reason *why)
{
    struct stat status;
    bool there;
    int result = tree_look(apply->tree, parent, base, &there, &status, why);

    if (result || !there)
        return result;
    return tree_remove(apply->tree, parent, base, &status, why);
}

/* ---- the types ---- */

static int apply_remember_directory(struct apply *apply, const char *name,
                                    const struct metadata *metadata, struct reason *why)
{
    struct apply_directory record = {
        .times = {metadata->times[0], metadata->times[1]},
        .length = (uint32_t)strlen(name),
    };
    int result = spill_list_append(&apply->directories, &record, sizeof(record), why);

    if (!result)
        result = spill_list_append(&apply->directories, name, record.length, why);
    return result;
}

/* CLEAN is the entry's whole name; its symlinks are followed anew when the times are set. */
static int apply_directory(struct apply *apply, struct directory *parent, const char *base,
                           const char *clean, const struct entry *entry, struct reason *why)
{
    struct metadata metadata = metadata_of(entry);
    scoped_directory struct directory *made = NULL;
    struct tree *tree = apply->tree;
    bool there;
    struct stat status;
    char name[PATH_ROOM];
    int error = 0;
    int result = tree_join(parent, base, name, why);

    if (!result)
        result = tree_look(tree, parent, base, &there, &status, why);
    if (!result && there && !S_ISDIR(status.st_mode)) {
        result = tree_remove(tree, parent, base, &status, why);
        there = false;
    }
    if (result)
        return result;
    if (there) {
        result = directory_open_in(tree->cache, parent, base, name, false, &made, &error, why);
        if (!result && !made)
            result = io_error(why, error, "open the folder", name);
        if (!result) /* files under way there may count on what is changed here */
            result = tree_settle(tree, made, why);
    } else {
        metadata = apply_metadata(apply, parent, entry);
        if (mkdirat(parent->fd, base, metadata.mode) < 0)
            return io_error(why, errno, "make the folder", name);
        tree->inodes++;
        result = tree_note(tree, parent, base, NAME_OUR_FOLDER, why);
        if (!result)
            result = directory_open_made(tree->cache, parent, base, name, &made, why);
    }
    if (!result)
        result = metadata_put(made->fd, name, &metadata, why);
    if (result)
        return result;
    manifest_put(tree->manifest, parent->name, base, entry, !there, "", 0);
    made->plain = made->plain_mode = metadata.plain_owner && metadata.plain_mode;
    if (!made->plain)
        directory_look(tree->cache, made);
    return apply_remember_directory(apply, clean, &metadata, why);
}

static mode_t apply_node_type(enum entry_type type)
{
    switch (type) {
    case ENTRY_CHARACTER_DEVICE:
        return S_IFCHR;
    case ENTRY_BLOCK_DEVICE:
        return S_IFBLK;
    default:
        return S_IFIFO;
    }
}

static int apply_check_device(const struct apply *apply, const struct entry *entry,
                              struct reason *why)
{
    if (!apply->refuse_devices ||
        (entry->type != ENTRY_CHARACTER_DEVICE && entry->type != ENTRY_BLOCK_DEVICE))
        return 0;
    return refuse(why, CONDITION_INVALID,
                  "a %s device (%" PRIu32 ":%" PRIu32
                  "), and apply.allow_device_nodes is false: refuse the image, or set it to true",
                  entry->type == ENTRY_BLOCK_DEVICE ? "block" : "character", entry->device_major,
                  entry->device_minor);
}

/* A symlink, a device or a fifo. */
static int apply_special(struct apply *apply, struct directory *parent, const char *base,
                         const struct entry *entry, struct reason *why)
{
    const struct metadata metadata = apply_metadata(apply, parent, entry);
    int result = apply_check_device(apply, entry, why);

    if (!result)
        result = apply_clear(apply, parent, base, why);
    if (result)
        return result;
    if (entry->type == ENTRY_SYMLINK && entry->link[0] == '\0')
        return refuse(why, CONDITION_INVALID,
                      "the symlink leads nowhere: its target is empty; the layer must be built "
                      "anew");
    if (entry->type == ENTRY_SYMLINK && symlinkat(entry->link, parent->fd, base) < 0)
        return io_error(why, errno, "make the symlink", base);
    /* The kernel's call, which takes the low 32 bits of the number, as Go calls it; glibc refuses
     * what does not fit. */
    if (entry->type != ENTRY_SYMLINK &&
        syscall(SYS_mknodat, parent->fd, base, apply_node_type(entry->type) | metadata.mode,
                (unsigned)makedev(entry->device_major, entry->device_minor)) < 0)
        return io_error(why, errno, "make the device", base);
    apply->tree->inodes++;
    manifest_put(apply->tree->manifest, parent->name, base, entry, false, entry->link, 0);
    return metadata_put_at(parent->fd, base, entry->type, &metadata, why);
}

/* Where the hard link LINK leads: the last component is not followed, and ".." as one is lexical.
 * *FOLDER has a reference; it is NULL when there is no such folder. */
static int apply_link_target(struct apply *apply, const char *link, struct directory **folder,
                             char base[static NAME_MAX + 1], struct reason *why)
{
    const char *slash = strrchr(link, '/');
    const char *last = slash ? slash + 1 : link;
    char resolved[PATH_ROOM];
    char whole[PATH_ROOM * 2];
    char target[PATH_ROOM];
    size_t length;
    int result;

    *folder = NULL;
    if (strlen(link) >= PATH_ROOM)
        return io_error(why, ENAMETOOLONG, "link to", link);
    memcpy(resolved, link, (size_t)(last - link));
    resolved[last - link] = '\0';
    /* Where nothing depends on it, the name is taken as it is: it is most often resolved. */
    if (strstr(link, "..") || *last == '\0' || strcmp(last, ".") == 0) {
        strcpy(whole, resolved);
        result = path_resolve(&apply->tree->root, whole, resolved, why);
        if (result)
            return result;
    }
    strcpy(whole, resolved);
    strcat(whole, "/");
    strcat(whole, last);
    result = path_clean(whole, target, why);
    if (result)
        return result;
    last = path_base(target, &length);
    if (strlen(last) > NAME_MAX)
        return io_error(why, ENAMETOOLONG, "link to", link);
    strcpy(base, last);
    target[length] = '\0';
    return tree_folder(apply->tree, target, false, folder, why);
}

static int apply_no_target(const struct entry *entry, struct reason *why)
{
    return refuse(why, CONDITION_INVALID,
                  "a hard link to %s, which is neither in this layer before it nor in a lower one; "
                  "the layer must be built anew",
                  quoted(bytes_of(entry->link)));
}

static int apply_hardlink(struct apply *apply, struct directory *parent, const char *base,
                          const struct entry *entry, struct reason *why)
{
    const struct metadata metadata = metadata_of(entry);
    scoped_directory struct directory *folder = NULL;
    char target[NAME_MAX + 1];
    struct stat status;
    bool there;
    int result = apply_clear(apply, parent, base, why);

    if (!result)
        result = apply_link_target(apply, entry->link, &folder, target, why);
    if (result)
        return result;
    if (!folder)
        return apply_no_target(entry, why);
    if (target[0] == '\0')
        return refuse(why, CONDITION_INVALID,
                      "a hard link to the layer's own root; the layer must be built anew");
    result = tree_look(apply->tree, folder, target, &there, &status, why);
    if (result)
        return result;
    if (!there)
        return apply_no_target(entry, why);
    if (S_ISDIR(status.st_mode))
        return refuse(why, CONDITION_INVALID,
                      "a hard link to %s, which is a folder; the layer must be built anew",
                      quoted(bytes_of(entry->link)));
    if (linkat(folder->fd, target, parent->fd, base, 0) < 0)
        return io_error(why, errno, "make the hard link", base);
    manifest_put(apply->tree->manifest, parent->name, base, entry, false, "", 0);
    return metadata_put_at(parent->fd, base, ENTRY_HARDLINK, &metadata, why);
}

/* *SUM becomes that of the file's bytes where one is kept. A byte between two holes takes a block
 * of the pool, and 85,000 of them fit into the map of one sparse file: 5 GiB of 64 KiB blocks. */
static int apply_file_data(struct apply *apply, const struct entry *entry,
                           struct tar_reader *reader, uint64_t *sum, struct reason *why)
{
    struct writer_pool *writers = apply->tree->writers;
    uint64_t block = room_block(&apply->room), at = 0;

    for (;;) {
        struct tar_run run;
        uint64_t taken;
        int result = tar_reader_data(reader, &run, why);

        if (!result)
            result = tree_cancelled(apply->tree, why);
        if (!result && apply->tree->manifest) {
            *sum = content_sum_zeros(*sum, (run.length ? run.offset : entry->size) - at);
            *sum = content_sum_add(*sum, run.data, run.length);
        }
        if (result || run.length == 0)
            return result;
        taken = run.length;
        if (run.offset > at && (at == 0 || run.offset / block != (at - 1) / block))
            taken += block;
        at = run.offset + run.length;
        result = writer_pool_data(writers, run.chunk, run.data, run.length, run.offset, why);
        if (result)
            return result;
        apply->result->file_bytes += taken;
        result = room_take(&apply->room, taken, why);
        if (result)
            return result;
    }
}

static int apply_file(struct apply *apply, struct directory *parent, const char *base,
                      const struct entry *entry, struct tar_reader *reader, struct reason *why)
{
    const struct io_file file = {
        .name = base,
        .size = entry->size,
        .early = apply->early && entry->size >= APPLY_EARLY,
        .metadata = apply_metadata(apply, parent, entry),
    };
    uint64_t sum = CONTENT_SUM_EMPTY;
    int result = apply_clear(apply, parent, base, why);

    if (!result)
        result = writer_pool_begin(apply->tree->writers, parent, &file, why);
    if (result)
        return result;
    directory_cache_handed(apply->tree->cache, parent);
    apply->tree->inodes++;
    result = apply_file_data(apply, entry, reader, &sum, why);
    if (!result)
        result = writer_pool_end(apply->tree->writers, why);
    /* Again: a look for room in the midst of its data may have settled all but this file. */
    directory_cache_handed(apply->tree->cache, parent);
    manifest_put(apply->tree->manifest, parent->name, base, entry, false, "", sum);
    return result;
}

/* ---- every entry ---- */

static int apply_by_type(struct apply *apply, struct directory *parent, const char *base,
                         const char *clean, const struct entry *entry, struct tar_reader *reader,
                         struct reason *why)
{
    switch (entry->type) {
    case ENTRY_FILE:
        return apply_file(apply, parent, base, entry, reader, why);
    case ENTRY_DIRECTORY:
        return apply_directory(apply, parent, base, clean, entry, why);
    case ENTRY_HARDLINK:
        return apply_hardlink(apply, parent, base, entry, why);
    case ENTRY_SYMLINK:
    case ENTRY_CHARACTER_DEVICE:
    case ENTRY_BLOCK_DEVICE:
    case ENTRY_FIFO:
        return apply_special(apply, parent, base, entry, why);
    }
    return refuse(why, CONDITION_INVALID, "a type of entry that no tar has");
}

/* CLEAN is the entry's name, not the target itself. */
static int apply_named(struct apply *apply, const char *clean, const struct entry *entry,
                       struct tar_reader *reader, struct reason *why)
{
    scoped_directory struct directory *parent = NULL;
    enum whiteout_kind whiteout;
    char folder[PATH_ROOM];
    size_t length;
    const char *base = path_base(clean, &length);
    int result;

    if (strlen(base) > NAME_MAX)
        return io_error(why, ENAMETOOLONG, "make", base);
    memcpy(folder, clean, length);
    folder[length] = '\0';
    result = tree_folder(apply->tree, folder, true, &parent, why);
    if (!result)
        result = whiteout_of(base, &whiteout, why);
    if (!result && whiteout != WHITEOUT_NONE)
        return whiteout_put(apply->tree, apply->whiteouts, parent, base, whiteout, entry, why);
    if (!result)
        result = apply_by_type(apply, parent, base, clean, entry, reader, why);
    if (!result)
        result = tree_note(apply->tree, parent, base, NAME_UNPACKED, why);
    return result;
}

/* What ENTRY takes beside its data. */
static uint64_t apply_weight(const struct entry *entry)
{
    uint64_t bytes = ROOM_ENTRY;

    for (size_t i = 0; i < entry->xattr_count; i++)
        bytes += strlen(entry->xattrs[i].name) + entry->xattrs[i].length;
    return bytes;
}

/* Folders that were missing on the way to an entry, which told nothing of them: a name of 4 KiB
 * may make 2,000. INODES is how many there were before the entry. */
static int apply_weigh_implied(struct apply *apply, uint64_t inodes, struct reason *why)
{
    uint64_t now = apply->tree->inodes; /* fewer, when the entry took some away */

    return now > inodes + 1 ? room_take(&apply->room, (now - inodes - 1) * ROOM_ENTRY, why) : 0;
}

int apply_entry(struct apply *apply, const struct entry *entry, struct tar_reader *reader,
                struct reason *why)
{
    uint64_t inodes = apply->tree->inodes;
    char clean[PATH_ROOM];
    int result = tree_begin_entry(apply->tree, why);

    if (!result)
        result = room_take(&apply->room, apply_weight(entry), why);
    if (!result)
        result = path_clean(entry->name, clean, why);
    if (!result && clean[0] == '\0') /* the target itself: its metadata are the snapshot's */
        return 0;
    if (!result)
        result = apply_named(apply, clean, entry, reader, why);
    if (!result)
        result = apply_weigh_implied(apply, inodes, why);
    /* A file's error names another entry, perhaps: one that a writer was still busy with. */
    if (result)
        return amend(why, result, "entry %s", quoted(bytes_of(entry->name)));
    apply->result->entries++;
    return 0;
}

/* ---- the times of folders ---- */

/* NAME is a folder's entry; what is there now gets the times. */
static int apply_directory_times(struct apply *apply, const char *name,
                                 const struct timespec times[static 2], struct reason *why)
{
    scoped_directory struct directory *folder = NULL;
    struct tree *tree = apply->tree;
    char resolved[PATH_ROOM];
    const char *base;
    size_t length;
    int result = 0;

    /* As long as no folder and no symlink was removed, a folder's entry still is one. */
    if (tree->moved)
        result = path_resolve(&tree->root, name, resolved, why);
    else
        strcpy(resolved, name);
    if (result)
        return result;
    if (resolved[0] == '\0') {
        if (futimens(tree->fd, times) < 0)
            return io_error(why, errno, "set the times of", "/");
        return 0;
    }
    base = path_base(resolved, &length);
    if (length > 0)
        resolved[length] = '\0';
    result = tree_folder(tree, length > 0 ? resolved : "", false, &folder, why);
    if (result)
        return result;
    if (!folder || utimensat(folder->fd, base, times, AT_SYMLINK_NOFOLLOW) < 0) {
        if (!folder || errno == ENOENT)
            return refuse(why, CONDITION_INVALID,
                          "the layer has the folder %s and takes it away again; the layer must be "
                          "built anew",
                          quoted(bytes_of(name)));
        return io_error(why, errno, "set the times of", name);
    }
    return 0;
}

int apply_finish(struct apply *apply, struct reason *why)
{
    int result = tree_settle_all(apply->tree, why);

    while (!result) {
        struct apply_directory record;
        char name[PATH_ROOM];
        size_t got;

        result = spill_list_take(&apply->directories, &record, sizeof(record), &got, why);
        if (result || got == 0)
            break;
        result = spill_list_take(&apply->directories, name, record.length, &got, why);
        if (!result)
            result = tree_begin_entry(apply->tree, why);
        name[record.length] = '\0';
        if (!result)
            result = apply_directory_times(apply, name, record.times, why);
    }
    return result;
}
