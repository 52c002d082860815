/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/tar_header.h"

#include "layer/cursor.h"
#include "layer/tar_number.h"

#include <string.h>

#define CHECKSUM_AT 148
#define CHECKSUM_SIZE 8
#define SPARSE_SIZE (4 * 24 + 1)

bool tar_header_is_zero(const uint8_t block[static TAR_BLOCK])
{
    return block[0] == 0 && memcmp(block, block + 1, TAR_BLOCK - 1) == 0;
}

bool tar_header_has_data(uint8_t type)
{
    return type < TAR_HARDLINK || type > TAR_FIFO;
}

/* The sums are taken as if the field that holds them were spaces. POSIX adds unsigned bytes, old
 * Suns added signed ones. */
static bool checksum_holds(const uint8_t *block)
{
    const uint8_t *own = block + CHECKSUM_AT;
    int64_t plain = 0, high = 0;
    int64_t stored;

    if (!tar_number_octal(bytes_from(own, CHECKSUM_SIZE), &stored))
        return false;
    for (size_t i = 0; i < TAR_BLOCK; i++) {
        plain += block[i];
        high += block[i] >> 7;
    }
    for (size_t i = 0; i < CHECKSUM_SIZE; i++) {
        plain += ' ' - own[i];
        high -= own[i] >> 7;
    }
    return stored == plain || stored == plain - 256 * high;
}

static enum tar_format find_format(struct bytes magic, struct bytes version, struct bytes trailer)
{
    if (bytes_equal(magic, bytes_from("ustar\0", 6)))
        return bytes_equal(trailer, bytes_from("tar\0", 4)) ? TAR_FORMAT_STAR : TAR_FORMAT_USTAR;
    if (bytes_equal(magic, bytes_of("ustar ")) && bytes_equal(version, bytes_from(" \0", 2)))
        return TAR_FORMAT_GNU;
    return TAR_FORMAT_V7;
}

/* Up to the first NUL, or all of it. */
static struct bytes text_of(struct bytes field)
{
    struct cursor cursor = cursor_over(field);

    return cursor_field(&cursor, '\0');
}

static bool is_ascii(struct bytes text)
{
    for (size_t i = 0; i < text.length; i++)
        if (text.data[i] >= 0x80)
            return false;
    return true;
}

static char *append(char *end, struct bytes text)
{
    if (text.length > 0)
        memcpy(end, text.data, text.length);
    end[text.length] = '\0';
    return end + text.length;
}

static int take_number(struct cursor *cursor, size_t length, const char *what, int64_t *value,
                       struct reason *why)
{
    struct bytes field = cursor_take(cursor, length);

    if (!tar_number_field(field, value))
        return refuse(why, CONDITION_INVALID, "%s in its header, %s, is no number of 64 bits", what,
                      quoted(field));
    return 0;
}

/* GNU has times where ustar has the prefix. Go's writer before 1.8 put a prefix there all the same,
 * so what is no time, but looks like a name, is one (golang.org/issue/12594). */
static void parse_gnu(struct tar_header *header, struct cursor tail, struct bytes *prefix)
{
    struct bytes as_prefix = text_of(bytes_from(tail.next, TAR_PREFIX_SIZE));
    struct bytes atime = cursor_take(&tail, 12);
    struct bytes ctime = cursor_take(&tail, 12);
    int64_t seconds = 0, unused;

    cursor_take(&tail, 12 + 4 + 1); /* offset in a multi-volume archive, long names, unused */
    header->sparse = cursor_take(&tail, SPARSE_SIZE);
    header->real_size = cursor_take(&tail, 12);

    if ((atime.data[0] != 0 && !tar_number_field(atime, &seconds)) ||
        (ctime.data[0] != 0 && !tar_number_field(ctime, &unused))) {
        if (is_ascii(as_prefix))
            *prefix = as_prefix;
        return;
    }
    header->has_atime = atime.data[0] != 0;
    header->atime = seconds;
}

static int parse_star(struct tar_header *header, struct cursor tail, struct bytes *prefix,
                      struct reason *why)
{
    int64_t unused;
    int result;

    *prefix = text_of(cursor_take(&tail, 131));
    header->has_atime = true;
    result = take_number(&tail, 12, "the access time", &header->atime, why);
    if (result != 0)
        return result;
    return take_number(&tail, 12, "the change time", &unused, why);
}

/* What follows the magic and version, in all formats but V7. */
static int parse_extension(struct tar_header *header, struct cursor tail, struct bytes *prefix,
                           struct reason *why)
{
    int result;

    cursor_take(&tail, 32 + 32); /* names of user and group: numbers rule */
    result = take_number(&tail, 8, "the device's major number", &header->device_major, why);
    if (result != 0)
        return result;
    result = take_number(&tail, 8, "the device's minor number", &header->device_minor, why);
    if (result != 0)
        return result;

    if (header->format == TAR_FORMAT_STAR)
        return parse_star(header, tail, prefix, why);
    if (header->format == TAR_FORMAT_GNU)
        parse_gnu(header, tail, prefix);
    else
        *prefix = text_of(cursor_take(&tail, TAR_PREFIX_SIZE));
    return 0;
}

int tar_header_parse(struct tar_header *header, const uint8_t block[static TAR_BLOCK],
                     struct reason *why)
{
    struct cursor cursor = cursor_over(bytes_from(block, TAR_BLOCK));
    struct bytes name, magic, version, prefix = {0};
    char *end;
    int result;

    if (!checksum_holds(block))
        return refuse(why, CONDITION_INVALID, "no tar header stands there: its checksum is wrong");

    *header = (struct tar_header){0};
    name = text_of(cursor_take(&cursor, TAR_NAME_SIZE));
    if ((result = take_number(&cursor, 8, "the mode", &header->mode, why)) != 0 ||
        (result = take_number(&cursor, 8, "the uid", &header->uid, why)) != 0 ||
        (result = take_number(&cursor, 8, "the gid", &header->gid, why)) != 0 ||
        (result = take_number(&cursor, 12, "the size", &header->size, why)) != 0 ||
        (result = take_number(&cursor, 12, "the mtime", &header->mtime, why)) != 0)
        return amend(why, result, "entry %s", quoted(name));
    cursor_take(&cursor, CHECKSUM_SIZE);
    cursor_byte(&cursor, &header->type);
    append(header->link, text_of(cursor_take(&cursor, TAR_NAME_SIZE)));
    magic = cursor_take(&cursor, 6);
    version = cursor_take(&cursor, 2);

    header->format = find_format(magic, version, bytes_from(block + TAR_BLOCK - 4, 4));
    if (header->format != TAR_FORMAT_V7) {
        result = parse_extension(header, cursor, &prefix, why);
        if (result != 0)
            return amend(why, result, "entry %s", quoted(name));
    }

    end = header->name;
    if (prefix.length > 0)
        end = append(append(end, prefix), bytes_of("/"));
    append(end, name);
    return 0;
}
