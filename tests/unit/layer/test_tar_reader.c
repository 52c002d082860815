/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/tar_reader.h"

#include "unit/cmocka_setup.h"
#include "unit/layer/tar_builder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEP 4096

struct rig {
    struct tar_builder archive;
    struct chunk_pool *pool;
    char *text; /* of the last describe() */
};

static int make(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));

    if (rig)
        rig->pool = chunk_pool_new(1); /* a reader that held one while asking would wait for ever */
    *state = rig;
    return rig && rig->pool ? 0 : -1;
}

static int unmake(void **state)
{
    struct rig *rig = *state;

    tar_builder_deinit(&rig->archive);
    chunk_pool_free(rig->pool);
    free(rig->text);
    free(rig);
    return 0;
}

/* What a reader makes of the first LENGTH bytes of the archive. */
static const char *describe_part(struct rig *rig, size_t length, size_t step)
{
    struct tar_feed feed = tar_feed_of(&rig->archive, step, rig->pool);

    feed.length = length;
    free(rig->text);
    rig->text = tar_feed_describe(&feed);
    return rig->text;
}

static const char *describe(struct rig *rig)
{
    return describe_part(rig, rig->archive.length, STEP);
}

/* The archive is read up to the lines EXPECTED, and then refused with PART in the sentence. */
static void assert_refused(struct rig *rig, const char *expected, const char *part)
{
    const char *text = describe(rig);
    const char *refusal = text + strlen(expected);

    if (strncmp(text, expected, strlen(expected)) != 0 || strncmp(refusal, "3 ", 2) != 0 ||
        !strstr(refusal, part))
        fail_msg("not refused for \"%s\": %s", part, text);
    tar_builder_deinit(&rig->archive);
}

static void add(struct rig *rig, struct tar_member member)
{
    if (member.format == TAR_FORMAT_V7)
        member.format = TAR_FORMAT_USTAR;
    tar_builder_header(&rig->archive, &member);
}

static void takes_an_empty_stream_for_an_empty_archive(void **state)
{
    struct rig *rig = *state;

    assert_string_equal(describe(rig), "");
    tar_builder_end(&rig->archive);
    assert_string_equal(describe(rig), "");
    tar_builder_raw(&rig->archive, "whatever follows is padding", 27);
    assert_string_equal(describe(rig), "");
}

static void reads_every_type(void **state)
{
    struct rig *rig = *state;

    add(rig, (struct tar_member){.name = "d/", .type = '5', .mode = 01777, .mtime = 5});
    tar_builder_file(&rig->archive, "d/f", "text");
    add(rig, (struct tar_member){.name = "s", .type = '2', .link = "../t", .mode = 0777});
    add(rig, (struct tar_member){.name = "h", .type = '1', .link = "d/f", .uid = 1, .gid = 2});
    add(rig, (struct tar_member){.name = "c", .type = '3', .device_major = 1, .device_minor = 3});
    add(rig, (struct tar_member){.name = "b", .type = '4', .device_major = 8});
    add(rig, (struct tar_member){.name = "p", .type = '6', .mode = 0100644});
    tar_builder_end(&rig->archive);
    assert_string_equal(describe(rig), "d d/ 1777 0:0 0 m=5.000000000 a=-\n"
                                       "f d/f 0644 0:0 4 m=0.000000000 a=- 0=text\n"
                                       "l s -> ../t 0777 0:0 0 m=0.000000000 a=-\n"
                                       "h h -> d/f 0644 1:2 0 m=0.000000000 a=-\n"
                                       "c c 0644 0:0 0 m=0.000000000 a=- 1/3\n"
                                       "b b 0644 0:0 0 m=0.000000000 a=- 8/0\n"
                                       "p p 0644 0:0 0 m=0.000000000 a=-\n");
}

