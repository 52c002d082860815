/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/json.h"

#include "cli/text.h"

#include <assert.h>
#include <inttypes.h>

static void put_line(struct json *json)
{
    fprintf(json->stream, "\n%*s", (int)json->depth * 2, "");
}

/* TEXT as a string; whether all of it was well-formed UTF-8. */
static bool put_string(FILE *stream, struct bytes text)
{
    bool exact = true;

    fputc('"', stream);
    while (text.length > 0) {
        size_t sequence = bytes_utf8_sequence(text);
        uint8_t byte = *text.data;

        if (sequence == 0) {
            fputs("\\ufffd", stream);
            exact = false;
            sequence = 1;
        } else if (byte < 0x20 || byte == 0x7f) {
            fprintf(stream, "\\u%04x", byte);
        } else if (sequence == 2 && byte == 0xc2 && text.data[1] < 0xa0) {
            /* JSON allows these controls, but the terminal may obey them */
            fprintf(stream, "\\u%04x", text.data[1]);
        } else {
            if (byte == '"' || byte == '\\')
                fputc('\\', stream);
            fwrite(text.data, 1, sequence, stream);
        }
        text = bytes_from(text.data + sequence, text.length - sequence);
    }
    fputc('"', stream);
    return exact;
}

static void put_base64(FILE *stream, struct bytes bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t at = 0; at < bytes.length; at += 3) {
        size_t left = bytes.length - at;
        unsigned group = (unsigned)bytes.data[at] << 16;

        if (left > 1)
            group |= (unsigned)bytes.data[at + 1] << 8;
        if (left > 2)
            group |= bytes.data[at + 2];
        fputc(digits[group >> 18], stream);
        fputc(digits[group >> 12 & 63], stream);
        fputc(left > 1 ? digits[group >> 6 & 63] : '=', stream);
        fputc(left > 2 ? digits[group & 63] : '=', stream);
    }
}

/* What comes before a value: the comma after the last, and the name. */
static void begin_value(struct json *json, const char *name)
{
    if (!json->first)
        fputc(',', json->stream);
    if (json->depth > 0)
        put_line(json);
    json->first = false;
    if (name) {
        put_string(json->stream, bytes_of(name));
        fputs(": ", json->stream);
    }
}

static void open_value(struct json *json, const char *name, bool array)
{
    assert(json->depth < 32);
    begin_value(json, name);
    fputc(array ? '[' : '{', json->stream);
    json->arrays =
        (json->arrays & ~(UINT32_C(1) << json->depth)) | ((uint32_t)array << json->depth);
    json->depth++;
    json->first = true;
}

void json_object(struct json *json, const char *name)
{
    open_value(json, name, false);
}

void json_array(struct json *json, const char *name)
{
    open_value(json, name, true);
}

void json_end(struct json *json)
{
    bool empty = json->first;

    json->depth--;
    if (!empty)
        put_line(json);
    fputc(json->arrays >> json->depth & 1 ? ']' : '}', json->stream);
    json->first = false;
    if (json->depth == 0)
        fputc('\n', json->stream);
}

void json_bytes(struct json *json, const char *name, struct bytes bytes)
{
    begin_value(json, name);
    if (put_string(json->stream, bytes) || !name)
        return;
    fputc(',', json->stream);
    put_line(json);
    fprintf(json->stream, "\"%s_base64\": \"", name);
    put_base64(json->stream, bytes);
    fputc('"', json->stream);
}

void json_text(struct json *json, const char *name, const char *text)
{
    json_bytes(json, name, bytes_of(text));
}

void json_number(struct json *json, const char *name, uint64_t number)
{
    begin_value(json, name);
    fprintf(json->stream, "%" PRIu64, number);
}

void json_switch(struct json *json, const char *name, bool on)
{
    begin_value(json, name);
    fputs(on ? "true" : "false", json->stream);
}

void json_null(struct json *json, const char *name)
{
    begin_value(json, name);
    fputs("null", json->stream);
}

void json_time(struct json *json, const char *name, int64_t nanoseconds)
{
    char text[TIME_ROOM];

    json_text(json, name, time_utc(nanoseconds, text));
}
