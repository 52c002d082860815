/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_BASE_SIZE_H
#define COWSNAP_BASE_SIZE_H

/*
 * Sizes in bytes as people write them. The only place that reads or prints one.
 */

#include "base/bytes.h"
#include "base/result.h"

#include <stdint.h>

/* Reads "1073741824", "20GiB", "512M", "1 TB". K, M, G, T, P and KiB … PiB are powers of 1024; KB …
 * PB are powers of 1000; B or nothing is bytes; case does not count. CONDITION_INVALID with a
 * sentence that begins with the text and says what is allowed; *SIZE is then unchanged. */
int size_parse(struct bytes text, uint64_t *size, struct reason *why);

#define SIZE_ROOM 16

/* Writes SIZE for people in at most SIZE_ROOM bytes: three digits and a binary unit, "0 B",
 * "999 B", "1.25 GiB", "340 MiB". Returns BUFFER. */
const char *size_format(uint64_t size, char buffer[SIZE_ROOM]);

/* size_format() into a buffer that lives to the end of the calling block. */
#define size_text(size) size_format((size), (char[SIZE_ROOM]){0})

#endif