static void takes_a_trailing_slash_for_a_directory_in_v7_only(void **state)
{
    struct rig *rig = *state;

    tar_builder_header(&rig->archive, &(struct tar_member){.name = "v7/"});
    tar_builder_header(&rig->archive, &(struct tar_member){.name = "v7"});
    add(rig, (struct tar_member){.name = "new/", .type = '0', .link = "means nothing"});
    assert_string_equal(describe(rig), "d v7/ 0644 0:0 0 m=0.000000000 a=-\n"
                                       "f v7 0644 0:0 0 m=0.000000000 a=-\n"
                                       "f new/ 0644 0:0 0 m=0.000000000 a=-\n");
}

static void looks_for_no_data_behind_what_has_none(void **state)
{
    struct rig *rig = *state;

    for (const char *type = "123456"; *type; type++)
        add(rig, (struct tar_member){.name = "x", .type = *type, .size = 5000});
    add(rig, (struct tar_member){.name = "x", .type = '5', .size = -1});
    tar_builder_header(&rig->archive, &(struct tar_member){.name = "v7/", .size = 512});
    tar_builder_file(&rig->archive, "f", "data");
    assert_non_null(strstr(describe(rig), "\nf f 0644 0:0 4 m=0.000000000 a=- 0=data\n"));
    assert_null(strstr(rig->text, "\n3 "));
}

static void lets_pax_win_over_the_header_and_empty_values_not(void **state)
{
    struct rig *rig = *state;

    tar_builder_pax(&rig->archive, "path", "long", "uid", "4294967295", "gid", "70000", "mtime",
                    "-1.25", "atime", "7.5", "ctime", "9", "size", "3", "SCHILY.xattr.user.k", "v",
                    NULL);
    add(rig, (struct tar_member){.name = "short", .type = '0', .size = 700, .uid = 1});
    tar_builder_data(&rig->archive, "abc", 3);
    tar_builder_pax(&rig->archive, "path", "", "linkpath", "far", "uid", "", "mtime", "", NULL);
    add(rig, (struct tar_member){.name = "own", .type = '2', .link = "near", .uid = 5, .mtime = 6});
    add(rig, (struct tar_member){.name = "next", .type = '0'});
    tar_builder_end(&rig->archive);
    assert_string_equal(describe(rig),
                        "f long 0644 4294967295:70000 3 m=-2.750000000 a=7.500000000 user.k=v "
                        "0=abc\n"
                        "l own -> far 0644 5:0 0 m=6.000000000 a=-\n"
                        "f next 0644 0:0 0 m=0.000000000 a=-\n");
}

static void lets_gnu_long_names_win_over_pax(void **state)
{
    struct rig *rig = *state;

    tar_builder_special(&rig->archive, 'L', "replaced", 9);
    tar_builder_special(&rig->archive, 'L', "gnu\0rest", 8);
    tar_builder_pax(&rig->archive, "path", "pax", "linkpath", "paxlink", NULL);
    tar_builder_special(&rig->archive, 'K', "gnulink", 7);
    add(rig, (struct tar_member){.name = "ustar", .type = '2', .link = "ustarlink"});
    tar_builder_special(&rig->archive, 'L', "dropped", 7);
    tar_builder_special(&rig->archive, 'L', "", 0);
    add(rig, (struct tar_member){.name = "ustar", .type = '2', .link = "ustarlink"});
    assert_string_equal(describe(rig), "l gnu -> gnulink 0644 0:0 0 m=0.000000000 a=-\n"
                                       "l ustar -> ustarlink 0644 0:0 0 m=0.000000000 a=-\n");
}

static void replaces_pax_headers_as_a_whole(void **state)
{
    struct rig *rig = *state;

    tar_builder_pax(&rig->archive, "path", "first", "uid", "5", NULL);
    tar_builder_pax(&rig->archive, "gid", "6", NULL);
    add(rig, (struct tar_member){.name = "own", .type = '5'});
    assert_string_equal(describe(rig), "d own 0644 0:6 0 m=0.000000000 a=-\n");
}

