/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_LAYER_PAX_H
#define COWSNAP_LAYER_PAX_H

/*
 * The records of a PAX extended header (POSIX.1-2001, pax, "Extended Header"): "LENGTH
 * KEY=VALUE\n", LENGTH in decimal and counting the whole record. Keys without meaning here are
 * stepped over: names of users and groups, comments, LIBARCHIVE.* (containerd's differ reads
 * attributes from SCHILY.xattr.* alone, and bsdtar writes both).
 */

#include "base/bytes.h"
#include "base/result.h"
#include "layer/entry.h"

#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* The last value that each key was given. An empty value takes an earlier one back; so length 0
 * means that the plain header's field holds. Names, values of attributes too, have a NUL behind
 * them. */
struct pax {
    struct bytes path, linkpath;
    struct bytes size, uid, gid;
    struct bytes mtime, atime, ctime;
    struct bytes sparse_major, sparse_minor; /* GNU.sparse.*: see sparse.h */
    struct bytes sparse_name, sparse_size, sparse_real_size;
    struct bytes sparse_count; /* GNU.sparse.numblocks */
    struct bytes sparse_map;   /* pairs of numbers with commas between; also made from the pairs
                                  GNU.sparse.offset, GNU.sparse.numbytes of format 0.0 */

    struct entry_xattr *xattrs; /* sorted by name, each name once; empty names and values
                                   are kept */
    size_t xattr_count;

    size_t xattr_room; /* pax.c's own */
    char *pairs;
};

/* Reads RECORDS (LENGTH bytes), which must outlive the use of *PAX: the values point into it, and
 * its separators become NULs. *PAX is {0}, or from an earlier call, whose memory is used again.
 * Takes at most 4 times LENGTH of memory. CONDITION_INVALID for malformed records, among them NULs
 * in a key or in a name. */
int pax_parse(struct pax *pax, uint8_t *records, size_t length, struct reason *why);

/* Forgets the values, keeps the memory. */
void pax_clear(struct pax *pax);
/* Gives the memory back. */
void pax_deinit(struct pax *pax);

/* The values of a number and of a time (seconds, a sign and a fraction allowed). *NUMBER and *TIME
 * stay as they are when VALUE is empty. WHAT names the key in the sentence. */
int pax_number(struct bytes value, const char *what, int64_t *number, struct reason *why);
int pax_time(struct bytes value, const char *what, struct timespec *time, struct reason *why);

#endif
