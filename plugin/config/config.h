/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_CONFIG_CONFIG_H
#define COWSNAP_CONFIG_CONFIG_H

/*
 * Everything the daemon can be told. Three sources, each over the one before: the defaults, the
 * configuration file (TOML), the command line. Which settings there are, what each may be and how
 * it is called stands in one table, settings.c.
 */

#include "base/bytes.h"
#include "base/log.h"
#include "base/result.h"
#include "snapshot/mounts.h"

#include <stdbool.h>
#include <stdint.h>

#define CONFIG_FILE "/etc/cowsnap/config.toml"

struct config {
    char *root;          /* folder of the daemon's own state; /var/lib/cowsnap */
    char *address;       /* socket it serves; /run/cowsnap/cowsnap.sock */
    const char *backend; /* "btrfs" or "dm-thin"; btrfs */
    char *content_root;  /* folder with containerd's blobs/;
                            /var/lib/containerd/io.containerd.content.v1.content */
    struct {
        char *path;    /* folder made by the operator; NULL: see the backend */
        uint64_t size; /* bytes of the embedded pool when first made; 0: it chooses */
        enum mount_style mount_style; /* how volumes are handed out; bind */
    } pool;
    struct {
        char *pool;              /* of an active thin pool, /dev/mapper/NAME; NULL: the next two */
        char *data_device;       /* of a block device; NULL: two files under root */
        char *metadata_device;   /* goes with data_device */
        const char *file_system; /* of new volumes: "ext4" or "xfs"; NULL: ext4, or as they are */
        uint64_t volume_size;    /* bytes of each volume, for a new pool; 0: the backend's choice */
    } dm_thin;
    struct {
        enum log_level level;   /* least that is written; info */
        enum log_format format; /* text */
    } log;
    struct {
        const char *io_engine;   /* "auto", "io_uring" or "plain"; auto */
        unsigned writers;        /* threads that write one layer; 0: fit for the machine */
        unsigned concurrent;     /* layers written at once, more wait; 0: eight */
        bool verify_blobs;       /* check the blob's own digest too; false */
        uint64_t size_limit;     /* uncompressed bytes of one layer; 0: none */
        unsigned ratio_limit;    /* times its blob that a large one may inflate to; 0: any; 500 */
        bool record_content;     /* note what layers write, for `cowsnap check --content`; true */
        bool allow_device_nodes; /* take layers that hold them; true */
    } apply;
    struct {
        unsigned workers;       /* threads for calls; 0: fit for the machine */
        unsigned queue_limit;   /* calls that may wait for one; 0: the server's default */
        unsigned grace_seconds; /* that calls in flight get at the end; 30 */
    } server;
    struct {
        bool share_layers; /* answer "already exists" for a layer that is here already; false */
        bool seal;         /* make committed volumes read-only in the background; true */
        unsigned stock;    /* clones at most that lie ready for parents in demand; 128 */
    } snapshots;
};

/* Fills CONFIG with the defaults; to be ended by config_clear(), also after a failure. */
int config_defaults(struct config *config, struct reason *why);
void config_clear(struct config *config);

/* Merges a document over CONFIG. NAME is the file's, for messages: a refusal (CONDITION_INVALID)
 * reads "NAME:LINE: KEY …" and says what is allowed. CONFIG is half merged then. */
int config_read(struct config *config, struct bytes document, const char *name, struct reason *why);

/* config_read() of the file at PATH. MAY_MISS: one that is not there is as good as empty.
 * CONDITION_PRECONDITION: somebody who is not trusted could change it (base/owner.h). */
int config_read_file(struct config *config, const char *path, bool may_miss, struct reason *why);

/* What no single value shows: settings that cannot go together. */
int config_check(const struct config *config, struct reason *why);

#endif