static void ignores_global_headers_and_what_stood_before_them(void **state)
{
    struct rig *rig = *state;

    tar_builder_pax(&rig->archive, "path", "dropped", NULL);
    tar_builder_special(&rig->archive, 'L', "dropped", 7);
    tar_builder_special(&rig->archive, 'g', "12 path=all\n9 uid=no\n", 21);
    add(rig, (struct tar_member){.name = "own", .type = '5'});
    assert_string_equal(describe(rig), "d own 0644 0:0 0 m=0.000000000 a=-\n");

    tar_builder_special(&rig->archive, 'g', "malformed", 9);
    assert_refused(rig, "d own 0644 0:0 0 m=0.000000000 a=-\n", "PAX record");
}

static void drops_headers_whose_entry_never_comes(void **state)
{
    struct rig *rig = *state;

    tar_builder_pax(&rig->archive, "path", "x", NULL);
    assert_string_equal(describe(rig), "");
    tar_builder_end(&rig->archive);
    assert_string_equal(describe(rig), "");
}

/* All that the reader can read, once. */
static void build_everything(struct rig *rig)
{
    static const char data[] = "0123456789";
    struct tar_builder *archive = &rig->archive;
    char large[3000];
    uint8_t *block;

    for (size_t i = 0; i < sizeof(large); i++)
        large[i] = (char)('a' + i % 26);
    add(rig, (struct tar_member){.name = "d/", .type = '5', .mode = 02755, .mtime = 5});
    tar_builder_pax(archive, "path", "d/f", "SCHILY.xattr.user.k", "v", "mtime", "1.5", NULL);
    add(rig, (struct tar_member){.name = "x", .type = '0', .size = sizeof(large)});
    tar_builder_data(archive, large, sizeof(large));
    tar_builder_special(archive, 'L', large, 300);
    tar_builder_special(archive, 'K', large, 200);
    add(rig, (struct tar_member){.name = "x", .type = '1', .link = "y"});

    block = tar_builder_header(
        archive,
        &(struct tar_member){.name = "gnu", .type = 'S', .size = 5, .format = TAR_FORMAT_GNU});
    for (size_t i = 0; i < 4; i++) {
        tar_builder_number(block + 386 + 24 * i, 12, (int64_t)i * 1000);
        tar_builder_number(block + 386 + 24 * i + 12, 12, 1);
    }
    block[482] = 1;
    tar_builder_number(block + 483, 12, 8000);
    tar_builder_sum(block);
    tar_builder_data(archive, "00000011610\00000000000001\0", 24); /* the extension */
    tar_builder_data(archive, data, 5);

    tar_builder_pax(archive, "GNU.sparse.size", "900", "GNU.sparse.numblocks", "2",
                    "GNU.sparse.offset", "100", "GNU.sparse.numbytes", "4", "GNU.sparse.offset",
                    "200", "GNU.sparse.numbytes", "6", NULL);
    add(rig, (struct tar_member){.name = "pax0.0", .type = '0', .size = 10});
    tar_builder_data(archive, data, 10);
    tar_builder_pax(archive, "GNU.sparse.major", "0", "GNU.sparse.minor", "1", "GNU.sparse.name",
                    "pax0.1", "GNU.sparse.size", "900", "GNU.sparse.numblocks", "2",
                    "GNU.sparse.map", "100,4,200,6", NULL);
    add(rig, (struct tar_member){.name = "x", .type = '0', .size = 10});
    tar_builder_data(archive, data, 10);
    tar_builder_pax(archive, "GNU.sparse.major", "1", "GNU.sparse.minor", "0", "GNU.sparse.name",
                    "pax1.0", "GNU.sparse.realsize", "900", NULL);
    add(rig, (struct tar_member){.name = "x", .type = '0', .size = 522});
    tar_builder_data(archive, "2\n100\n4\n200\n6\n", 14);
    tar_builder_data(archive, data, 10);
    tar_builder_file(archive, "last", "end");
    tar_builder_end(archive);
}

