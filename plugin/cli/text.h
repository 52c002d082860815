/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_CLI_TEXT_H
#define COWSNAP_CLI_TEXT_H

/* How bytes and times are shown to people. */

#include "base/bytes.h"

#include <stdint.h>

/* BYTES as they are when every one of them may be shown, else as bytes_quote() writes them, whole;
 * so what stands between quotes has escapes, or was empty. The caller's to free(3); NULL when
 * memory is out. */
char *text_shown(struct bytes bytes);

#define TIME_ROOM 48

/* A point in time, in nanoseconds since the epoch: "2026-11-24T18:05:07.000000012Z". Returns
 * BUFFER. */
const char *time_utc(int64_t nanoseconds, char buffer[TIME_ROOM]);

/* "2026-11-24 19:05:07", in the time zone of whoever looks. */
const char *time_local(int64_t nanoseconds, char buffer[TIME_ROOM]);

/* How long SECONDS are, in the two largest units: "3 d 4 h", "5 min 0 s", "12 s". */
const char *time_span(uint64_t seconds, char buffer[TIME_ROOM]);

#endif
