/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/cmocka_setup.h"
#include "unit/layer/inflate_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HEADER 10 /* bytes in front of the deflate data of what rig_append_gzip() makes */
#define TRAILER 8

static const struct rig_drive drives[] = {{0, 0}, {1, 0}, {1, 1},  {0, 1},     {2, 3},
                                          {7, 5}, {0, 7}, {13, 0}, {4096, 700}};

/* BLOB inflates to WANTED, however it is cut into reads and calls. */
static void assert_inflates(const struct rig_bytes *blob, const struct rig_bytes *wanted)
{
    for (size_t i = 0; i < sizeof(drives) / sizeof(drives[0]); i++) {
        struct rig_bytes out = {0};
        struct reason why = {0};
        int result = rig_inflate(blob->data, blob->length, drives[i], &out, &why);

        assert_string_equal(why.text, "");
        assert_int_equal(result, 0);
        assert_int_equal(out.length, wanted->length);
        if (out.length > 0)
            assert_memory_equal(out.data, wanted->data, out.length);
        rig_bytes_free(&out);
    }
}

/* BLOB is refused with a sentence that has WORDS in it, and nothing false comes out before. */
static void assert_refused(const struct rig_bytes *blob, const struct rig_bytes *wanted,
                           const char *words)
{
    for (size_t i = 0; i < sizeof(drives) / sizeof(drives[0]); i++) {
        struct rig_bytes out = {0};
        struct reason why = {0};

        assert_int_equal(rig_inflate(blob->data, blob->length, drives[i], &out, &why),
                         CONDITION_INVALID);
        if (!strstr(why.text, words))
            assert_string_equal(why.text, words);
        assert_true(out.length <= wanted->length);
        if (out.length > 0)
            assert_memory_equal(out.data, wanted->data, out.length);
        rig_bytes_free(&out);
    }
}

static void one_member_of_any_size_inflates(void **state)
{
    static const size_t sizes[] = {0, 1, 2, 100, 32767, 32768, 65536, 100000, 262144};

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct rig_bytes sample = {0}, blob = {0};

        rig_append_sample(&sample, sizes[i], (unsigned)i);
        rig_append_gzip(&blob, sample.data, sample.length);
        assert_inflates(&blob, &sample);
        rig_bytes_free(&sample);
        rig_bytes_free(&blob);
    }
}

static void many_members_are_one_stream(void **state)
{
    struct rig_bytes sample = {0}, blob = {0};

    (void)state;
    for (unsigned i = 0; i < 60; i++) {
        struct rig_bytes part = {0};

        rig_append_sample(&part, i % 5 == 0 ? 0 : (size_t)i * i, i);
        rig_append(&sample, part.data, part.length);
        rig_append_gzip(&blob, part.data, part.length);
        rig_bytes_free(&part);
    }
    assert_inflates(&blob, &sample);
    rig_bytes_free(&sample);
    rig_bytes_free(&blob);
}

static void stored_blocks_inflate(void **state)
{
    /* By hand: a stored block that is not the last, an empty one, and a last one. */
    static const uint8_t deflate[] = {0x00, 3,    0,    0xfc, 0xff, 'a', 'b',  'c',  0x00, 0,
                                      0,    0xff, 0xff, 0x01, 2,    0,   0xfd, 0xff, 'd',  'e'};
    struct rig_bytes sample = {0}, whole = {0}, blob = {0};

    (void)state;
    rig_append(&sample, "abcde", 5);
    rig_append_gzip(&whole, sample.data, sample.length);
    for (int copies = 0; copies < 3; copies++) {
        rig_append(&blob, whole.data, HEADER);
        rig_append(&blob, deflate, sizeof(deflate));
        rig_append(&blob, whole.data + whole.length - TRAILER, TRAILER);
    }
    rig_append(&sample, "abcdeabcde", 10);
    assert_inflates(&blob, &sample);
    rig_bytes_free(&sample);
    rig_bytes_free(&whole);
    rig_bytes_free(&blob);
}