static void reads_all_sparse_formats(void **state)
{
    struct rig *rig = *state;

    build_everything(rig);
    assert_non_null(strstr(describe(rig), "\nf gnu 0644 0:0 8000 m=0.000000000 a=- "
                                          "0=0 1000=1 2000=2 3000=3 5000=4\n"
                                          "f pax0.0 0644 0:0 900 m=0.000000000 a=- 100=0123 "
                                          "200=456789\n"
                                          "f pax0.1 0644 0:0 900 m=0.000000000 a=- 100=0123 "
                                          "200=456789\n"
                                          "f pax1.0 0644 0:0 900 m=0.000000000 a=- 100=0123 "
                                          "200=456789\n"
                                          "f last 0644 0:0 3 m=0.000000000 a=- 0=end\n"));
}

static void reads_the_same_in_chunks_of_any_size(void **state)
{
    struct rig *rig = *state;
    char *whole;

    build_everything(rig);
    whole = strdup(describe(rig));
    assert_null(strstr(whole, "\n3 "));
    for (size_t step = 1; step <= 1024; step++)
        if (strcmp(describe_part(rig, rig->archive.length, step), whole) != 0)
            fail_msg("chunks of %zu bytes: %s", step, rig->text);
    free(whole);
}

/* What Go's reader does: the end of the stream is the end of the archive between two entries, in
 * the padding of one and after one block of zeros, and nowhere else. */
static void knows_a_cut_archive_at_every_byte(void **state)
{
    static const char first[] = "f f 0644 0:0 10 m=0.000000000 a=- 0=0123456789\n";
    static const char second[] = "d d 0644 0:0 0 m=0.000000000 a=-\n";
    struct rig *rig = *state;
    char both[sizeof(first) + sizeof(second)];

    tar_builder_file(&rig->archive, "f", "0123456789");
    add(rig, (struct tar_member){.name = "d", .type = '5'});
    tar_builder_end(&rig->archive);
    snprintf(both, sizeof(both), "%s%s", first, second);
    assert_int_equal(rig->archive.length, 2560);

    for (size_t cut = 0; cut <= 2560; cut++) {
        const char *text = describe_part(rig, cut, STEP);
        bool whole = cut == 0 || (cut >= 512 + 10 && cut <= 1024) || cut == 1536 || cut == 2048 ||
                     cut == 2560;
        const char *expected = cut <= 512 ? "" : cut < 1536 ? first : both;

        if (cut > 512 && cut < 522)
            expected = "f f 0644 0:0 10 m=0.000000000 a=- 0="; /* its line is under way */
        if (strncmp(text, expected, strlen(expected)) != 0 ||
            (strstr(text, "\n3 ") == NULL && strncmp(text, "3 ", 2) != 0) != whole ||
            (whole && strcmp(text, expected) != 0) || (!whole && !strstr(text, "cut off")))
            fail_msg("cut at %zu: %s", cut, text);
    }
}

static void never_reads_past_a_cut_in_anything(void **state)
{
    struct rig *rig = *state;

    build_everything(rig);
    for (size_t cut = 0; cut <= rig->archive.length; cut += 13)
        describe_part(rig, cut, 700); /* the sanitizers judge */
}

static void refuses_one_block_of_zeros_before_something_else(void **state)
{
    static const uint8_t zeros[TAR_BLOCK];
    struct rig *rig = *state;

    tar_builder_raw(&rig->archive, zeros, sizeof(zeros));
    tar_builder_file(&rig->archive, "f", "x");
    assert_refused(rig, "", "one block of zeros");
}

