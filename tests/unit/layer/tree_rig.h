/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_TESTS_TREE_RIG_H
#define COWSNAP_TESTS_TREE_RIG_H

/* A scratch folder, short ways to fill it, and its whole content as one line of text. */

#include "base/result.h"

#include <stdbool.h>
#include <sys/stat.h>

struct tree_rig {
    char path[64];
    int fd;            /* the folder */
    struct reason why; /* for the calls under test */
};

/* Whether this process is root; if not, says so. */
bool tree_rig_is_root(void);

/* Makes the empty folder of a rig that is the first part of another. */
void tree_rig_begin(struct tree_rig *rig);

/* Fit for cmocka: an empty folder in *STATE, and its removal with all in it. */
int tree_rig_setup(void **state);
int tree_rig_teardown(void **state);

/* What cannot be done fails the test. NAME is relative to the folder. */
void tree_rig_folder(struct tree_rig *rig, const char *name);
void tree_rig_file(struct tree_rig *rig, const char *name, const char *text);
void tree_rig_symlink(struct tree_rig *rig, const char *name, const char *target);
struct stat tree_rig_stat(struct tree_rig *rig, const char *name);

/* All that is below NAME ("." for everything), sorted, as it is spelt here:
 *     folder/  file=text  symlink@target  fifo|  device{major,minor}
 * A text longer than 16 bytes is given as its size: file=#17. Valid until the next call. */
const char *tree_rig_list(struct tree_rig *rig, const char *name);

#endif
