/* SPDX-License-Identifier: Apache-2.0 */

/*
 * libFuzzer target for path_clean() and path_base(): whatever an archive calls an entry, what comes
 * out has no empty component and neither "." nor "..", and is clean already.
 */

#include "base/bytes.h"
#include "layer/cursor.h"
#include "layer/path.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_clean(const char *clean)
{
    struct cursor rest = cursor_over(bytes_of(clean));

    while (rest.left > 0) {
        struct bytes component = cursor_field(&rest, '/');

        check(component.length > 0);
        check(!bytes_equal(component, bytes_of(".")));
        check(!bytes_equal(component, bytes_of("..")));
    }
    check(clean[0] == '\0' || clean[strlen(clean) - 1] != '/');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *name = malloc(size + 1);
    char clean[PATH_ROOM], again[PATH_ROOM];
    size_t folder;

    if (!name)
        return 0;
    if (size > 0)
        memcpy(name, data, size);
    name[size] = '\0';
    if (path_clean(name, clean, NULL) == 0) {
        check_clean(clean);
        check(path_clean(clean, again, NULL) == 0 && strcmp(clean, again) == 0);
        check(strchr(path_base(clean, &folder), '/') == NULL);
        check(folder < PATH_ROOM && (folder == 0 || clean[folder] == '/'));
    } else {
        check(size >= PATH_ROOM - 1);
    }
    free(name);
    return 0;
}
