/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_LAYER_REMOVE_H
#define COWSNAP_LAYER_REMOVE_H

/*
 * Removes what is at a name, of whatever type and depth, without following symlinks. At most three
 * descriptors are open at a time.
 */

#include "base/result.h"

#include <stdbool.h>

/* Called before NAME in the folder FOLDER_NAME (a tree name; open as FOLDER) is removed. > 0 and <
 * 0 end the removal. */
typedef int remove_watch(void *context, int folder, const char *folder_name, const char *name,
                         bool directory, struct reason *why);

/* Nothing there is no error. Something that is removed by others meanwhile is none, either. */
int remove_all(int folder, const char *folder_name, const char *name, remove_watch *watch,
               void *context, struct reason *why);

#endif
