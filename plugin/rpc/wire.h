/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_RPC_WIRE_H
#define COWSNAP_RPC_WIRE_H

/*
 * What containerd's services share on the wire (proto/containerd/types.proto), to and from the
 * structures of the rules.
 */

#include "base/bytes.h"
#include "base/result.h"
#include "snapshot/snapshots.h"

#include <containerd/snapshots.pb-c.h>
#include <containerd/types.pb-c.h>

/* A point in time; nanos are positive before the epoch, too. */
Containerd__Types__Timestamp wire_timestamp(int64_t nanoseconds);
int64_t wire_nanoseconds(const Containerd__Types__Timestamp *stamp); /* NULL: 0 */

/* The labels of a map field: sorted by key, of a key that comes twice the last, as protobuf says.
 * Bytes are borrowed from the message; *LABELS is the caller's to free(3), NULL when there are
 * none.
 */
int wire_labels_read(struct label **labels, size_t *count, size_t wire_count,
                     Containerd__Types__Label *const *wire, struct reason *why);

/* What is stored is text: containerd's messages have strings there, and could not be read any more
 * with another among them (protobuf's wire format). CONDITION_INVALID names TEXT by WHAT. */
int wire_check_text(struct bytes text, const char *what, struct reason *why);
int wire_check_labels(const struct label *labels, size_t count, struct reason *why);

/* Labels as messages. One block of memory, the caller's to free(3). */
int wire_labels_write(Containerd__Types__Label ***wire, const struct label *labels, size_t count,
                      struct reason *why);

/* Byte strings of a message as the rules take them, and back. Bytes are borrowed, the list is the
 * caller's to free(3). */
int wire_strings_read(struct bytes **strings, const ProtobufCBinaryData *wire, size_t count,
                      struct reason *why);
int wire_strings_write(ProtobufCBinaryData **wire, const struct bytes *strings, size_t count,
                       struct reason *why);

/* Mounts as messages. One block of memory, the caller's to free(3); texts are borrowed. */
int wire_mounts_write(Containerd__Types__Mount ***wire, const struct mounts *mounts,
                      struct reason *why);

/* The message for INFO, which it borrows from; it must stay where it is. */
struct wire_info {
    Containerd__Services__Snapshots__V1__Info info;
    Containerd__Types__Timestamp created, updated;
    Containerd__Types__Label **labels; /* the caller's to free(3) */
};
int wire_info_write(struct wire_info *wire, const struct snapshot_info *info, struct reason *why);

#endif
