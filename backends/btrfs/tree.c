/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/btrfs/tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

/* Larger than any item (a node is at most 64 KiB), so that a search always moves on. */
#define TREE_BUFFER ((size_t)64 << 10)

int tree_open(struct tree_cursor *cursor, int fd, uint64_t tree, struct tree_key first,
              struct tree_key last, uint64_t generation, uint32_t batch)
{
    *cursor = (struct tree_cursor){
        .fd = fd,
        .arguments = malloc(sizeof(*cursor->arguments) + TREE_BUFFER),
        .tree = tree,
        .next = first,
        .last = last,
        .generation = generation,
        .batch = batch > 0 ? batch : UINT32_MAX,
    };
    return cursor->arguments ? 0 : -ENOMEM;
}

void tree_close(struct tree_cursor *cursor)
{
    free(cursor->arguments);
    cursor->arguments = NULL;
}

static int tree_fetch(struct tree_cursor *cursor)
{
    struct btrfs_ioctl_search_args_v2 *arguments = cursor->arguments;

    arguments->key = (struct btrfs_ioctl_search_key){
        .tree_id = cursor->tree,
        .min_objectid = cursor->next.objectid,
        .max_objectid = cursor->last.objectid,
        .min_type = cursor->next.type,
        .max_type = cursor->last.type,
        .min_offset = cursor->next.offset,
        .max_offset = cursor->last.offset,
        .min_transid = cursor->generation,
        .max_transid = UINT64_MAX,
        .nr_items = cursor->batch,
    };
    arguments->buf_size = TREE_BUFFER;
    if (ioctl(cursor->fd, BTRFS_IOC_TREE_SEARCH_V2, arguments) < 0)
        return -errno;
    cursor->ready = arguments->key.nr_items;
    cursor->position = 0;
    return 0;
}

/* The least key after KEY; false when there is none. Types are bytes on disk. */
static bool tree_key_advance(struct tree_key *key)
{
    if (++key->offset != 0)
        return true;
    if (key->type < UINT8_MAX) {
        key->type++;
        return true;
    }
    key->type = 0;
    return ++key->objectid != 0;
}

int tree_next(struct tree_cursor *cursor, struct tree_item *item)
{
    struct btrfs_ioctl_search_header header;
    const char *buffer = (const char *)cursor->arguments->buf;

    if (cursor->ready == 0) {
        if (cursor->batch == 0) /* the last key there can be was handed out */
            return 0;
        int result = tree_fetch(cursor);
        if (result < 0)
            return result;
        if (cursor->ready == 0)
            return 0;
    }

    memcpy(&header, buffer + cursor->position, sizeof(header));
    item->key = (struct tree_key){header.objectid, header.type, header.offset};
    item->data = buffer + cursor->position + sizeof(header);
    item->length = header.len;
    cursor->position += sizeof(header) + header.len;
    cursor->ready--;
    cursor->next = item->key;
    if (!tree_key_advance(&cursor->next))
        cursor->batch = 0;
    return 1;
}

int tree_find_first(int fd, uint64_t tree, struct tree_key first, struct tree_key last,
                    struct tree_key *key, void *data, size_t room)
{
    struct tree_cursor cursor;
    /* The initial value tells nothing: gcc 13 and 14 do not see that 1 means an item. */
    struct tree_item item = {0};
    int result = tree_open(&cursor, fd, tree, first, last, 0, 1);

    if (result == 0)
        result = tree_next(&cursor, &item);
    if (result == 1) {
        *key = item.key;
        if (room > 0)
            memcpy(data, item.data, item.length < room ? item.length : room);
    }
    tree_close(&cursor);
    return result;
}
