/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_TESTS_SNAPSHOT_RIG_H
#define COWSNAP_TESTS_SNAPSHOT_RIG_H

/* A service over a real store in a scratch folder and the memory backend. */

#include "snapshot/snapshots.h"
#include "unit/snapshot/memory_backend.h"

struct rig {
    char path[112]; /* the scratch folder, below TMPDIR */
    int root;
    struct store *store;
    struct backend *backend; /* the memory backend */
    struct snapshots *snapshots;
    /* from the next start on */
    int manifests;  /* folder for what layers wrote; the test's; 0 at first */
    unsigned stock; /* clones that may lie ready; 0 at first */
    bool forget_volumes;
    const struct backend_ops *ops; /* what the service sees in place of the memory backend, */
    struct backend *front;         /* for instance one that wraps it; the test's. NULL at first */
    struct reason why;             /* of the last call below */
};

/* Sets a fresh one up, in *STATE; fit for cmocka. */
int rig_setup(void **state);
int rig_teardown(void **state);

/* Ends the service and the store as a crash would find them between two calls, and starts anew. */
void rig_restart(struct rig *rig);
/* The two halves of it, for tests that meddle between them. */
void rig_stop(struct rig *rig);
void rig_start(struct rig *rig);
/* The same, but hands on the result; rig_stop() is to be called all the same. */
int rig_try_start(struct rig *rig);

/* Short forms with C strings and no labels; they return what the service did. */
int rig_prepare(struct rig *rig, const char *key, const char *parent);
int rig_prepare_ref(struct rig *rig, const char *key, const char *parent, const char *ref);
int rig_view(struct rig *rig, const char *key, const char *parent);
int rig_commit(struct rig *rig, const char *name, const char *key);
int rig_commit_ref(struct rig *rig, const char *name, const char *key, const char *ref);
int rig_remove(struct rig *rig, const char *key);
int rig_cleanup(struct rig *rig);

/* The id of a snapshot; 0 when there is none. */
uint64_t rig_id(struct rig *rig, const char *key);
/* "key(kind,parent) …" in the order of ids. */
const char *rig_list(struct rig *rig);

#endif
