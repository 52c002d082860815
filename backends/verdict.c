/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/verdict.h"

#include <stdarg.h>
#include <stdio.h>

int verdict_give(struct pool_verdict *verdict, bool sound, const char *format, ...)
{
    va_list arguments;

    verdict->sound = sound;
    va_start(arguments, format);
    vsnprintf(verdict->finding.text, sizeof(verdict->finding.text), format, arguments);
    va_end(arguments);
    return 0;
}
