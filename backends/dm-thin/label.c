/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/dm-thin/label.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LABEL_TITLE "cowsnap thin pool 1"

bool label_format(const struct label *label, char block[LABEL_BLOCK])
{
    memset(block, 0, LABEL_BLOCK);
    if (strlen(label->root) >= sizeof(label->root) - 1 || strchr(label->root, '\n'))
        return false;
    int length =
        snprintf(block, LABEL_BLOCK,
                 LABEL_TITLE "\nroot=%s\nfile_system=%s\nvolume_sectors=%" PRIu64
                             "\ntransaction=%" PRIu64 "\nbase_inodes=%" PRIu64 "\nstate=%s\n",
                 label->root, label->file_system, label->volume_sectors, label->transaction,
                 label->base_inodes, label->ready ? "ready" : "unfinished");
    return length > 0 && length < LABEL_BLOCK;
}

bool label_is_blank(const char block[LABEL_BLOCK])
{
    for (size_t i = 0; i < LABEL_BLOCK; i++)
        if (block[i] != '\0')
            return false;
    return true;
}

/* The value of "KEY=value" when LINE is that; NULL else. */
static const char *label_value(const char *line, const char *key)
{
    size_t length = strlen(key);

    return strncmp(line, key, length) == 0 && line[length] == '=' ? line + length + 1 : NULL;
}

static bool label_put(char *field, size_t room, const char *value)
{
    size_t length = strlen(value);

    if (length == 0 || length >= room)
        return false;
    memcpy(field, value, length + 1);
    return true;
}

static bool label_number(uint64_t *field, const char *value)
{
    char *end;

    if (*value < '0' || *value > '9')
        return false;
    errno = 0;
    *field = strtoull(value, &end, 10);
    return errno == 0 && *end == '\0';
}

/* Lines that a later version adds are passed over. */
static bool label_line(struct label *label, const char *line)
{
    const char *value;

    if ((value = label_value(line, "root")))
        return label_put(label->root, sizeof(label->root), value);
    if ((value = label_value(line, "file_system")))
        return label_put(label->file_system, sizeof(label->file_system), value);
    if ((value = label_value(line, "volume_sectors")))
        return label_number(&label->volume_sectors, value);
    if ((value = label_value(line, "transaction")))
        return label_number(&label->transaction, value);
    if ((value = label_value(line, "base_inodes")))
        return label_number(&label->base_inodes, value);
    if ((value = label_value(line, "state")))
        label->ready = strcmp(value, "ready") == 0;
    return true;
}

bool label_parse(const char block[LABEL_BLOCK], struct label *label)
{
    char text[LABEL_BLOCK + 1], *rest = text, *line;

    memcpy(text, block, LABEL_BLOCK);
    text[LABEL_BLOCK] = '\0';
    *label = (struct label){0};
    line = strsep(&rest, "\n");
    if (strcmp(line, LABEL_TITLE) != 0)
        return false;
    while ((line = strsep(&rest, "\n")))
        if (!label_line(label, line))
            return false;
    return label->root[0] == '/' && label->volume_sectors > 0 &&
           (strcmp(label->file_system, "ext4") == 0 || strcmp(label->file_system, "xfs") == 0);
}
