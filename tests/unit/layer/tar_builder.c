/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/layer/tar_builder.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void tar_builder_deinit(struct tar_builder *builder)
{
    free(builder->data);
    *builder = (struct tar_builder){0};
}

void tar_builder_raw(struct tar_builder *builder, const void *data, size_t length)
{
    if (builder->length + length > builder->room) {
        builder->room = (builder->length + length) * 2;
        builder->data = realloc(builder->data, builder->room);
        if (!builder->data)
            abort();
    }
    if (length > 0)
        memcpy(builder->data + builder->length, data, length);
    builder->length += length;
}

void tar_builder_data(struct tar_builder *builder, const void *data, size_t length)
{
    static const uint8_t zeros[TAR_BLOCK];

    tar_builder_raw(builder, data, length);
    tar_builder_raw(builder, zeros, -length % TAR_BLOCK);
}

void tar_builder_number(uint8_t *field, size_t size, int64_t number)
{
    if (number >= 0 && (size > 21 || number < INT64_C(1) << 3 * (size - 1))) {
        char text[32];

        snprintf(text, sizeof(text), "%0*" PRIo64, (int)size - 1, (uint64_t)number);
        memcpy(field, text, size);
        return;
    }
    for (size_t i = size; i > 0; i--) {
        field[i - 1] = (uint8_t)number;
        number >>= 8;
    }
    field[0] |= 0x80;
}

void tar_builder_sum(uint8_t *block)
{
    char text[8];
    unsigned sum = 0;

    memset(block + 148, ' ', 8);
    for (size_t i = 0; i < TAR_BLOCK; i++)
        sum += block[i];
    snprintf(text, sizeof(text), "%06o", sum);
    memcpy(block + 148, text, 7);
}

static void put(uint8_t *field, size_t size, const char *text)
{
    size_t length = text ? strlen(text) : 0;

    if (length > 0)
        memcpy(field, text, length < size ? length : size);
}

uint8_t *tar_builder_header(struct tar_builder *builder, const struct tar_member *member)
{
    uint8_t block[TAR_BLOCK] = {0};

    put(block, 100, member->name);
    tar_builder_number(block + 100, 8, member->mode ? member->mode : 0644);
    tar_builder_number(block + 108, 8, member->uid);
    tar_builder_number(block + 116, 8, member->gid);
    tar_builder_number(block + 124, 12, member->size);
    tar_builder_number(block + 136, 12, member->mtime);
    block[156] = (uint8_t)member->type;
    put(block + 157, 100, member->link);
    if (member->format != TAR_FORMAT_V7) {
        memcpy(block + 257, member->format == TAR_FORMAT_GNU ? "ustar  " : "ustar\00000", 8);
        tar_builder_number(block + 329, 8, member->device_major);
        tar_builder_number(block + 337, 8, member->device_minor);
        put(block + 345, 155, member->prefix);
    }
    if (member->format == TAR_FORMAT_STAR)
        memcpy(block + 508, "tar", 4);
    tar_builder_sum(block);
    tar_builder_raw(builder, block, sizeof(block));
    return builder->data + builder->length - TAR_BLOCK;
}

void tar_builder_file(struct tar_builder *builder, const char *name, const char *text)
{
    tar_builder_header(builder, &(struct tar_member){.name = name,
                                                     .type = '0',
                                                     .size = (int64_t)strlen(text),
                                                     .format = TAR_FORMAT_USTAR});
    tar_builder_data(builder, text, strlen(text));
}

void tar_builder_special(struct tar_builder *builder, char type, const void *data, size_t length)
{
    tar_builder_header(builder, &(struct tar_member){.name = "special",
                                                     .type = type,
                                                     .size = (int64_t)length,
                                                     .format = type == 'L' || type == 'K'
                                                                   ? TAR_FORMAT_GNU
                                                                   : TAR_FORMAT_USTAR});
    tar_builder_data(builder, data, length);
}

void tar_builder_record(struct tar_builder *builder, const char *key, const void *value,
                        size_t length)
{
    size_t rest = strlen(key) + length + 3;
    char digits[24];
    int width = 1;

    /* The length counts its own digits. */
    while (snprintf(digits, sizeof(digits), "%zu", rest + (size_t)width) != width)
        width++;
    tar_builder_raw(builder, digits, (size_t)width);
    tar_builder_raw(builder, " ", 1);
    tar_builder_raw(builder, key, strlen(key));
    tar_builder_raw(builder, "=", 1);
    tar_builder_raw(builder, value, length);
    tar_builder_raw(builder, "\n", 1);
}

