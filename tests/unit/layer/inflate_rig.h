/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_TESTS_INFLATE_RIG_H
#define COWSNAP_TESTS_INFLATE_RIG_H

/* Makes compressed bytes, and drives an inflater over bytes in memory. */

#include "layer/inflate.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes that grow; zero-initialised is empty. rig_bytes_free() frees. */
struct rig_bytes {
    uint8_t *data;
    size_t length;
    size_t room; /* allocated */
};

void rig_append(struct rig_bytes *bytes, const void *data, size_t length);
void rig_bytes_free(struct rig_bytes *bytes);

/* LENGTH bytes that look a little like text and a little like noise; the same for the same SEED. */
void rig_append_sample(struct rig_bytes *bytes, size_t length, unsigned seed);

/* One gzip member or zstd frame (with a checksum) that holds DATA, behind what is there. */
void rig_append_gzip(struct rig_bytes *bytes, const void *data, size_t length);
void rig_append_zstd(struct rig_bytes *bytes, const void *data, size_t length);

/* How an inflater is driven. 0 in a size means as much as there is room for. */
struct rig_drive {
    size_t read_size; /* bytes that each read of the blob gives */
    size_t room;      /* bytes of output in each call */
    size_t fail_at;   /* a read at or past this byte fails with EIO; 0 for never */
};

/* Runs the inflater that fits BLOB to its end or first error, which is returned. OUT gets all the
 * bytes that came out, the good ones before an error included. */
int rig_inflate(const void *blob, size_t length, struct rig_drive drive, struct rig_bytes *out,
                struct reason *why);

#endif
