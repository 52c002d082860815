/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_LAYER_WHITEOUT_H
#define COWSNAP_LAYER_WHITEOUT_H

/*
 * Marks of deletion in a layer, as the OCI image specification has them (layer.md, "Whiteouts"):
 * ".wh.NAME" hides NAME of the lower layers, ".wh..wh..opq" hides everything that they have in that
 * folder.
 */

#include "base/result.h"
#include "layer/entry.h"
#include "layer/layer.h"
#include "layer/tree.h"

enum whiteout_kind { WHITEOUT_NONE, WHITEOUT_NAME, WHITEOUT_OPAQUE };

/* What the last component BASE of an entry's name says. CONDITION_INVALID for a mark that would
 * reach outside its folder (".wh.", ".wh..", ".wh..."). */
int whiteout_of(const char *base, enum whiteout_kind *kind, struct reason *why);

/* Does what the mark ENTRY, called BASE in PARENT, of KIND says. WHITEOUT_DELETE: the name is
 * removed, whoever put it there; an opaque mark leaves what entries of this layer have put there,
 * before or after it. WHITEOUT_OVERLAY: overlayfs's own marks are made. */
int whiteout_put(struct tree *tree, enum whiteout_style style, struct directory *parent,
                 const char *base, enum whiteout_kind kind, const struct entry *entry,
                 struct reason *why);

#endif
