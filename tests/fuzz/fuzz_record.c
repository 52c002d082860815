/* SPDX-License-Identifier: Apache-2.0 */

/* libFuzzer target for record_unpack(): any bytes are a record or a failure, and a record packs and
 * unpacks to itself. */

#include "base/scoped.h"
#include "store/record.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_same(const struct record *a, const struct record *b)
{
    check(a->id == b->id && a->parent == b->parent && a->kind == b->kind);
    check(bytes_equal(a->key, b->key));
    check(a->created == b->created && a->updated == b->updated);
    check(a->usage_bytes == b->usage_bytes && a->usage_inodes == b->usage_inodes);
    check(a->usage_known == b->usage_known && a->synced == b->synced && a->sealed == b->sealed);
    check(a->label_count == b->label_count);
    for (size_t i = 0; i < a->label_count; i++) {
        const struct bytes *value = label_value(b->labels, b->label_count, a->labels[i].key);

        check(bytes_equal(a->labels[i].key, b->labels[i].key));
        check(value && bytes_equal(a->labels[i].value, *value));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    scoped(arena_clear) struct arena arena = ARENA_EMPTY;
    uint8_t *packed = malloc(size > 0 ? size : 1); /* exactly its size: the sanitizer sees more */
    struct record record;
    struct record again;
    struct bytes repacked;
    struct reason why;

    check(packed != NULL);
    if (size > 0)
        memcpy(packed, data, size);
    int result = record_unpack(bytes_from(packed, size), 7, &arena, &record, &why);
    free(packed); /* nothing points into it */
    check(record.id == 7);
    check(result == 0 || result == -EBADMSG);
    if (result == 0) {
        check(record_flaw(&record) == NULL);
        check(record_pack(&record, &arena, &repacked, &why) == 0);
        check(record_unpack(repacked, 7, &arena, &again, &why) == 0);
        check_same(&record, &again);
    }
    return 0;
}
