/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_TESTS_ANALYSIS_RESULTS_H
#define COWSNAP_TESTS_ANALYSIS_RESULTS_H

/*
 * What clang's analyzer has to be told of base/result.h and layer/io_error.h: it looks into one
 * file at a time, so that for all it knows a failure() could answer 0, and its caller would use
 * what was never filled. run.sh has it read before each file but those that define these functions;
 * no program is compiled with it.
 */

#include "base/result.h"
#include "layer/io_error.h"

static inline int result_positive(int result)
{
    if (result <= 0)
        __builtin_unreachable();
    return result;
}

static inline int result_negative(int result)
{
    if (result >= 0)
        __builtin_unreachable();
    return result;
}

static inline int result_told(int result)
{
    if (result == 0)
        __builtin_unreachable();
    return result;
}

#define refuse(...) result_positive((refuse)(__VA_ARGS__))
#define failure(...) result_negative((failure)(__VA_ARGS__))
#define io_error(...) result_told((io_error)(__VA_ARGS__))

#endif
