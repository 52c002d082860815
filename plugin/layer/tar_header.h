/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_LAYER_TAR_HEADER_H
#define COWSNAP_LAYER_TAR_HEADER_H

/*
 * One 512-byte header block of a tar archive: V7, POSIX.1-1988 "ustar" (PAX headers look the same),
 * GNU, and Schily's star. Pure: it looks at the block alone.
 */

#include "base/bytes.h"
#include "base/result.h"

#include <stdbool.h>
#include <stdint.h>

#define TAR_BLOCK 512u /* headers start, and data is padded to, multiples of it */

enum tar_format {
    TAR_FORMAT_V7,
    TAR_FORMAT_USTAR,
    TAR_FORMAT_STAR,
    TAR_FORMAT_GNU,
};

/* The type flag of a header; any other byte may stand there too. */
enum tar_type {
    TAR_FILE_OLD = '\0', /* a directory when its name ends in a slash, which V7 had no type for */
    TAR_FILE = '0',
    TAR_HARDLINK = '1',
    TAR_SYMLINK = '2',
    TAR_CHARACTER_DEVICE = '3',
    TAR_BLOCK_DEVICE = '4',
    TAR_DIRECTORY = '5',
    TAR_FIFO = '6',
    TAR_SPARSE = 'S',    /* GNU: its map is in the header */
    TAR_LONG_NAME = 'L', /* GNU: the data is the next entry's name */
    TAR_LONG_LINK = 'K',
    TAR_PAX = 'x',
    TAR_PAX_GLOBAL = 'g',
};

#define TAR_NAME_SIZE 100
#define TAR_PREFIX_SIZE 155

struct tar_header {
    enum tar_format format;
    uint8_t type;
    char name[TAR_PREFIX_SIZE + 1 + TAR_NAME_SIZE + 1]; /* prefix, slash, name */
    char link[TAR_NAME_SIZE + 1];
    int64_t mode, uid, gid, size; /* as they stand there: of any size, negative too */
    int64_t mtime;                /* s since 1970 */
    bool has_atime;               /* GNU and star have a field for it */
    int64_t atime;
    int64_t device_major, device_minor; /* 0 in V7 */

    /* TAR_FORMAT_GNU only, borrowed from the block: the map's first entries (see sparse.h), and the
     * size of the file with its holes. */
    struct bytes sparse;
    struct bytes real_size;
};

/* The archive ends with two blocks of zeros. */
bool tar_header_is_zero(const uint8_t block[static TAR_BLOCK]);

/* CONDITION_INVALID when the checksum is neither the sum of the unsigned nor of the signed bytes,
 * or a number is none. *HEADER is then undefined. */
int tar_header_parse(struct tar_header *header, const uint8_t block[static TAR_BLOCK],
                     struct reason *why);

/* Whether data follows a header of TYPE. What has none may claim a size all the same: nobody looks
 * at it. */
bool tar_header_has_data(uint8_t type);

#endif
