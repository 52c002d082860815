/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_CONFIG_TOML_READER_H
#define COWSNAP_CONFIG_TOML_READER_H

/*
 * A TOML document as a list of settings, for C. Only two levels are looked at, "key" and
 * "section.key": whatever lies deeper is for the caller to refuse.
 */

#include "base/bytes.h"
#include "base/result.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum toml_kind {
    TOML_TABLE, /* a section that is about to be listed, or, inside a section, a deeper one */
    TOML_STRING,
    TOML_INTEGER,
    TOML_BOOLEAN,
    TOML_OTHER, /* a float, a date, an array: kind_name says which */
};

/* Bytes live during the visit only. */
struct toml_item {
    unsigned line;         /* where the key stands, from 1 */
    struct bytes section;  /* empty for a key of the top level */
    struct bytes key;      /* may hold any byte: TOML allows quoted keys */
    enum toml_kind kind;   /* which of the values below is set */
    const char *kind_name; /* with its article, for messages: "a string" */
    struct bytes string;   /* TOML_STRING; may hold a NUL */
    int64_t integer;       /* TOML_INTEGER */
    bool boolean;          /* TOML_BOOLEAN */
};

/* A result other than 0 ends the reading and is returned. */
typedef int toml_visit(void *context, const struct toml_item *item, struct reason *why);

/* Calls VISIT for every item in the order of the lines. NAME is the document's, for messages.
 * CONDITION_INVALID when it is not TOML ("NAME:LINE: what is wrong"). No exception leaves it. */
int toml_read(struct bytes document, const char *name, toml_visit *visit, void *context,
              struct reason *why);

#ifdef __cplusplus
}
#endif

#endif