static void damage_in_the_fast_loop_is_refused(void **state)
{
    /* Found by fuzz_inflate: a distance that reaches too far, with enough bytes behind it that
     * ISA-L is in its fast loop, where it leaves its counts wrong. */
    static const uint8_t found[] = {0x1f, 0x8b, 0x08, 0,    0,    0,    0,    0,    0,    0,
                                    0x4a, 0x2f, 0xc3, 0xc3, 0xc3, 0xc3, 0xc3, 0xc3, 0xc3, 0xc3,
                                    0xc3, 0xc3, 0xc3, 0xc3, 0xc3, 0xc3, 0xfa, 0x27};
    struct rig_bytes blob = {0}, out = {0};
    struct reason why = {0};

    (void)state;
    rig_append(&blob, found, sizeof(found));
    assert_int_equal(rig_inflate(blob.data, blob.length, (struct rig_drive){0}, &out, &why),
                     CONDITION_INVALID);
    assert_non_null(strstr(why.text, "deflate distance reaches before the data"));
    assert_int_equal(out.length, 0); /* ISA-L counts 29, some of which it has not written */
    rig_bytes_free(&blob);
    rig_bytes_free(&out);
}

static uint32_t slow_crc32(const uint8_t *data, size_t length)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < length; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0xedb88320u : crc >> 1;
    }
    return ~crc;
}

/* A member whose header has the optional fields of FLAGS. */
static void append_with_fields(struct rig_bytes *blob, uint8_t flags, const char *name,
                               const struct rig_bytes *sample)
{
    struct rig_bytes plain = {0};
    size_t start = blob->length;

    rig_append_gzip(&plain, sample->data, sample->length);
    plain.data[3] = flags;
    rig_append(blob, plain.data, HEADER);
    if (flags & 4)
        rig_append(blob, "\x06\x00\x41\x42\x02\x00\x00\xff", 8);
    if (flags & 8)
        rig_append(blob, name, strlen(name) + 1);
    if (flags & 16)
        rig_append(blob, "a comment", sizeof("a comment"));
    if (flags & 2) {
        uint32_t crc = slow_crc32(blob->data + start, blob->length - start);

        rig_append(blob, (uint8_t[]){(uint8_t)crc, (uint8_t)(crc >> 8)}, 2);
    }
    rig_append(blob, plain.data + HEADER, plain.length - HEADER);
    rig_bytes_free(&plain);
}

static void every_optional_header_field_is_passed_over(void **state)
{
    struct rig_bytes sample = {0}, all = {0}, every = {0};

    (void)state;
    rig_append_sample(&sample, 300, 5);
    for (uint8_t flags = 0; flags < 32; flags++) {
        struct rig_bytes blob = {0};

        append_with_fields(&blob, flags, "layer.tar", &sample);
        assert_inflates(&blob, &sample);
        rig_append(&all, blob.data, blob.length);
        rig_append(&every, sample.data, sample.length);
        rig_bytes_free(&blob);
    }
    assert_inflates(&all, &every);
    rig_bytes_free(&sample);
    rig_bytes_free(&all);
    rig_bytes_free(&every);
}

static void a_long_name_is_passed_over(void **state)
{
    struct rig_bytes sample = {0}, blob = {0};
    char *name = malloc(300001);

    (void)state;
    assert_non_null(name);
    memset(name, 'n', 300000);
    name[300000] = '\0';
    rig_append_sample(&sample, 300, 5);
    append_with_fields(&blob, 8 | 2, name, &sample);
    assert_inflates(&blob, &sample);
    free(name);
    rig_bytes_free(&sample);
    rig_bytes_free(&blob);
}