static void refuses_sizes_and_owners_that_cannot_be(void **state)
{
    static const char *const records[][3] = {
        {"size", "-1", "size is negative"},
        {"size", "9223372036854775808", "no number of 64 bits"},
        {"uid", "-1", "uid -1 is outside"},
        {"uid", "4294967296", "uid 4294967296 is outside"},
        {"gid", "x", "no number of 64 bits"},
        {"gid", "-5", "gid -5 is outside"},
        {"mtime", "never", "no time"},
        {"atime", "1.x", "no time"},
        {"ctime", ".5", "no time"},
        {"SCHILY.xattr.", "v", "has no name"},
    };
    struct rig *rig = *state;

    for (size_t i = 0; i < sizeof(records) / sizeof(records[0]); i++) {
        tar_builder_pax(&rig->archive, records[i][0], records[i][1], NULL);
        add(rig, (struct tar_member){.name = "who", .type = '0'});
        assert_refused(rig, "", records[i][2]);
    }
    add(rig, (struct tar_member){.name = "who", .type = '0', .size = -1});
    assert_refused(rig, "", "size is negative");
    tar_builder_pax(&rig->archive, "size", "0", NULL); /* too late */
    add(rig, (struct tar_member){.name = "who", .type = '0', .size = -1});
    assert_refused(rig, "", "size is negative");
    add(rig, (struct tar_member){.name = "who", .type = '0', .uid = -1});
    assert_refused(rig, "", "uid -1 is outside");
    add(rig, (struct tar_member){.name = "who", .type = '3', .device_minor = -1});
    assert_refused(rig, "", "minor number -1 is outside");
}

static void refuses_types_it_does_not_know(void **state)
{
    struct rig *rig = *state;

    for (const char *type = "789AVMDNX"; *type; type++) {
        add(rig, (struct tar_member){.name = "odd", .type = *type});
        assert_refused(rig, "", "its type");
    }
    tar_builder_header(&rig->archive,
                       &(struct tar_member){.name = "a", .type = 'S', .format = TAR_FORMAT_STAR});
    assert_refused(rig, "", "type 'S'");
}

static void names_the_entry_and_its_place(void **state)
{
    struct rig *rig = *state;

    tar_builder_file(&rig->archive, "fine", "x");
    add(rig, (struct tar_member){.name = "bad\n", .type = '0', .uid = -1});
    assert_refused(rig, "f fine 0644 0:0 1 m=0.000000000 a=- 0=x\n",
                   "tar entry \"bad\\x0a\" at byte 1024: its uid");
    tar_builder_file(&rig->archive, "fine", "x");
    tar_builder_data(&rig->archive, "no header", 9);
    assert_refused(rig, "f fine 0644 0:0 1 m=0.000000000 a=- 0=x\n", "tar header at byte 1024: no");
}

static void refuses_a_large_header_unread(void **state)
{
    static const char types[] = "xgLK";
    struct rig *rig = *state;

    for (const char *type = types; *type; type++) {
        struct tar_feed feed;

        add(rig, (struct tar_member){.name = "big", .type = *type, .size = 1 << 30});
        for (int i = 0; i < 100; i++)
            tar_builder_data(&rig->archive, "x", 1);
        feed = tar_feed_of(&rig->archive, TAR_BLOCK, rig->pool);
        free(rig->text);
        rig->text = tar_feed_describe(&feed);
        assert_non_null(strstr(rig->text, "has 1073741824 bytes, more than the 1048576"));
        assert_int_equal(feed.asked, 1);
        tar_builder_deinit(&rig->archive);
    }
}

static void takes_headers_up_to_the_limit(void **state)
{
    struct rig *rig = *state;
    char *name = calloc(1, TAR_HEADERS_LIMIT + 1);

    memset(name, 'n', TAR_HEADERS_LIMIT);
    tar_builder_special(&rig->archive, 'L', name, TAR_HEADERS_LIMIT);
    add(rig, (struct tar_member){.name = "x", .type = '5'});
    assert_int_equal(strcspn(describe(rig) + 2, " "), TAR_HEADERS_LIMIT);
    tar_builder_deinit(&rig->archive);
    tar_builder_special(&rig->archive, 'L', name, TAR_HEADERS_LIMIT + 1);
    assert_refused(rig, "", "more than");
    free(name);
}

