/* SPDX-License-Identifier: Apache-2.0 */

/* libFuzzer target for pax_parse(), pax_number(), pax_time() and what they use. */

#include "layer/pax.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is called a C string must be one, of the length that is said. */
static void check_text(struct bytes text)
{
    if (text.length > 0 && strlen((const char *)text.data) != text.length)
        abort();
}

static void check_number(struct bytes value)
{
    int64_t number;

    (void)pax_number(value, "number", &number, NULL);
}

static void check_time(struct bytes value)
{
    struct timespec time = {0};

    if (pax_time(value, "time", &time, NULL) == 0 && (time.tv_nsec < 0 || time.tv_nsec > 999999999))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *records = malloc(size > 0 ? size : 1); /* exactly its size: the sanitizer sees more */
    struct pax pax = {0};
    struct reason why;

    if (!records)
        return 0;
    if (size > 0)
        memcpy(records, data, size);
    if (pax_parse(&pax, records, size, &why) == 0) {
        check_text(pax.path);
        check_text(pax.linkpath);
        check_number(pax.size);
        check_number(pax.uid);
        check_number(pax.gid);
        check_time(pax.mtime);
        check_time(pax.atime);
        check_time(pax.ctime);
        if (pax.sparse_map.length > size)
            abort();
        for (size_t i = 0; i < pax.xattr_count; i++)
            if (pax.xattrs[i].value[pax.xattrs[i].length] != '\0' ||
                (i > 0 && strcmp(pax.xattrs[i - 1].name, pax.xattrs[i].name) >= 0))
                abort();
    }
    pax_deinit(&pax);
    free(records);
    return 0;
}
