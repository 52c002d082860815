/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/pax.h"

#include "layer/cursor.h"
#include "layer/tar_number.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define XATTR_PREFIX "SCHILY.xattr."
#define NO_FIELD SIZE_MAX

/* Keys whose values are kept (at FIELD of struct pax) or at least looked at. */
static const struct pax_key {
    const char *name;
    size_t field;
    bool text; /* may hold no NUL, as it names something */
} pax_keys[] = {
    {"path", offsetof(struct pax, path), true},
    {"linkpath", offsetof(struct pax, linkpath), true},
    {"uname", NO_FIELD, true},
    {"gname", NO_FIELD, true},
    {"size", offsetof(struct pax, size), false},
    {"uid", offsetof(struct pax, uid), false},
    {"gid", offsetof(struct pax, gid), false},
    {"mtime", offsetof(struct pax, mtime), false},
    {"atime", offsetof(struct pax, atime), false},
    {"ctime", offsetof(struct pax, ctime), false},
    {"GNU.sparse.major", offsetof(struct pax, sparse_major), false},
    {"GNU.sparse.minor", offsetof(struct pax, sparse_minor), false},
    {"GNU.sparse.name", offsetof(struct pax, sparse_name), false},
    {"GNU.sparse.size", offsetof(struct pax, sparse_size), false},
    {"GNU.sparse.realsize", offsetof(struct pax, sparse_real_size), false},
    {"GNU.sparse.numblocks", offsetof(struct pax, sparse_count), false},
    {"GNU.sparse.map", offsetof(struct pax, sparse_map), false},
};

/* The values of format 0.0, joined: it repeats two keys, offset first, where the later formats have
 * one list. */
struct pax_pairs {
    size_t length, numbers;
};

static const struct pax_key *find_key(struct bytes name)
{
    for (size_t i = 0; i < sizeof(pax_keys) / sizeof(pax_keys[0]); i++)
        if (bytes_equal(name, bytes_of(pax_keys[i].name)))
            return &pax_keys[i];
    return NULL;
}

static bool has_nul(struct bytes text)
{
    return text.length > 0 && memchr(text.data, '\0', text.length);
}

/* Cuts the next "LENGTH KEY=VALUE\n" off. */
static int take_record(struct cursor *cursor, struct bytes *key, struct bytes *value,
                       struct reason *why)
{
    struct cursor record;
    struct bytes digits, body;
    size_t before = cursor->left;
    int64_t length;

    if (!cursor_until(cursor, ' ', &digits) || !tar_number_decimal(digits, &length))
        return refuse(why, CONDITION_INVALID, "a PAX record does not begin with its length");
    if ((uint64_t)length > before) /* a negative one, too */
        return refuse(why, CONDITION_INVALID,
                      "a PAX record says it has %lld bytes where there are %zu", (long long)length,
                      before);
    if ((size_t)length <= digits.length + 1)
        return refuse(why, CONDITION_INVALID, "a PAX record of length %s is too short",
                      quoted(digits));

    body = cursor_take(cursor, (size_t)length - digits.length - 1);
    if (body.data[body.length - 1] != '\n')
        return refuse(why, CONDITION_INVALID, "the PAX record %s does not end in a newline",
                      quoted(body));
    record = cursor_over(bytes_from(body.data, body.length - 1));
    if (!cursor_until(&record, '=', key) || key->length == 0)
        return refuse(why, CONDITION_INVALID, "the PAX record %s has no key", quoted(body));
    *value = cursor_rest(&record);
    return 0;
}

static int keep_pair(struct pax *pax, struct pax_pairs *pairs, bool offset, struct bytes value,
                     size_t room, struct reason *why)
{
    bool offset_is_due = pairs->numbers % 2 == 0;

    if (offset != offset_is_due ||
        (value.length > 0 && memchr(value.data, ',', value.length) != NULL))
        return refuse(why, CONDITION_INVALID,
                      "its GNU.sparse.offset and GNU.sparse.numbytes records do not alternate");
    if (!pax->pairs && !(pax->pairs = malloc(room)))
        return failure(why, ENOMEM, "cannot keep a sparse map");
    /* Each value came in a record longer than itself and a comma: ROOM, the length of all records,
     * is enough. */
    if (pairs->numbers > 0)
        pax->pairs[pairs->length++] = ',';
    if (value.length > 0)
        memcpy(pax->pairs + pairs->length, value.data, value.length);
    pairs->length += value.length;
    pairs->numbers++;
    pax->sparse_map = bytes_from(pax->pairs, pairs->length);
    return 0;
}

static int keep_xattr(struct pax *pax, struct bytes name, struct bytes value, struct reason *why)
{
    if (pax->xattr_count == pax->xattr_room) {
        size_t room = pax->xattr_room > 0 ? pax->xattr_room * 2 : 8;
        struct entry_xattr *grown = reallocarray(pax->xattrs, room, sizeof(*grown));

        if (!grown)
            return failure(why, ENOMEM, "cannot keep %zu extended attributes", room);
        pax->xattrs = grown;
        pax->xattr_room = room;
    }
    pax->xattrs[pax->xattr_count++] =
        (struct entry_xattr){(const char *)name.data, value.data, value.length};
    return 0;
}

