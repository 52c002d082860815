/* SPDX-License-Identifier: Apache-2.0 */

/* operator new of our C++ files; a standard library that was compiled before is not seen. */

#include "inject/shim.h"

#include <cstddef>
#include <new>

extern "C" {
void *__real__Znwm(std::size_t size);
void *__wrap__Znwm(std::size_t size);
}

void *__wrap__Znwm(std::size_t size)
{
    if (shim_strikes(SHIM_MEMORY))
        throw std::bad_alloc();
    return __real__Znwm(size);
}
