/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_BACKENDS_VERDICT_H
#define COWSNAP_BACKENDS_VERDICT_H

#include "backends/backend.h"

/* Fills VERDICT, the finding as printf() makes it; returns 0, so that a verdict is one line. */
int verdict_give(struct pool_verdict *verdict, bool sound, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
