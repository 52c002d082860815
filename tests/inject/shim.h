/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_TESTS_INJECT_SHIM_H
#define COWSNAP_TESTS_INJECT_SHIM_H

/*
 * Between our code and the functions it takes memory and files from (by the linker's --wrap, see
 * CMakeLists.txt): the N-th use from now on fails. What libraries do inside is not seen. It counts
 * over all threads, so what a background thread does counts, too.
 */

#include <stdbool.h>

enum shim_kind {
    SHIM_MEMORY, /* malloc and all that is like it, operator new of our C++ files included */
    SHIM_FILES,  /* system calls on files */
};

#define SHIM_SHORT 0 /* for an errno: a read or a write moves half of what was asked for */

#ifdef __cplusplus
extern "C" {
#endif

/* The NTH use of KIND (from 1) fails: memory is out, or ERROR is what a file's call says. */
void shim_arm(enum shim_kind kind, unsigned nth, int error);
/* Nothing fails any more. Whether something did. */
bool shim_disarm(void);

/* For the wrappers: whether this use is the one. */
bool shim_strikes(enum shim_kind kind);
int shim_error(void);

/* Defines the wrapper of NAME, a function that answers FAILED when memory is out; for files that
 * include <errno.h>. */
#define SHIM_OF_MEMORY(type, name, failed, parameters, arguments)                                  \
    type __real_##name parameters;                                                                 \
    type __wrap_##name parameters;                                                                 \
    type __wrap_##name parameters                                                                  \
    {                                                                                              \
        if (!shim_strikes(SHIM_MEMORY))                                                            \
            return __real_##name arguments;                                                        \
        errno = ENOMEM;                                                                            \
        return failed;                                                                             \
    }

#ifdef __cplusplus
}
#endif
#endif