static void a_wrong_header_is_refused(void **state)
{
    struct rig_bytes sample = {0}, good = {0}, blob = {0};

    (void)state;
    rig_append_sample(&sample, 300, 5);
    append_with_fields(&good, 2 | 8, "name", &sample);

    rig_append(&blob, good.data, good.length);
    blob.data[HEADER] ^= 1; /* the name, which the header's checksum covers */
    assert_refused(&blob, &sample, "the checksum of its header is wrong");
    blob.data[HEADER] ^= 1;
    blob.data[3] |= 0x20;
    assert_refused(&blob, &sample, "flags that gzip does not define");
    blob.data[3] &= 0x1f;
    blob.data[2] = 7;
    assert_refused(&blob, &sample, "compression method is not deflate");
    rig_bytes_free(&sample);
    rig_bytes_free(&good);
    rig_bytes_free(&blob);
}

static void a_wrong_trailer_is_refused(void **state)
{
    struct rig_bytes sample = {0}, blob = {0};

    (void)state;
    rig_append_sample(&sample, 70000, 5);
    rig_append_gzip(&blob, sample.data, sample.length);
    for (size_t i = 1; i <= TRAILER; i++) {
        blob.data[blob.length - i] ^= 0x10;
        assert_refused(&blob, &sample,
                       i <= 4 ? "the size of its data is wrong"
                              : "the CRC-32 of its data is wrong");
        blob.data[blob.length - i] ^= 0x10;
    }
    rig_bytes_free(&sample);
    rig_bytes_free(&blob);
}

static void zeros_may_follow_the_last_member_and_nothing_else(void **state)
{
    struct rig_bytes sample = {0}, blob = {0}, first = {0};
    uint8_t *zeros = calloc(1, 300000);

    (void)state;
    assert_non_null(zeros);
    rig_append_sample(&sample, 1000, 5);
    rig_append_gzip(&first, sample.data, sample.length);
    rig_append(&blob, first.data, first.length);
    rig_append(&blob, "x", 1);
    assert_refused(&blob, &sample, "neither a gzip member nor zeros");
    blob.data[first.length] = 0;
    assert_inflates(&blob, &sample);
    rig_append(&blob, zeros, 300000);
    assert_inflates(&blob, &sample);
    rig_append(&blob, first.data, first.length); /* a member behind zeros is out of place too */
    assert_refused(&blob, &sample, "neither a gzip member nor zeros");
    free(zeros);
    rig_bytes_free(&sample);
    rig_bytes_free(&blob);
    rig_bytes_free(&first);
}

static void every_cut_is_refused_with_the_byte_it_is_at(void **state)
{
    struct rig_bytes sample = {0}, blob = {0}, every = {0};
    size_t first;

    (void)state;
    rig_append_sample(&sample, 700, 9);
    append_with_fields(&blob, 2 | 4 | 8 | 16, "name", &sample);
    first = blob.length;
    append_with_fields(&blob, 2 | 4 | 8 | 16, "name", &sample);
    rig_append(&every, sample.data, sample.length);
    rig_append(&every, sample.data, sample.length);
    for (size_t cut = 2; cut < blob.length; cut++) {
        struct rig_bytes part = {blob.data, cut, 0};
        char words[64];

        if (cut == first) {
            assert_inflates(&part, &sample);
            continue;
        }
        (void)snprintf(words, sizeof(words), "the blob is cut off at byte %zu", cut);
        assert_refused(&part, &every, words);
    }
    rig_bytes_free(&sample);
    rig_bytes_free(&blob);
    rig_bytes_free(&every);
}