static void add_sparse(struct rig *rig, const char *size, const char *map, int64_t stored)
{
    tar_builder_pax(&rig->archive, "GNU.sparse.size", size, "GNU.sparse.numblocks", "1",
                    "GNU.sparse.map", map, NULL);
    add(rig, (struct tar_member){.name = "s", .type = '0', .size = stored});
    tar_builder_data(&rig->archive, "0123456789", 10);
}

static void refuses_sparse_data_of_another_length_when_it_is_read(void **state)
{
    struct rig *rig = *state;

    add_sparse(rig, "100", "50,11", 10);
    assert_refused(rig, "f s 0644 0:0 100 m=0.000000000 a=- 50=0123456789\n", "not there");
    add_sparse(rig, "100", "50,9", 10);
    assert_refused(rig, "f s 0644 0:0 100 m=0.000000000 a=- 50=012345678\n", "no place");
    add_sparse(rig, "60", "50,11", 10);
    assert_refused(rig, "", "up to byte 61");
    add_sparse(rig, "-1", "50,11", 10);
    assert_refused(rig, "", "negative");
    tar_builder_pax(&rig->archive, "GNU.sparse.numblocks", "1", "GNU.sparse.map", "0,0", NULL);
    add(rig, (struct tar_member){.name = "s", .type = '5'});
    assert_refused(rig, "", "no file");
}

static void skips_what_was_not_read(void **state)
{
    struct rig *rig = *state;
    struct tar_reader *reader;
    const struct entry *entry;
    struct tar_feed feed;

    add_sparse(rig, "100", "50,11", 10);
    tar_builder_file(&rig->archive, "next", "x");
    feed = tar_feed_of(&rig->archive, 100, rig->pool);
    assert_int_equal(tar_reader_new(&reader, tar_feed_next, &feed, NULL), 0);
    assert_int_equal(tar_reader_next(reader, &entry, NULL), 0);
    assert_string_equal(entry->name, "s");
    assert_int_equal(tar_reader_next(reader, &entry, NULL), 0);
    assert_string_equal(entry->name, "next");
    assert_int_equal(tar_reader_next(reader, &entry, NULL), 0);
    assert_null(entry);
    assert_int_equal(tar_reader_next(reader, &entry, NULL), 0);
    assert_null(entry);
    assert_null(tar_reader_free(reader));
}

static void refuses_to_skip_what_is_cut_off(void **state)
{
    struct rig *rig = *state;
    struct reason why = {0};
    struct tar_reader *reader;
    const struct entry *entry;
    struct tar_feed feed;

    tar_builder_file(&rig->archive, "f", "0123456789");
    feed = tar_feed_of(&rig->archive, 100, rig->pool);
    feed.length = TAR_BLOCK + 9;
    assert_int_equal(tar_reader_new(&reader, tar_feed_next, &feed, NULL), 0);
    assert_int_equal(tar_reader_next(reader, &entry, NULL), 0);
    assert_int_equal(tar_reader_next(reader, &entry, &why), CONDITION_INVALID);
    assert_non_null(strstr(why.text, "\"f\" at byte 0: the archive is cut off at byte 521"));
    tar_reader_free(reader);
}

