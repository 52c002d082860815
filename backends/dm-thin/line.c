/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/dm-thin/line.h"

#include "base/bytes.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The words of a line, one after the other; empty at its end. */
static struct bytes next_word(const char **line)
{
    const char *start = *line + strspn(*line, " \t");
    size_t length = strcspn(start, " \t");

    *line = start + length;
    return bytes_from(start, length);
}

static bool word_is(struct bytes word, const char *text)
{
    return bytes_equal(word, bytes_of(text));
}

/* A decimal number without sign that fits. Takes what it reads off WORD. */
static bool take_number(struct bytes *word, uint64_t *number)
{
    size_t digits = 0;

    *number = 0;
    while (digits < word->length && word->data[digits] >= '0' && word->data[digits] <= '9') {
        unsigned digit = word->data[digits++] - '0';
        if (*number > (UINT64_MAX - digit) / 10)
            return false;
        *number = *number * 10 + digit;
    }
    *word = bytes_from(word->data + digits, word->length - digits);
    return digits > 0;
}

static bool take_mark(struct bytes *word, char mark)
{
    if (word->length == 0 || word->data[0] != (uint8_t)mark)
        return false;
    *word = bytes_from(word->data + 1, word->length - 1);
    return true;
}

static bool read_number(const char **line, uint64_t *number)
{
    struct bytes word = next_word(line);

    return take_number(&word, number) && word.length == 0;
}

/* Two numbers with MARK between: "12/345". */
static bool read_pair(const char **line, char mark, uint64_t *first, uint64_t *second)
{
    struct bytes word = next_word(line);

    return take_number(&word, first) && take_mark(&word, mark) && take_number(&word, second) &&
           word.length == 0;
}

static bool read_device(const char **line, unsigned *major, unsigned *minor)
{
    uint64_t first, second;

    if (!read_pair(line, ':', &first, &second) || first > UINT32_MAX || second > UINT32_MAX)
        return false;
    *major = (unsigned)first;
    *minor = (unsigned)second;
    return true;
}

bool line_parse_pool_status(const char *line, struct line_pool_status *status)
{
    struct bytes word;
    const char *rest = line;

    *status = (struct line_pool_status){.mode = LINE_FAILED};
    word = next_word(&rest);
    if (word_is(word, "Fail") || word_is(word, "Error"))
        return true;
    rest = line;
    if (!read_number(&rest, &status->transaction) ||
        !read_pair(&rest, '/', &status->metadata_used, &status->metadata_total) ||
        !read_pair(&rest, '/', &status->data_used, &status->data_total))
        return false;
    word = next_word(&rest);
    status->held = !word_is(word, "-");
    if (status->held && (!take_number(&word, &status->held_root) || word.length > 0))
        return false;
    word = next_word(&rest);
    if (word_is(word, "rw"))
        status->mode = LINE_READ_WRITE;
    else if (word_is(word, "out_of_data_space"))
        status->mode = LINE_OUT_OF_DATA;
    else if (word_is(word, "ro"))
        status->mode = LINE_READ_ONLY;
    else
        return false;
    /* kernels differ in what follows and in its order */
    while ((word = next_word(&rest)).length > 0) {
        status->needs_check |= word_is(word, "needs_check");
        status->error_if_no_space |= word_is(word, "error_if_no_space");
    }
    if (status->mode == LINE_READ_ONLY && !status->needs_check &&
        status->metadata_used >= status->metadata_total)
        status->mode = LINE_OUT_OF_METADATA;
    return true;
}

bool line_parse_pool_table(const char *line, struct line_pool_table *table)
{
    return read_device(&line, &table->metadata_major, &table->metadata_minor) &&
           read_device(&line, &table->data_major, &table->data_minor) &&
           read_number(&line, &table->block_sectors) && table->block_sectors > 0;
}

bool line_parse_thin_status(const char *line, uint64_t *mapped)
{
    return read_number(&line, mapped);
}

void line_pool_table(char *line, size_t room, const char *metadata, const char *data,
                     uint64_t block_sectors, uint64_t low_water_blocks)
{
    snprintf(line, room, "%s %s %" PRIu64 " %" PRIu64 " 1 error_if_no_space", metadata, data,
             block_sectors, low_water_blocks);
}

void line_thin_table(char *line, size_t room, unsigned major, unsigned minor, uint32_t id)
{
    snprintf(line, room, "%u:%u %" PRIu32, major, minor, id);
}
