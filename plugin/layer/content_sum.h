/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_LAYER_CONTENT_SUM_H
#define COWSNAP_LAYER_CONTENT_SUM_H

/*
 * The sum by which a file's bytes are compared with what a layer had: CRC-64 (ECMA-182, reflected).
 * It is for damage, not for enemies: nobody who may write a committed layer needs to fool it.
 * Chosen for its price, which every byte of every layer pays (docs/performance.md).
 */

#include <stddef.h>
#include <stdint.h>

#define CONTENT_SUM_EMPTY UINT64_C(0) /* of no bytes */

/* SUM goes on over LENGTH bytes. */
uint64_t content_sum_add(uint64_t sum, const uint8_t *data, size_t length);

/* The same over LENGTH zeros, in time that does not grow with LENGTH: a hole may be larger than any
 * disk. */
uint64_t content_sum_zeros(uint64_t sum, uint64_t length);

#endif
