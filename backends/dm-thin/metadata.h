/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_BACKENDS_DM_THIN_METADATA_H
#define COWSNAP_BACKENDS_DM_THIN_METADATA_H

/*
 * A thin pool's metadata as it lies on its device: blocks of 4 KiB, little-endian, each with a
 * checksum that also covers what it is (linux: drivers/md/dm-thin-metadata.c,
 * drivers/md/persistent-data/dm-btree-internal.h). No I/O; what is wrong is refused, whatever the
 * bytes are.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define METADATA_BLOCK 4096

struct metadata_superblock {
    uint64_t transaction;
    uint64_t held_root;    /* block of the metadata snapshot's superblock; 0: none */
    uint64_t details_root; /* of the tree of devices */
    uint64_t blocks;       /* of the metadata device when the pool was made; growth leaves it */
    uint32_t block_sectors;
    bool needs_check; /* the kernel met with an error, and serves reads only until it is checked */
};

/* The superblock that lies at block NUMBER (0, or a metadata snapshot's). */
bool metadata_parse_superblock(const uint8_t block[METADATA_BLOCK], uint64_t number,
                               struct metadata_superblock *superblock);

/* Whether the block is all zeros: what the kernel takes for a pool yet to be made. */
bool metadata_is_blank(const uint8_t block[METADATA_BLOCK]);

/* A node of the tree of devices. */
struct metadata_node {
    const uint8_t *block; /* borrowed */
    bool leaf;
    unsigned count; /* of entries; 0 only in the root of an empty tree */
    unsigned room;
};

struct metadata_device {
    uint32_t id;          /* 24 bits */
    uint64_t mapped;      /* blocks */
    uint64_t transaction; /* the pool's when it was made */
};

bool metadata_parse_node(const uint8_t block[METADATA_BLOCK], uint64_t number,
                         struct metadata_node *node);
/* Entry INDEX of a node that is no leaf: the block of a node below. */
uint64_t metadata_child(const struct metadata_node *node, unsigned index);
/* Entry INDEX of a leaf. False when its id cannot be. */
bool metadata_entry(const struct metadata_node *node, unsigned index,
                    struct metadata_device *device);

#endif
