/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_LAYER_SPARSE_H
#define COWSNAP_LAYER_SPARSE_H

/*
 * The map of a sparse file: where in the file the data that the archive holds belongs. Formats, in
 * the words of GNU tar's manual ("Storing Sparse Files"):
 *
 *     old GNU  four entries in the header, 21 in each extension block after it; fields as in
 * headers 0.0      PAX records GNU.sparse.offset and GNU.sparse.numbytes, in turns 0.1      one PAX
 * record, GNU.sparse.map: numbers with commas between 1.0      a list of lines in front of the
 * data: their count, then offset and length in turns
 *
 * Extents must ascend, must not overlap and must end within the file. Pure: no I/O.
 */

#include "base/bytes.h"
#include "base/result.h"
#include "layer/tar_header.h"
#include "layer/tar_number.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sparse_extent {
    uint64_t offset, length; /* length is never 0 */
};

/* Starts as {0}. */
struct sparse_map {
    struct sparse_extent *extents;
    size_t count, room;
    uint64_t size; /* of the file, holes included */
    uint64_t end;  /* of the last extent given */
};

/* Empties the map, for a file of SIZE bytes; its memory is used again. */
void sparse_map_reset(struct sparse_map *map, uint64_t size);
/* Gives the memory back. */
void sparse_map_deinit(struct sparse_map *map);

/* One more extent; an empty one is checked and dropped. CONDITION_INVALID when it cannot be. */
int sparse_map_add(struct sparse_map *map, int64_t offset, int64_t length, struct reason *why);

/* The old GNU format: AREA is struct tar_header's sparse, or a whole extension block. *EXTENDED
 * tells whether a (further) extension block follows. */
int sparse_map_add_gnu(struct sparse_map *map, struct bytes area, bool *extended,
                       struct reason *why);

/* 0.0 and 0.1: TEXT holds twice COUNT numbers, both as the PAX records have them. */
int sparse_map_add_list(struct sparse_map *map, struct bytes text, struct bytes count,
                        struct reason *why);

/* 1.0: the lines come in blocks, of which the last is padded. Starts as {0}. */
struct sparse_lines {
    struct tar_decimal number; /* the line that is being read */
    bool counted;              /* the first line, their count, was read */
    uint64_t left;             /* lines still to come */
    int64_t offset;
};

/* Takes one block. *DONE tells that it was the last one; otherwise another must follow. */
int sparse_lines_feed(struct sparse_lines *lines, struct sparse_map *map, struct bytes block,
                      bool *done, struct reason *why);

#endif
