/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"
#include "inject/shim.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A wrapper of a function that answers NULL when memory is out. */
#define SHIM(type, name, parameters, arguments)                                                    \
    SHIM_OF_MEMORY(type, name, NULL, parameters, arguments)

SHIM(void *, malloc, (size_t size), (size))
SHIM(void *, calloc, (size_t count, size_t size), (count, size))
SHIM(void *, realloc, (void *old, size_t size), (old, size))
SHIM(void *, reallocarray, (void *old, size_t count, size_t size), (old, count, size))
SHIM(void *, aligned_alloc, (size_t alignment, size_t size), (alignment, size))
SHIM(char *, strdup, (const char *text), (text))
SHIM(char *, strndup, (const char *text, size_t most), (text, most))
SHIM(FILE *, open_memstream, (char **text, size_t *length), (text, length))
SHIM(DIR *, fdopendir, (int fd), (fd))

/* Our own allocator takes its memory in blocks: what is taken of a block fails as well. */
SHIM(void *, arena_take, (struct arena * arena, size_t size), (arena, size))

bool __real_arena_copy(struct arena *arena, struct bytes source, struct bytes *copy);
bool __wrap_arena_copy(struct arena *arena, struct bytes source, struct bytes *copy);
bool __wrap_arena_copy(struct arena *arena, struct bytes source, struct bytes *copy)
{
    return !shim_strikes(SHIM_MEMORY) && __real_arena_copy(arena, source, copy);
}

int __wrap_asprintf(char **text, const char *format, ...) __attribute__((format(printf, 2, 3)));
int __wrap_asprintf(char **text, const char *format, ...)
{
    va_list arguments;
    int length;

    if (shim_strikes(SHIM_MEMORY))
        return -1;
    va_start(arguments, format);
    length = vasprintf(text, format, arguments);
    va_end(arguments);
    return length;
}
