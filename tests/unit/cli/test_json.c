/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/json.h"

#include "unit/cmocka_setup.h"

#include <stdlib.h>
#include <string.h>

/* A stream whose text is compared at the end. */
struct output {
    struct json json;
    char *text;
    size_t length;
};

static void output_open(struct output *output)
{
    *output = (struct output){0};
    output->json = JSON_TO(open_memstream(&output->text, &output->length));
    assert_non_null(output->json.stream);
}

static void output_is(struct output *output, const char *expected)
{
    fclose(output->json.stream);
    assert_int_equal(strlen(output->text), output->length);
    assert_string_equal(output->text, expected);
    free(output->text);
}

/* BYTES as the member "k" of an object. */
static void member_is(struct bytes bytes, const char *expected)
{
    struct output output;
    char text[256];

    output_open(&output);
    json_object(&output.json, NULL);
    json_bytes(&output.json, "k", bytes);
    json_end(&output.json);
    snprintf(text, sizeof(text), "{\n  %s\n}\n", expected);
    output_is(&output, text);
}

static void nests_and_separates(void **state)
{
    struct output output;

    (void)state;
    output_open(&output);
    json_object(&output.json, NULL);
    json_array(&output.json, "list");
    json_object(&output.json, NULL);
    json_number(&output.json, "n", UINT64_MAX);
    json_switch(&output.json, "on", true);
    json_end(&output.json);
    json_object(&output.json, NULL);
    json_end(&output.json);
    json_text(&output.json, NULL, "x");
    json_end(&output.json);
    json_array(&output.json, "none");
    json_end(&output.json);
    json_null(&output.json, "nothing");
    json_switch(&output.json, "off", false);
    json_end(&output.json);
    output_is(&output, "{\n"
                       "  \"list\": [\n"
                       "    {\n"
                       "      \"n\": 18446744073709551615,\n"
                       "      \"on\": true\n"
                       "    },\n"
                       "    {},\n"
                       "    \"x\"\n"
                       "  ],\n"
                       "  \"none\": [],\n"
                       "  \"nothing\": null,\n"
                       "  \"off\": false\n"
                       "}\n");
}

static void escapes_what_json_reserves(void **state)
{
    (void)state;
    member_is(bytes_of(""), "\"k\": \"\"");
    member_is(bytes_of("a\"b\\c/"), "\"k\": \"a\\\"b\\\\c/\"");
    member_is(bytes_from("\0\n\x1f\x7f", 4), "\"k\": \"\\u0000\\u000a\\u001f\\u007f\"");
    member_is(bytes_of("caf\xc3\xa9 \xf0\x9f\x90\x84"), "\"k\": \"caf\xc3\xa9 \xf0\x9f\x90\x84\"");
    /* a control that JSON would allow */
    member_is(bytes_of("\xc2\x9b"), "\"k\": \"\\u009b\"");
    member_is(bytes_of("\xc2\xa0"), "\"k\": \"\xc2\xa0\"");
}

static void gives_bytes_that_are_no_text_twice(void **state)
{
    (void)state;
    member_is(bytes_of("\xff"), "\"k\": \"\\ufffd\",\n  \"k_base64\": \"/w==\"");
    member_is(bytes_of("a\xc3"), "\"k\": \"a\\ufffd\",\n  \"k_base64\": \"YcM=\"");
    member_is(bytes_of("a\xed\xa0\x80"),
              "\"k\": \"a\\ufffd\\ufffd\\ufffd\",\n  \"k_base64\": \"Ye2ggA==\"");
    member_is(bytes_from("\xfb\xef\xbe", 3),
              "\"k\": \"\\ufffd\\ufffd\\ufffd\",\n  \"k_base64\": \"++++\"");
}

/* Every byte there is, alone and after another, leaves well-formed UTF-8 without a raw control. */
static void no_byte_breaks_the_text(void **state)
{
    (void)state;
    for (unsigned first = 0; first < 256; first++)
        for (unsigned second = 0; second < 256; second++) {
            const uint8_t pair[] = {(uint8_t)first, (uint8_t)second};
            struct output output;
            struct bytes rest;

            output_open(&output);
            json_bytes(&output.json, NULL, bytes_from(pair, 2));
            fclose(output.json.stream);
            rest = bytes_from(output.text, output.length);
            while (rest.length > 0) {
                size_t sequence = bytes_utf8_sequence(rest);

                if (sequence == 0 || *rest.data < 0x20 || *rest.data == 0x7f)
                    fail_msg("%02x %02x gives %s", first, second, output.text);
                rest = bytes_from(rest.data + sequence, rest.length - sequence);
            }
            free(output.text);
        }
}

static void times_are_in_utc(void **state)
{
    struct output output;

    (void)state;
    output_open(&output);
    json_array(&output.json, NULL);
    json_time(&output.json, NULL, 0);
    json_time(&output.json, NULL, -1);
    json_time(&output.json, NULL, 1700000000000000012);
    json_end(&output.json);
    output_is(&output, "[\n"
                       "  \"1970-01-01T00:00:00.000000000Z\",\n"
                       "  \"1969-12-31T23:59:59.999999999Z\",\n"
                       "  \"2023-11-14T22:13:20.000000012Z\"\n"
                       "]\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nests_and_separates),
        cmocka_unit_test(escapes_what_json_reserves),
        cmocka_unit_test(gives_bytes_that_are_no_text_twice),
        cmocka_unit_test(no_byte_breaks_the_text),
        cmocka_unit_test(times_are_in_utc),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
