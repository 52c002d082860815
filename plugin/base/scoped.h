/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_BASE_SCOPED_H
#define COWSNAP_BASE_SCOPED_H

/*
 * Scoped ownership. A variable marked with one of these gives back what it holds when it leaves its
 * scope; handing it on is explicit, with take_fd() or take_pointer().
 */

#include <stdlib.h>
#include <unistd.h>

static inline void scoped_free_(void *slot)
{
    free(*(void **)slot);
}

static inline void scoped_close_(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

#define scoped(release) __attribute__((cleanup(release)))
#define scoped_free scoped(scoped_free_)
#define scoped_fd scoped(scoped_close_)

/* Hands over a descriptor: the variable keeps -1. */
static inline int take_fd(int *fd)
{
    int taken = *fd;

    *fd = -1;
    return taken;
}

/* Ends a descriptor before its scope does: the variable keeps -1. */
static inline void drop_fd(int *fd)
{
    scoped_close_(fd);
    *fd = -1;
}

/* Hands over a pointer: the variable keeps NULL. */
#define take_pointer(pointer)                                                                      \
    ({                                                                                             \
        __typeof__(pointer) *slot_ = &(pointer);                                                   \
        __typeof__(pointer) taken_ = *slot_;                                                       \
        *slot_ = NULL;                                                                             \
        taken_;                                                                                    \
    })

#endif
