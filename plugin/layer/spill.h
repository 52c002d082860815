/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_LAYER_SPILL_H
#define COWSNAP_LAYER_SPILL_H

/*
 * Memory of an Apply that would grow with the layer goes to a file without a name, beside what is
 * written anyway: it is gone with its descriptor, also when the daemon dies. It is read and written
 * by calls, never mapped: a full disk is then an error and not a signal.
 */

#include "base/result.h"

#include <stddef.h>
#include <stdint.h>

/* An empty file on the file system of the folder FOLDER. */
int spill_open(int folder, int *fd, struct reason *why);

/* The whole of LENGTH bytes at OFFSET, or an error. Reading past the end gives zeros. */
int spill_write(int fd, const void *data, size_t length, uint64_t offset, struct reason *why);
int spill_read(int fd, void *data, size_t length, uint64_t offset, struct reason *why);

/* A list of records that is written once and then read once from its start. */
struct spill_list {
    int folder; /* where the file goes; borrowed */
    int fd;     /* -1 while everything fits into the buffer */
    uint8_t *buffer;
    size_t limit, used, at;
    uint64_t written, read; /* bytes in the file */
};

/* LIMIT bytes are kept in memory, more go to a file; no record may be longer than LIMIT. */
int spill_list_init(struct spill_list *list, int folder, size_t limit, struct reason *why);
void spill_list_deinit(struct spill_list *list);
int spill_list_append(struct spill_list *list, const void *data, size_t length, struct reason *why);
/* The next LENGTH bytes; *GOT is 0 at the end of the list, LENGTH else. Nothing may be appended
 * after the first take. */
int spill_list_take(struct spill_list *list, void *data, size_t length, size_t *got,
                    struct reason *why);

#endif