void tar_builder_pax(struct tar_builder *builder, ...)
{
    struct tar_builder records = {0};
    va_list arguments;
    const char *key;

    va_start(arguments, builder);
    while ((key = va_arg(arguments, const char *)) != NULL) {
        const char *value = va_arg(arguments, const char *);

        tar_builder_record(&records, key, value, strlen(value));
    }
    va_end(arguments);
    tar_builder_special(builder, 'x', records.data, records.length);
    tar_builder_deinit(&records);
}

void tar_builder_end(struct tar_builder *builder)
{
    static const uint8_t zeros[2 * TAR_BLOCK];

    tar_builder_raw(builder, zeros, sizeof(zeros));
}

struct tar_feed tar_feed_of(const struct tar_builder *builder, size_t step, struct chunk_pool *pool)
{
    return (struct tar_feed){
        .data = builder->data, .length = builder->length, .step = step, .pool = pool};
}

int tar_feed_next(void *context, struct chunk **chunk, struct reason *why)
{
    struct tar_feed *feed = context;
    size_t length = feed->length - feed->at;

    feed->asked++;
    if (feed->broken && feed->at >= feed->broken)
        return failure(why, EIO, "the feed broke");
    *chunk = NULL;
    if (length == 0)
        return 0;
    if (length > feed->step)
        length = feed->step;
    *chunk = chunk_take(feed->pool);
    if (!*chunk)
        return refuse(why, CONDITION_CANCELLED, "the pool is closed");
    memcpy((*chunk)->data, feed->data + feed->at, length);
    (*chunk)->length = length;
    feed->at += length;
    return 0;
}

static void describe_time(FILE *text, const char *what, const struct timespec *time)
{
    if (time->tv_nsec == UTIME_OMIT)
        fprintf(text, " %s=-", what);
    else
        fprintf(text, " %s=%lld.%09ld", what, (long long)time->tv_sec, time->tv_nsec);
}

static int describe_entry(FILE *text, struct tar_reader *reader, const struct entry *entry,
                          struct reason *why)
{
    uint64_t end = UINT64_MAX;
    int result;

    fprintf(text, "%c %s", "fdlhcbp"[entry->type], entry -> name);
    if (*entry->link)
        fprintf(text, " -> %s", entry->link);
    fprintf(text, " %04o %" PRIu32 ":%" PRIu32 " %" PRIu64, entry->mode, entry->uid, entry->gid,
            entry->size);
    describe_time(text, "m", &entry->mtime);
    describe_time(text, "a", &entry->atime);
    if (entry->type == ENTRY_CHARACTER_DEVICE || entry->type == ENTRY_BLOCK_DEVICE)
        fprintf(text, " %" PRIu32 "/%" PRIu32, entry->device_major, entry->device_minor);
    for (size_t i = 0; i < entry->xattr_count; i++)
        fprintf(text, " %s=%.*s", entry->xattrs[i].name, (int)entry->xattrs[i].length,
                (const char *)entry->xattrs[i].value);
    for (;;) {
        struct tar_run run;

        result = tar_reader_data(reader, &run, why);
        if (result != 0 || run.length == 0)
            break;
        if (run.data < run.chunk->data ||
            run.data + run.length > run.chunk->data + run.chunk->length)
            abort(); /* not inside its chunk */
        if (run.offset != end)
            fprintf(text, " %" PRIu64 "=", run.offset);
        fwrite(run.data, 1, run.length, text);
        end = run.offset + run.length;
    }
    fputc('\n', text);
    return result;
}

char *tar_feed_describe(struct tar_feed *feed)
{
    struct reason why = {0};
    struct tar_reader *reader;
    const struct entry *entry;
    char *description;
    size_t size;
    FILE *text = open_memstream(&description, &size);
    int result = tar_reader_new(&reader, tar_feed_next, feed, &why);

    if (!text || result != 0)
        abort();
    while ((result = tar_reader_next(reader, &entry, &why)) == 0 && entry)
        if ((result = describe_entry(text, reader, entry, &why)) != 0)
            break;
    if (result != 0)
        fprintf(text, "%d %s\n", result, why.text);
    tar_reader_free(reader);
    fclose(text);
    return description;
}
