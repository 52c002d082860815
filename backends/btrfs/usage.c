/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/btrfs/usage.h"

#include "backends/btrfs/tree.h"
#include "base/scoped.h"

#include <btrfsutil.h>
#include <endian.h>
#include <errno.h>
#include <string.h>

/* Items read before an answer has to do with the last known figure: about a millisecond's work on
 * the machine of docs/performance.md. */
#define USAGE_ITEMS 2048
/* Read at a time, so that the bound is not overrun by much. */
#define USAGE_BATCH 512

void usage_init(struct usage_cache *cache)
{
    memset(cache->slots, 0, sizeof(cache->slots));
    pthread_mutex_init(&cache->lock, NULL);
}

void usage_deinit(struct usage_cache *cache)
{
    pthread_mutex_destroy(&cache->lock);
}

static struct usage_slot usage_recall(struct usage_cache *cache, uint64_t id)
{
    pthread_mutex_lock(&cache->lock);
    struct usage_slot slot = cache->slots[id % USAGE_SLOTS];
    pthread_mutex_unlock(&cache->lock);
    return slot.id == id ? slot : (struct usage_slot){.id = id};
}

static void usage_remember(struct usage_cache *cache, struct usage_slot slot)
{
    pthread_mutex_lock(&cache->lock);
    cache->slots[slot.id % USAGE_SLOTS] = slot;
    pthread_mutex_unlock(&cache->lock);
}

void usage_forget(struct usage_cache *cache, uint64_t id)
{
    pthread_mutex_lock(&cache->lock);
    if (cache->slots[id % USAGE_SLOTS].id == id)
        cache->slots[id % USAGE_SLOTS].id = 0;
    pthread_mutex_unlock(&cache->lock);
}

/* Bytes of a file extent item (struct btrfs_file_extent_item) written in SINCE or later. */
static uint64_t usage_of_extent(const struct tree_item *item, uint64_t since)
{
    struct btrfs_file_extent_item extent = {0};
    const size_t inline_header = offsetof(struct btrfs_file_extent_item, disk_bytenr);

    if (item->length < inline_header)
        return 0;
    memcpy(&extent, item->data, item->length < sizeof(extent) ? item->length : sizeof(extent));
    if (le64toh(extent.generation) < since)
        return 0;
    if (extent.type == BTRFS_FILE_EXTENT_INLINE)
        return item->length - inline_header;
    if (item->length < sizeof(extent) || extent.disk_bytenr == 0) /* 0: a hole */
        return 0;

    uint64_t length = le64toh(extent.num_bytes), whole = le64toh(extent.ram_bytes);
    if (extent.compression == 0 || whole == 0)
        return length;
    return (uint64_t)((unsigned __int128)length * le64toh(extent.disk_num_bytes) / whole);
}

static void usage_add(struct volume_usage *usage, const struct tree_item *item, uint64_t since)
{
    if (item->key.type == BTRFS_EXTENT_DATA_KEY) {
        usage->bytes += usage_of_extent(item, since);
    } else if (item->key.type == BTRFS_INODE_ITEM_KEY &&
               item->key.objectid > BTRFS_FIRST_FREE_OBJECTID &&
               item->length >= sizeof(struct btrfs_inode_item)) {
        struct btrfs_inode_item inode;
        memcpy(&inode, item->data, sizeof(inode));
        usage->inodes += le64toh(inode.transid) >= since;
    }
}

/* Counts what SINCE and later transactions wrote. usage->exact says whether it came to the end. */
static int usage_count(int fd, uint64_t since, bool any_length, struct volume_usage *usage)
{
    const struct tree_key first = {BTRFS_FIRST_FREE_OBJECTID, 0, 0};
    const struct tree_key last = {BTRFS_LAST_FREE_OBJECTID, UINT8_MAX, UINT64_MAX};
    struct tree_cursor cursor;
    struct tree_item item;
    int result = tree_open(&cursor, fd, 0, first, last, since, any_length ? 0 : USAGE_BATCH);

    *usage = (struct volume_usage){0};
    for (unsigned items = 0; result == 0 && (any_length || items < USAGE_ITEMS); items++) {
        result = tree_next(&cursor, &item);
        if (result == 0) {
            usage->exact = true;
            break;
        }
        if (result < 0)
            break;
        usage_add(usage, &item, since);
        /* the next search need not bring the rest of a large folder's entries */
        if (item.key.type < BTRFS_EXTENT_DATA_KEY)
            cursor.next = (struct tree_key){item.key.objectid, BTRFS_EXTENT_DATA_KEY, 0};
        result = 0;
    }
    tree_close(&cursor);
    return result;
}

int usage_of(struct usage_cache *cache, uint64_t id, int fd, bool cloned, bool any_length,
             struct volume_usage *usage)
{
    struct usage_slot known = usage_recall(cache, id);
    struct btrfs_util_subvolume_info info;
    int result;

    if (btrfs_util_subvolume_info_fd(fd, 0, &info) != BTRFS_UTIL_OK)
        return errno > 0 ? -errno : -EIO;
    if (known.subvolume != info.id)
        known = (struct usage_slot){.id = id, .subvolume = info.id};
    /* The generation moves when a transaction that changed the volume is committed: counted again
     * then, whatever of it was seen before. */
    if (known.generation == info.generation) {
        *usage = (struct volume_usage){known.bytes, known.inodes, true};
        return 0;
    }

    result = usage_count(fd, cloned ? info.otransid + 1 : 0, any_length, usage);
    if (result < 0)
        return result;
    if (!usage->exact && (known.exact || usage->inodes < known.inodes)) {
        *usage = (struct volume_usage){known.bytes, known.inodes, false};
        return 0;
    }
    known.generation = usage->exact ? info.generation : 0;
    known.exact = usage->exact;
    known.bytes = usage->bytes;
    known.inodes = usage->inodes;
    usage_remember(cache, known);
    return 0;
}
