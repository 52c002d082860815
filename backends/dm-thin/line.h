/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_BACKENDS_DM_THIN_LINE_H
#define COWSNAP_BACKENDS_DM_THIN_LINE_H

/*
 * Table and status lines of the kernel's thin targets, as
 * Documentation/admin-guide/device-mapper/thin-provisioning.rst describes them. No I/O.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SECTOR 512

/* How a pool is, the worst last. */
enum line_mode {
    LINE_READ_WRITE,
    LINE_OUT_OF_DATA,     /* writes to new blocks fail or wait; metadata still changes */
    LINE_OUT_OF_METADATA, /* as read-only, until the metadata grows */
    LINE_READ_ONLY,
    LINE_FAILED, /* not even reads */
};

struct line_pool_status {
    enum line_mode mode;
    bool needs_check;       /* its metadata has to be checked before it is written again */
    bool error_if_no_space; /* else writes wait, for a minute by default */
    uint64_t transaction;
    uint64_t metadata_used, metadata_total; /* blocks of 4096 bytes */
    uint64_t data_used, data_total;         /* blocks of the pool's own size */
    bool held;                              /* a metadata snapshot is kept */
    uint64_t held_root;                     /* its block */
};

/* False for a line that is none. After "Fail" or "Error" all but mode is 0. */
bool line_parse_pool_status(const char *line, struct line_pool_status *status);

struct line_pool_table {
    unsigned metadata_major, metadata_minor, data_major, data_minor;
    uint64_t block_sectors;
};

bool line_parse_pool_table(const char *line, struct line_pool_table *table);

/* What a thin device has mapped, in sectors. False for "Fail", "-" and what is no such line. */
bool line_parse_thin_status(const char *line, uint64_t *mapped);

/* "METADATA DATA BLOCK LOW_WATER 1 error_if_no_space": METADATA and DATA are paths of devices. */
void line_pool_table(char *line, size_t room, const char *metadata, const char *data,
                     uint64_t block_sectors, uint64_t low_water_blocks);

void line_thin_table(char *line, size_t room, unsigned major, unsigned minor, uint32_t id);

#endif
