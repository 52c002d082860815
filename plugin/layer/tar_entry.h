/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_LAYER_TAR_ENTRY_H
#define COWSNAP_LAYER_TAR_ENTRY_H

/*
 * Merges what an archive says about one entry in several places. Later in this list wins: the
 * header, its PAX records, GNU's long names, the name and size in GNU.sparse records. Pure.
 */

#include "base/result.h"
#include "layer/entry.h"
#include "layer/pax.h"
#include "layer/tar_header.h"

#include <stdbool.h>
#include <stdint.h>

/* All headers of one entry. */
struct tar_headers {
    struct tar_header header;
    struct pax pax;
    const char *long_name, *long_link; /* NULL: none */
};

/* How a file's sparse map is stored; sparse.h describes the formats. */
enum tar_sparse {
    TAR_SPARSE_NONE,
    TAR_SPARSE_GNU,   /* in the header and in blocks after it */
    TAR_SPARSE_LIST,  /* in the PAX records */
    TAR_SPARSE_LINES, /* in front of the data */
};

/* Fills ENTRY, which borrows from HEADERS. *STORED is how many bytes follow in the archive (a map
 * in front of the data included), *SPARSE whether a map tells where they belong; entry->size is
 * then that of the file with its holes. CONDITION_INVALID for what no file system or no reader
 * takes: owners outside 32 bits, a negative size, an unknown type. entry->name is set then, too. */
int tar_entry_merge(struct entry *entry, const struct tar_headers *headers, uint64_t *stored,
                    enum tar_sparse *sparse, struct reason *why);

#endif
