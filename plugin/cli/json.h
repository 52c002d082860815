/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_CLI_JSON_H
#define COWSNAP_CLI_JSON_H

/*
 * Writes JSON (RFC 8259), one value a line. libsmartcols can print tables as JSON, but only of C
 * strings, and it passes bytes on that are no UTF-8; keys of snapshots are any bytes.
 *
 * Bytes that are no well-formed UTF-8 become U+FFFD in the text, one each, as readers expect, and
 * the exact bytes follow in a second member, in base64 (RFC 4648): "key" and "key_base64". The
 * second is there only when it is needed.
 *
 * NAME is that of a member, and NULL inside an array and at the top. Nothing here fails: who owns
 * the stream looks for its error at the end.
 */

#include "base/bytes.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct json {
    FILE *stream;
    unsigned depth;
    uint32_t arrays; /* a bit for each depth: what is open there is an array */
    bool first;      /* nothing stands yet in what is open */
};
#define JSON_TO(stream) ((struct json){(stream), 0, 0, true})

/* Opens an object or an array; json_end() closes the innermost, and ends the line after the last.
 * At most 32 deep. */
void json_object(struct json *json, const char *name);
void json_array(struct json *json, const char *name);
void json_end(struct json *json);

void json_bytes(struct json *json, const char *name, struct bytes bytes);
void json_text(struct json *json, const char *name, const char *text);
void json_number(struct json *json, const char *name, uint64_t number);
void json_switch(struct json *json, const char *name, bool on);
void json_null(struct json *json, const char *name);
/* A point in time, in nanoseconds since the epoch, as RFC 3339 writes it, in UTC. */
void json_time(struct json *json, const char *name, int64_t nanoseconds);

#endif
