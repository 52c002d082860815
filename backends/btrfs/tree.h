/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_BACKENDS_BTRFS_TREE_H
#define COWSNAP_BACKENDS_BTRFS_TREE_H

/*
 * Reads items of a btrfs tree in the order of their keys, by BTRFS_IOC_TREE_SEARCH_V2. What the
 * running transaction has changed so far is seen. Needs CAP_SYS_ADMIN.
 */

#include <linux/btrfs.h>
#include <linux/btrfs_tree.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tree_key {
    uint64_t objectid;
    uint32_t type;
    uint64_t offset;
};

struct tree_item {
    struct tree_key key;
    const void *data; /* as on disk: little-endian, not aligned; valid until the next tree_next() */
    size_t length;
};

struct tree_cursor {
    int fd;
    struct btrfs_ioctl_search_args_v2 *arguments;
    uint64_t tree;
    struct tree_key next; /* where the next search begins; a caller may move it on */
    struct tree_key last;
    uint64_t generation;
    uint32_t batch;  /* items asked for at a time */
    uint32_t ready;  /* items in the buffer not handed out yet */
    size_t position; /* of the next of them */
};

/* Begins at FIRST and ends with LAST, both included. FD is any of the file system; TREE is the id
 * of a tree, 0 for that of FD's subvolume. GENERATION leaves out parts of the tree that no
 * transaction since that one touched (leaves that stay bring their older items along). BATCH: how
 * many items to fetch at a time, 0 for as many as fit. -ENOMEM or 0; tree_close() ends it. */
int tree_open(struct tree_cursor *cursor, int fd, uint64_t tree, struct tree_key first,
              struct tree_key last, uint64_t generation, uint32_t batch);

/* 1: *ITEM is the next; 0: no more; minus an errno. */
int tree_next(struct tree_cursor *cursor, struct tree_item *item);

/* Any number of times, also on one that tree_open() failed for. */
void tree_close(struct tree_cursor *cursor);

/* One item, of which up to ROOM bytes are copied to DATA: 1 found, 0 not there, or minus an errno.
 * Its key goes to *KEY. */
int tree_find_first(int fd, uint64_t tree, struct tree_key first, struct tree_key last,
                    struct tree_key *key, void *data, size_t room);

#endif
