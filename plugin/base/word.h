/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_BASE_WORD_H
#define COWSNAP_BASE_WORD_H

/*
 * What a word that is none was most likely meant to be: for messages that make a suggestion.
 */

#include "base/bytes.h"

#include <stdbool.h>

/* How far WORD is from OTHER: letters left out, put in, changed or swapped. UINT_MAX for words too
 * long to be compared. */
unsigned word_distance(struct bytes word, struct bytes other);

/* Whether that distance is small enough for OTHER to be what WORD was meant to be. */
bool word_is_near(struct bytes word, unsigned distance);

#endif
