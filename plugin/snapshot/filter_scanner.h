/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_SNAPSHOT_FILTER_SCANNER_H
#define COWSNAP_SNAPSHOT_FILTER_SCANNER_H

/* The words of the filter language (filter.h). No input is read but through the scanner's cursor.
 */

#include "base/arena.h"
#include "base/bytes.h"
#include "base/result.h"

enum filter_token {
    FILTER_END,
    FILTER_FIELD,
    FILTER_VALUE,
    FILTER_QUOTED,
    FILTER_COMMA,
    FILTER_DOT,
    FILTER_OPERATOR,
};

struct filter_scanner {
    struct bytes input;
    size_t at;          /* of the next byte */
    size_t token_start; /* of the token last scanned */
    bool value_next;    /* an operator was just seen: what follows is a value, not a field */
};

/* The next token; TEXT is its piece of the input, quotes included. CONDITION_INVALID at bytes that
 * begin no token. */
int filter_scan(struct filter_scanner *scanner, enum filter_token *token, struct bytes *text,
                struct reason *why);

/* What a FILTER_QUOTED token stands for, its escapes resolved, in ARENA. The text was found well
 * formed by filter_scan(). */
int filter_unquote(struct arena *arena, struct bytes text, struct bytes *value, struct reason *why);

/* A refusal that shows where in the filter the parser stopped. */
int filter_refuse(const struct filter_scanner *scanner, size_t at, const char *message,
                  struct reason *why);

#endif