/* By name, and the same name in the order of the archive, which is that of the addresses. */
static int compare_xattrs(const void *left, const void *right)
{
    const struct entry_xattr *a = left, *b = right;
    int order = strcmp(a->name, b->name);

    if (order != 0)
        return order;
    return a->name < b->name ? -1 : a->name > b->name;
}

/* Many repeated names are no reason to take quadratic time. */
static void keep_last_of_each_name(struct pax *pax)
{
    size_t kept = 0;

    if (pax->xattr_count < 2)
        return;
    qsort(pax->xattrs, pax->xattr_count, sizeof(*pax->xattrs), compare_xattrs);
    for (size_t i = 0; i < pax->xattr_count; i++) {
        bool again =
            i + 1 < pax->xattr_count && strcmp(pax->xattrs[i].name, pax->xattrs[i + 1].name) == 0;

        if (!again)
            pax->xattrs[kept++] = pax->xattrs[i];
    }
    pax->xattr_count = kept;
}

void pax_clear(struct pax *pax)
{
    struct pax empty = {.xattrs = pax->xattrs, .xattr_room = pax->xattr_room};

    free(pax->pairs); /* rare, and as large as its records were */
    *pax = empty;
}

void pax_deinit(struct pax *pax)
{
    free(pax->xattrs);
    free(pax->pairs);
    *pax = (struct pax){0};
}

static int keep_record(struct pax *pax, struct pax_pairs *pairs, struct bytes key,
                       struct bytes value, size_t room, struct reason *why)
{
    const struct pax_key *known = find_key(key);

    if (known && known->text && has_nul(value))
        return refuse(why, CONDITION_INVALID, "its PAX record %s holds a NUL byte: %s", known->name,
                      quoted(value));
    if (known) {
        if (known->field != NO_FIELD)
            memcpy((char *)pax + known->field, &value, sizeof(value));
        return 0;
    }
    if (has_nul(key))
        return refuse(why, CONDITION_INVALID, "the PAX key %s holds a NUL byte", quoted(key));
    if (bytes_equal(key, bytes_of("GNU.sparse.offset")))
        return keep_pair(pax, pairs, true, value, room, why);
    if (bytes_equal(key, bytes_of("GNU.sparse.numbytes")))
        return keep_pair(pax, pairs, false, value, room, why);
    if (bytes_start_with(key, bytes_of(XATTR_PREFIX))) {
        size_t prefix = sizeof(XATTR_PREFIX) - 1;

        return keep_xattr(pax, bytes_from(key.data + prefix, key.length - prefix), value, why);
    }
    return 0;
}

int pax_parse(struct pax *pax, uint8_t *records, size_t length, struct reason *why)
{
    struct cursor cursor = cursor_over(bytes_from(records, length));
    struct pax_pairs pairs = {0};
    int result;

    pax_clear(pax);
    while (cursor.left > 0) {
        struct bytes key = {0}, value = {0};

        result = take_record(&cursor, &key, &value, why);
        if (result == 0)
            result = keep_record(pax, &pairs, key, value, length, why);
        if (result != 0)
            return result;
        /* The '=' and the '\n' have done their work; both ends are C strings from here on. */
        records[(size_t)(key.data - records) + key.length] = '\0';
        records[(size_t)(value.data - records) + value.length] = '\0';
    }
    if (pairs.numbers > 0) /* whatever a GNU.sparse.map beside them said */
        pax->sparse_map = bytes_from(pax->pairs, pairs.length);
    keep_last_of_each_name(pax);
    return 0;
}

int pax_number(struct bytes value, const char *what, int64_t *number, struct reason *why)
{
    if (value.length > 0 && !tar_number_decimal(value, number))
        return refuse(why, CONDITION_INVALID, "its PAX record %s, %s, is no number of 64 bits",
                      what, quoted(value));
    return 0;
}

/* Nanoseconds from the digits after the point; what is finer is dropped. */
static bool parse_fraction(struct bytes digits, long *nanoseconds)
{
    struct cursor cursor = cursor_over(digits);
    long unit = 100000000;
    uint8_t digit;

    *nanoseconds = 0;
    while (cursor_byte(&cursor, &digit)) {
        if (digit < '0' || digit > '9')
            return false;
        *nanoseconds += (digit - '0') * unit;
        unit /= 10;
    }
    return true;
}

int pax_time(struct bytes value, const char *what, struct timespec *time, struct reason *why)
{
    struct cursor cursor = cursor_over(value);
    struct bytes whole = cursor_field(&cursor, '.');
    int64_t seconds;
    long nanoseconds;

    if (value.length == 0)
        return 0;
    if (!tar_number_decimal(whole, &seconds) || !parse_fraction(cursor_rest(&cursor), &nanoseconds))
        return refuse(why, CONDITION_INVALID, "its PAX record %s, %s, is no time", what,
                      quoted(value));
    /* "-1.25" is a quarter before -1, and a timespec counts its nanoseconds forwards. */
    if (whole.data[0] == '-' && nanoseconds > 0) {
        if (seconds > INT64_MIN)
            seconds--;
        nanoseconds = 1000000000 - nanoseconds;
    }
    *time = (struct timespec){.tv_sec = seconds, .tv_nsec = nanoseconds};
    return 0;
}
