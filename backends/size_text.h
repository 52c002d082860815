/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_BACKENDS_SIZE_TEXT_H
#define COWSNAP_BACKENDS_SIZE_TEXT_H

#include <stdint.h>

#define SIZE_TEXT 24

/* "12.3 GiB" into TEXT, which is returned. */
const char *size_text(uint64_t bytes, char text[SIZE_TEXT]);

#endif
