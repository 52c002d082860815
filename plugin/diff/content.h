/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_DIFF_CONTENT_H
#define COWSNAP_DIFF_CONTENT_H

/*
 * Blobs of containerd's content store, read where they lie: <root>/blobs/<algorithm>/<hex>
 * (containerd, plugins/content/local). What comes from the network is a digest, checked to be
 * nothing but one, never a path.
 */

#include "base/bytes.h"
#include "base/result.h"

#include <stdint.h>

#define CONTENT_DIGEST_SIZE 32 /* bytes of a SHA-256 */

/* Parses "sha256:<64 hex digits, lower case>". CONDITION_UNIMPLEMENTED for a digest of
 * another algorithm; CONDITION_INVALID for anything else. */
int content_parse_digest(struct bytes text, uint8_t digest[CONTENT_DIGEST_SIZE],
                         struct reason *why);

/* Writes "sha256:<hex>" with its NUL: 72 bytes. */
void content_format_digest(const uint8_t digest[CONTENT_DIGEST_SIZE], char text[72]);

/* Opens the blob for reading; the caller closes *BLOB. SIZE, when positive, is what the descriptor
 * promises, and a blob of another size is CONDITION_INVALID. CONDITION_NOT_FOUND when the blob, or
 * the content store, is not there. */
int content_open(const char *root, const uint8_t digest[CONTENT_DIGEST_SIZE], int64_t size,
                 int *blob, struct reason *why);

#endif