static void asks_no_more_after_the_end_and_lets_its_chunk_go(void **state)
{
    struct rig *rig = *state;
    struct tar_reader *reader;
    const struct entry *entry;
    struct tar_feed feed;
    struct chunk *chunk;

    tar_builder_file(&rig->archive, "f", "0123456789");
    feed = tar_feed_of(&rig->archive, STEP, rig->pool);
    feed.length = TAR_BLOCK + 100; /* in the padding */
    assert_int_equal(tar_reader_new(&reader, tar_feed_next, &feed, NULL), 0);
    assert_int_equal(tar_reader_next(reader, &entry, NULL), 0);
    assert_int_equal(tar_reader_next(reader, &entry, NULL), 0);
    assert_null(entry);
    assert_int_equal(feed.asked, 2);
    tar_reader_free(reader);

    tar_builder_end(&rig->archive);
    tar_builder_end(&rig->archive);
    feed = tar_feed_of(&rig->archive, STEP, rig->pool);
    assert_int_equal(tar_reader_new(&reader, tar_feed_next, &feed, NULL), 0);
    assert_int_equal(tar_reader_next(reader, &entry, NULL), 0);
    assert_int_equal(tar_reader_next(reader, &entry, NULL), 0);
    assert_null(entry);
    chunk = chunk_take(rig->pool); /* would wait for ever */
    assert_non_null(chunk);
    chunk_unref(chunk);
    tar_reader_free(reader);
}

static void ignores_sparse_records_of_an_unknown_version(void **state)
{
    struct rig *rig = *state;

    tar_builder_pax(&rig->archive, "GNU.sparse.major", "2", "GNU.sparse.minor", "0",
                    "GNU.sparse.map", "x", "GNU.sparse.name", "other", NULL);
    tar_builder_file(&rig->archive, "own", "x");
    assert_string_equal(describe(rig), "f own 0644 0:0 1 m=0.000000000 a=- 0=x\n");
}

static void bounds_the_memory_of_a_sparse_map(void **state)
{
    struct rig *rig = *state;
    char lines[TAR_BLOCK];
    uint8_t extension[TAR_BLOCK] = {[504] = 1};

    memset(lines, '0', sizeof(lines));
    tar_builder_pax(&rig->archive, "GNU.sparse.major", "1", "GNU.sparse.minor", "0", NULL);
    add(rig, (struct tar_member){.name = "lines", .type = '0', .size = 1 << 30});
    for (int i = 0; i < 2100; i++)
        tar_builder_raw(&rig->archive, lines, sizeof(lines));
    assert_refused(rig, "", "\"lines\" at byte 1024: its sparse map does not end");

    tar_builder_header(&rig->archive,
                       &(struct tar_member){.name = "gnu", .type = 'S', .format = TAR_FORMAT_GNU});
    rig->archive.data[482] = 1;
    tar_builder_sum(rig->archive.data);
    for (int i = 0; i < 2100; i++)
        tar_builder_raw(&rig->archive, extension, sizeof(extension));
    assert_refused(rig, "", "\"gnu\" at byte 0: its sparse map has more than");
}

static void lets_runs_be_kept_with_their_chunks(void **state)
{
    struct rig *rig = *state;
    struct chunk_pool *pool = chunk_pool_new(20);
    struct tar_feed feed;
    struct tar_reader *reader;
    const struct entry *entry;
    struct tar_run runs[20];
    size_t count = 0;
    uint64_t end = 0;

    tar_builder_file(&rig->archive, "f", "a text that comes in several chunks of seven");
    tar_builder_end(&rig->archive);
    feed = tar_feed_of(&rig->archive, 7, pool);
    assert_int_equal(tar_reader_new(&reader, tar_feed_next, &feed, NULL), 0);
    assert_int_equal(tar_reader_next(reader, &entry, NULL), 0);
    while (tar_reader_data(reader, &runs[count], NULL) == 0 && runs[count].length > 0)
        chunk_ref(runs[count++].chunk);
    tar_reader_free(reader);

    assert_true(count >= 6);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(runs[i].offset, end);
        assert_memory_equal(runs[i].data,
                            "a text that comes in several chunks of seven" + runs[i].offset,
                            runs[i].length);
        end += runs[i].length;
        chunk_unref(runs[i].chunk);
    }
    assert_int_equal(end, strlen("a text that comes in several chunks of seven"));
    chunk_pool_free(pool);
}

