/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/regex.h"

#include <re2/re2.h>

#include <new>

struct regex {
    RE2 expression;
    regex(const re2::StringPiece &text, const RE2::Options &options) : expression(text, options)
    {
    }
};

static re2::StringPiece piece(struct bytes bytes)
{
    return re2::StringPiece(reinterpret_cast<const char *>(bytes.data), bytes.length);
}

struct regex *regex_new(struct bytes expression)
{
    RE2::Options options;

    options.set_log_errors(false);
    options.set_max_mem(1 << 20); /* bytes; an expression of a client needs a few KiB */
    try {
        regex *made = new regex(piece(expression), options);

        if (made->expression.ok())
            return made;
        delete made;
    } catch (const std::bad_alloc &) {
    }
    return nullptr;
}

void regex_free(struct regex *regex)
{
    delete regex;
}

bool regex_matches(const struct regex *regex, struct bytes text)
{
    try {
        return RE2::PartialMatch(piece(text), regex->expression);
    } catch (const std::bad_alloc &) { /* a match builds its states as it goes */
        return false;
    }
}