static void a_flipped_byte_is_noticed_or_does_no_harm(void **state)
{
    struct rig_bytes sample = {0}, blob = {0};
    size_t refused = 0;

    (void)state;
    rig_append_sample(&sample, 5000, 9);
    rig_append_gzip(&blob, sample.data, sample.length);
    for (size_t at = 2; at < blob.length; at++) {
        for (unsigned flip = 1; flip < 256; flip = flip * 2 + 1) {
            struct rig_bytes out = {0};
            struct reason why = {0};
            int result;

            blob.data[at] ^= (uint8_t)flip;
            result = rig_inflate(blob.data, blob.length, drives[at % 5 == 0 ? 3 : 0], &out, &why);
            assert_true(result == 0 || result == CONDITION_INVALID);
            if (result == 0) {
                assert_int_equal(out.length, sample.length);
                assert_memory_equal(out.data, sample.data, out.length);
            } else {
                assert_non_null(strstr(why.text, "gzip member 1"));
                refused++;
            }
            blob.data[at] ^= (uint8_t)flip;
            rig_bytes_free(&out);
        }
    }
    assert_true(refused > 8 * (blob.length - HEADER) * 9 / 10);
    rig_bytes_free(&sample);
    rig_bytes_free(&blob);
}

/* SIZE bytes in front of a page that cannot be touched; the place of their end. */
static uint8_t *guarded_end(size_t size)
{
    size_t page = 4096, whole = (size + page - 1) / page * page;
    uint8_t *memory =
        mmap(NULL, whole + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    assert_true(memory != MAP_FAILED);
    assert_int_equal(mprotect(memory + whole, page, PROT_NONE), 0);
    return memory + whole;
}

static int give_nothing(void *context, uint8_t *buffer, size_t room, size_t *got,
                        struct reason *why)
{
    (void)context, (void)buffer, (void)room, (void)why;
    *got = 0;
    return 0;
}

/* ISA-L's inner loops are assembly that no sanitizer looks into, and 2.30 leaves wrong counts
 * behind when it finds damage (docs/dependencies.md): so input and output end where a page without
 * access begins, and each bit is turned once. */
static void damage_anywhere_stays_inside_its_memory(void **state)
{
    static const size_t rooms[] = {1, 9, 600, 3000, 65536};
    struct rig_bytes sample = {0}, blob = {0};
    uint8_t *room_end = guarded_end(65536), *input_end;
    size_t damaged = 0;

    (void)state;
    rig_append_sample(&sample, 3000, 5);
    rig_append_gzip(&blob, sample.data, sample.length);
    input_end = guarded_end(INFLATE_INPUT_MARGIN + blob.length);
    for (size_t bit = 0; bit < blob.length * 8; bit++) {
        uint8_t *start = input_end - blob.length;
        struct inflate_input input = {.read = give_nothing,
                                      .memory = start - INFLATE_INPUT_MARGIN,
                                      .next = start,
                                      .available = blob.length,
                                      .ended = true};
        size_t room = rooms[bit % 5], got = 0, total = 0;
        struct inflater_handle *handle;
        struct reason why = {0};
        int result;

        memcpy(start, blob.data, blob.length);
        start[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(inflater_gzip.open(&handle, &why), 0);
        do {
            result = inflater_gzip.inflate(handle, &input, room_end - room, room, &got, &why);
            assert_true(got <= room);
            total += got;
        } while (!result && got == room && total < 1 << 20);
        damaged += result == CONDITION_INVALID;
        inflater_gzip.close(handle);
    }
    /* all but the header's bits that mean nothing (time, system) are seen */
    assert_true(damaged > (blob.length - HEADER) * 8);
    rig_bytes_free(&sample);
    rig_bytes_free(&blob);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_member_of_any_size_inflates),
        cmocka_unit_test(many_members_are_one_stream),
        cmocka_unit_test(stored_blocks_inflate),
        cmocka_unit_test(damage_in_the_fast_loop_is_refused),
        cmocka_unit_test(every_optional_header_field_is_passed_over),
        cmocka_unit_test(a_long_name_is_passed_over),
        cmocka_unit_test(a_wrong_header_is_refused),
        cmocka_unit_test(a_wrong_trailer_is_refused),
        cmocka_unit_test(zeros_may_follow_the_last_member_and_nothing_else),
        cmocka_unit_test(every_cut_is_refused_with_the_byte_it_is_at),
        cmocka_unit_test(a_flipped_byte_is_noticed_or_does_no_harm),
        cmocka_unit_test(damage_anywhere_stays_inside_its_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