static void passes_errors_of_the_source_on_and_repeats_them(void **state)
{
    struct rig *rig = *state;
    size_t length;

    build_everything(rig);
    length = rig->archive.length;
    for (size_t broken = 100; broken < length - TAR_BLOCK; broken += 300) {
        struct tar_feed feed = tar_feed_of(&rig->archive, 100, rig->pool);
        struct reason why = {0}, again = {0};
        struct tar_reader *reader;
        const struct entry *entry;
        struct tar_run run;
        int result;

        feed.broken = broken;
        assert_int_equal(tar_reader_new(&reader, tar_feed_next, &feed, NULL), 0);
        while ((result = tar_reader_next(reader, &entry, &why)) == 0 && entry)
            ;
        assert_int_equal(result, -EIO);
        assert_null(entry);
        assert_string_equal(why.text, "the feed broke: Input/output error");
        assert_int_equal(tar_reader_next(reader, &entry, &again), -EIO);
        assert_string_equal(again.text, why.text);
        assert_int_equal(tar_reader_data(reader, &run, NULL), -EIO);
        tar_reader_free(reader);
    }
}

static void has_no_data_where_there_is_no_file(void **state)
{
    struct rig *rig = *state;
    struct tar_feed feed;
    struct tar_reader *reader;
    const struct entry *entry;
    struct tar_run run;

    add(rig, (struct tar_member){.name = "d", .type = '5', .size = 100});
    feed = tar_feed_of(&rig->archive, STEP, rig->pool);
    assert_int_equal(tar_reader_new(&reader, tar_feed_next, &feed, NULL), 0);
    assert_int_equal(tar_reader_data(reader, &run, NULL), 0);
    assert_int_equal(run.length, 0);
    assert_int_equal(tar_reader_next(reader, &entry, NULL), 0);
    assert_int_equal(tar_reader_data(reader, &run, NULL), 0);
    assert_int_equal(run.length, 0);
    tar_reader_free(reader);
    assert_null(tar_reader_free(NULL));
}

#define with_rig(test) cmocka_unit_test_setup_teardown(test, make, unmake)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_rig(takes_an_empty_stream_for_an_empty_archive),
        with_rig(reads_every_type),
        with_rig(takes_a_trailing_slash_for_a_directory_in_v7_only),
        with_rig(looks_for_no_data_behind_what_has_none),
        with_rig(lets_pax_win_over_the_header_and_empty_values_not),
        with_rig(lets_gnu_long_names_win_over_pax),
        with_rig(replaces_pax_headers_as_a_whole),
        with_rig(ignores_global_headers_and_what_stood_before_them),
        with_rig(drops_headers_whose_entry_never_comes),
        with_rig(reads_all_sparse_formats),
        with_rig(reads_the_same_in_chunks_of_any_size),
        with_rig(knows_a_cut_archive_at_every_byte),
        with_rig(never_reads_past_a_cut_in_anything),
        with_rig(refuses_one_block_of_zeros_before_something_else),
        with_rig(refuses_sizes_and_owners_that_cannot_be),
        with_rig(refuses_types_it_does_not_know),
        with_rig(names_the_entry_and_its_place),
        with_rig(refuses_a_large_header_unread),
        with_rig(takes_headers_up_to_the_limit),
        with_rig(refuses_sparse_data_of_another_length_when_it_is_read),
        with_rig(skips_what_was_not_read),
        with_rig(refuses_to_skip_what_is_cut_off),
        with_rig(asks_no_more_after_the_end_and_lets_its_chunk_go),
        with_rig(ignores_sparse_records_of_an_unknown_version),
        with_rig(bounds_the_memory_of_a_sparse_map),
        with_rig(lets_runs_be_kept_with_their_chunks),
        with_rig(passes_errors_of_the_source_on_and_repeats_them),
        with_rig(has_no_data_where_there_is_no_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
