/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_LAYER_IO_ERROR_H
#define COWSNAP_LAYER_IO_ERROR_H

/*
 * What an errno means to somebody who waits for a layer: no space is a condition, and so is a file
 * system that went read-only; a name that no file system takes makes the layer invalid, a folder
 * that vanished is the snapshot's removal.
 */

#include "base/result.h"

/* The result for ERROR (a positive errno) of doing WHAT ("make the file") to NAME. As refuse() and
 * failure(): CONDITION_EXHAUSTED, CONDITION_UNAVAILABLE, CONDITION_INVALID, or minus the errno. */
int io_error(struct reason *why, int error, const char *what, const char *name);

#endif
