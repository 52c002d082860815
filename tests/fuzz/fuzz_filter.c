/* SPDX-License-Identifier: Apache-2.0 */

/*
 * libFuzzer target for the filter language of List: filter_parse(), filter_matches() and what they
 * use. Filters are parted by newlines. Any text is a filter or is refused with a sentence, and a
 * filter matches the same each time.
 */

#include "base/bytes.h"
#include "layer/cursor.h"
#include "snapshot/filter.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FILTERS 4

/* A snapshot called "name" with one label, its key of two parts. */
static bool field(const void *object, const struct bytes *path, size_t parts, struct bytes *value)
{
    (void)object;
    if (parts == 0)
        abort();
    *value = bytes_of("name");
    if (parts == 1 && bytes_equal(path[0], bytes_of("name")))
        return true;
    *value = bytes_of("a.value-1");
    return parts == 3 && bytes_equal(path[0], bytes_of("labels")) &&
           bytes_equal(path[1], bytes_of("a")) && bytes_equal(path[2], bytes_of("b"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cursor input = cursor_over(bytes_from(data, size));
    struct bytes texts[FILTERS];
    size_t count = 0;
    struct filter *filter = NULL;
    struct reason why = {0};
    int result;

    while (input.left > 0 && count < FILTERS)
        texts[count++] = cursor_field(&input, '\n');
    result = filter_parse(&filter, texts, count, &why);
    if ((result != 0) != (why.text[0] != '\0') || (result != 0) != (filter == NULL))
        abort();
    if (result == 0 && filter_matches(filter, field, data) != filter_matches(filter, field, data))
        abort();
    filter_free(filter);
    return 0;
}
