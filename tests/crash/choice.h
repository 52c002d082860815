/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_TESTS_CRASH_CHOICE_H
#define COWSNAP_TESTS_CRASH_CHOICE_H

/* What the next call is about. All functions want the model's lock held. */

#include "crash/model.h"

/* Whether a call can be about that slot. */
typedef bool choice(const struct model *model, int slot);

choice choice_absent;    /* free for a new snapshot */
choice choice_there;     /* any snapshot */
choice choice_leaf;      /* one that nothing is a child of */
choice choice_passing;   /* the same, and it is not committed */
choice choice_raced;     /* a child of it is being made: to remove it now is a race */
choice choice_writable;  /* active, its content known */
choice choice_with_room; /* the same, and more can be put there */
choice choice_loose;     /* writable, and a loss of power may take what is there */

/* A random slot of that sort that nobody is at, the caller's from now on; -1 when there is none.
 * STATE is the caller's chance. */
int choice_claim(struct model *model, uint64_t *state, choice *fits);

/* A parent for a new child: often the same one, since the stock of clones lives by that. -1 for
 * none. */
int choice_of_parent(const struct model *model, uint64_t *state);

#endif
