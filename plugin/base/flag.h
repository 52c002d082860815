/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_BASE_FLAG_H
#define COWSNAP_BASE_FLAG_H

/*
 * What the command lines of the daemon and of the tool say alike.
 */

#include "base/result.h"

#include <getopt.h>
#include <stddef.h>

/* Refuses WORD, an argument that is none of the COUNT FLAGS, with its dashes and perhaps "=value":
 * names the flag that it was most likely meant to be, or else where they are told (SEE, a command).
 * Returns CONDITION_INVALID. */
int flag_refuse(const char *word, const struct option *flags, size_t count, const char *see,
                struct reason *why);

#endif
