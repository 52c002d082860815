/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_LAYER_MANIFEST_H
#define COWSNAP_LAYER_MANIFEST_H

/*
 * What a layer wrote, name by name, so that damage can be found later (manifest_check.h). It is one
 * file: a mark, records in the order of the archive, of which the last of a name counts, and an end
 * with a sum over all. One without its end tells nothing. Numbers are as the machine has them. What
 * lies deeper than a path can name is not in it.
 *
 * It is kept by the thread that applies the layer, and written without a sync: after a loss of
 * power it may be missing, which takes nothing from the layer.
 */

#include "base/bytes.h"
#include "base/result.h"
#include "layer/entry.h"

#include <stdbool.h>
#include <stdint.h>

enum manifest_what {
    MANIFEST_PUT = 1,  /* something is there */
    MANIFEST_GONE = 2, /* nothing is there any more */
    MANIFEST_END = 3,  /* SIZE is the number of records, SUM that of all bytes before */
};

#define MANIFEST_MARK "cowsnap content\n" /* 16 bytes */
/* Bytes at most, some three million names: it lies on a disk that no limit of a layer watches. */
#define MANIFEST_MOST (UINT64_C(256) << 20)
/* Bytes at most beyond what a record has a right to, since the layer spent as much on it: a header,
 * and its names several times. A short name through a symlink is a long one here. */
#define MANIFEST_EXCESS (UINT64_C(4) << 20)
#define MANIFEST_ANY_MODE UINT32_MAX /* mode and owner are not known: a missing parent */

/* A record; NAME_LENGTH and LINK_LENGTH bytes follow, without NULs. */
struct manifest_record {
    uint8_t what;
    uint8_t type; /* enum entry_type */
    uint8_t made; /* a folder that the layer made: all in it came from the layer */
    uint8_t unused;
    uint16_t name_length, link_length;
    uint32_t mode, uid, gid;
    uint32_t device_major, device_minor;
    uint32_t unused2;
    uint64_t size, sum; /* of a file */
};

struct manifest;

/* Begins one in FD, an empty file open for writing, which is the manifest's from now on. */
int manifest_begin(struct manifest **manifest, int fd, struct reason *why);

/* Notes ENTRY, which is BASE in the folder FOLDER (a resolved tree name) now. LINK is where a
 * symlink leads, "" for others. All functions take NULL and do nothing; what fails leaves the file
 * empty at once, and is told by manifest_end(). */
void manifest_put(struct manifest *manifest, const char *folder, const char *base,
                  const struct entry *entry, bool made, const char *link, uint64_t sum);
/* A folder that no entry told of. */
void manifest_imply(struct manifest *manifest, const char *folder, const char *base);
void manifest_gone(struct manifest *manifest, const char *folder, const char *base);

/* Writes the end if the layer is WHOLE, and frees; otherwise, and on a failure, the file is left
 * empty. */
int manifest_end(struct manifest *manifest, bool whole, struct reason *why);

#endif
