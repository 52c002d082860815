/* SPDX-License-Identifier: Apache-2.0 */
#include "inject/turns.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define TEXT 4096
#define TURNS_MOST 20000 /* a call that never gets through */

static void __attribute__((format(printf, 4, 5)))
complain(struct turns *turns, const struct turn_call *call, unsigned nth, const char *format, ...)
{
    va_list arguments;

    printf("WRONG: %s, failure %u: ", call->name, nth);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    turns->wrong++;
}

static unsigned entries(const char *folder)
{
    DIR *stream = opendir(folder);
    unsigned count = 0;

    if (!stream)
        return 0;
    while (readdir(stream))
        count++;
    closedir(stream);
    return count;
}

/* Descriptors and threads of this process. A thread that was joined may be listed a moment longer.
 */
static bool grew(const char *folder, unsigned before)
{
    const struct timespec moment = {.tv_nsec = 1000000};

    for (int tries = 0; tries < 2000; tries++) {
        if (entries(folder) <= before)
            return false;
        nanosleep(&moment, NULL);
    }
    return true;
}

static void describe(const struct turn_call *call, void *state, char text[TEXT])
{
    text[0] = '\0';
    if (call->describe)
        call->describe(state, text, TEXT);
}

static bool is_fitting(const struct turn_call *call, int result, enum shim_kind kind, int error)
{
    if (call->is_remote)
        return true;
    if (kind == SHIM_MEMORY)
        return result == -ENOMEM || result == CONDITION_EXHAUSTED ||
               result == CONDITION_UNAVAILABLE;
    return result < 0 || result == CONDITION_EXHAUSTED ||
           (result == CONDITION_UNAVAILABLE && error == EIO) ||
           (result == CONDITION_INVALID && !error);
}

struct expected {
    char before[TEXT], after[TEXT]; /* the state without a failure */
};

static void expect(struct turns *turns, const struct turn_call *call, struct expected *expected)
{
    void *state = call->begin();
    struct reason why = {0};
    int result;

    describe(call, state, expected->before);
    result = call->act(state, &why);
    if (result)
        complain(turns, call, 0, "it ends in %d without any failure: %s", result, why.text);
    describe(call, state, expected->after);
    call->end(state);
}

/* Again, when nothing fails. */
static void retry(struct turns *turns, const struct turn_call *call, unsigned nth, void *state,
                  const struct expected *expected)
{
    char now[TEXT];
    struct reason why = {0};
    int result = call->act(state, &why);

    if (result)
        complain(turns, call, nth, "made again it ends in %d: %s", result, why.text);
    describe(call, state, now);
    if (strcmp(now, expected->after) != 0)
        complain(turns, call, nth, "made again it leaves %s", now);
}

static void judge(struct turns *turns, const struct turn_call *call, unsigned nth, void *state,
                  int result, const struct expected *expected)
{
    char now[TEXT];
    bool is_before, is_after;

    describe(call, state, now);
    is_before = strcmp(now, expected->before) == 0;
    is_after = strcmp(now, expected->after) == 0;
    if (result == 0 && !is_after)
        complain(turns, call, nth, "it succeeds and leaves %s, not %s", now, expected->after);
    if (result == 0 || call->may_leave_parts)
        return;
    if (!is_before && !is_after && !call->goes_on)
        complain(turns, call, nth, "it fails and leaves %s", now);
    else if (!is_after)
        retry(turns, call, nth, state, expected);
}

void turns_take(struct turns *turns, const struct turn_call *call, enum shim_kind kind, int error)
{
    struct expected expected;
    bool struck = true;
    unsigned fds, threads;

    setvbuf(stdout, NULL, _IOLBF, 0); /* what was wrong before something hangs is to be seen */
    expect(turns, call, &expected);
    fds = entries("/proc/self/fd");
    threads = entries("/proc/self/task");
    for (unsigned nth = 1; struck; nth++) {
        void *state = call->begin();
        struct reason why = {0};
        int result;

        shim_arm(kind, nth, error);
        result = call->act(state, &why);
        struck = shim_disarm();
        turns->made += struck;
        turns->errors += result != 0;
        if (result && !is_fitting(call, result, kind, error))
            complain(turns, call, nth, "it ends in %d: %s", result, why.text);
        if (result && why.text[0] == '\0')
            complain(turns, call, nth, "it ends in %d without a word", result);
        judge(turns, call, nth, state, result, &expected);
        call->end(state);
        if (grew("/proc/self/fd", fds) || grew("/proc/self/task", threads))
            complain(turns, call, nth, "a descriptor or a thread is left"), fds++, threads++;
        if (nth == TURNS_MOST)
            complain(turns, call, nth, "it does not come to its end"), struck = false;
    }
}

int turns_end(const struct turns *turns, const char *what)
{
    printf("%s: %u failed in turn, %u calls ended in an error, %u wrong\n", what, turns->made,
           turns->errors, turns->wrong);
    printf("count: %u\n", turns->made);
    return turns->wrong > 0 || turns->errors == 0;
}
