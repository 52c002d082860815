/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/filter.h"

#include "base/arena.h"
#include "snapshot/filter_scanner.h"
#include "snapshot/regex.h"

#include <errno.h>
#include <stdlib.h>

enum operator{ OPERATOR_PRESENT, OPERATOR_EQUAL, OPERATOR_NOT_EQUAL, OPERATOR_MATCHES };

struct selector {
    struct selector *next;
    struct bytes *path;
    size_t parts;
    enum operator operator;
    struct bytes value;
    struct regex
        *regex; /* of OPERATOR_MATCHES; NULL: the expression is malformed, nothing matches */
};

struct alternative { /* all its selectors must hold */
    struct alternative *next;
    struct selector *selectors;
};

struct filter { /* any of its alternatives must hold; none: everything matches */
    struct arena arena;
    struct alternative *alternatives;
    unsigned selectors, expressions; /* how many */
};

#define PATH_PARTS_LIMIT 64

struct parser {
    struct filter *filter;
    struct filter_scanner scanner;
    enum filter_token token; /* the one to be looked at next */
    struct bytes text;
};

static int advance(struct parser *parser, struct reason *why)
{
    return filter_scan(&parser->scanner, &parser->token, &parser->text, why);
}

static int unexpected(const struct parser *parser, const char *message, struct reason *why)
{
    return filter_refuse(&parser->scanner, parser->scanner.token_start, message, why);
}

static int too_much(const char *what, unsigned limit, struct reason *why)
{
    return refuse(why, CONDITION_INVALID,
                  "the filters have more than %u %s: ask for less at once, or list all and choose "
                  "from that",
                  limit, what);
}

/* The text of a quoted token. Slashes and bars quote regular expressions only. */
static int parse_quoted(struct parser *parser, bool any_quote, struct bytes *value,
                        struct reason *why)
{
    if (!any_quote && parser->text.data[0] != '"')
        return unexpected(parser, "only double quotes can stand here", why);
    return filter_unquote(&parser->filter->arena, parser->text, value, why);
}

static int parse_fieldpath(struct parser *parser, struct selector *selector, struct reason *why)
{
    struct bytes parts[PATH_PARTS_LIMIT];
    size_t count = 0;

    for (;;) {
        int result = 0;

        if (count == PATH_PARTS_LIMIT)
            return unexpected(parser, "the field has too many parts", why);
        if (parser->token == FILTER_FIELD)
            result = arena_copy(&parser->filter->arena, parser->text, &parts[count])
                         ? 0
                         : failure(why, ENOMEM, "read a filter");
        else if (parser->token == FILTER_QUOTED)
            result = parse_quoted(parser, false, &parts[count], why);
        else
            return unexpected(parser, "expected the name of a field", why);
        if (result)
            return result;
        count++;
        result = advance(parser, why);
        if (result)
            return result;
        if (parser->token != FILTER_DOT)
            break;
        result = advance(parser, why);
        if (result)
            return result;
    }
    selector->path = arena_take(&parser->filter->arena, count * sizeof(parts[0]));
    if (!selector->path)
        return failure(why, ENOMEM, "read a filter");
    memcpy(selector->path, parts, count * sizeof(parts[0]));
    selector->parts = count;
    return 0;
}

static int parse_operator(struct parser *parser, struct selector *selector, struct reason *why)
{
    if (parser->token != FILTER_OPERATOR)
        return unexpected(parser, "expected an operator: ==, != or ~=", why);
    if (bytes_equal(parser->text, bytes_of("==")))
        selector->operator= OPERATOR_EQUAL;
    else if (bytes_equal(parser->text, bytes_of("!=")))
        selector->operator= OPERATOR_NOT_EQUAL;
    else if (bytes_equal(parser->text, bytes_of("~=")))
        selector->operator= OPERATOR_MATCHES;
    else
        return unexpected(parser, "no such operator; there are ==, != and ~=", why);
    return advance(parser, why);
}

static int parse_value(struct parser *parser, struct selector *selector, struct reason *why)
{
    int result = 0;

    if (parser->token == FILTER_QUOTED)
        result = parse_quoted(parser, selector->operator== OPERATOR_MATCHES, &selector->value, why);
    else if (parser->token != FILTER_VALUE)
        return unexpected(parser, "expected a value", why);
    else if (!arena_copy(&parser->filter->arena, parser->text, &selector->value))
        result = failure(why, ENOMEM, "read a filter");
    if (result)
        return result;
    /* As containerd does: a malformed expression is no error of the call, it matches nothing. */
    if (selector->operator== OPERATOR_MATCHES) {
        if (parser->filter->expressions++ == FILTER_EXPRESSIONS)
            return too_much("regular expressions", FILTER_EXPRESSIONS, why);
        selector->regex = regex_new(selector->value);
    }
    return advance(parser, why);
}

static int parse_selector(struct parser *parser, struct alternative *alternative,
                          struct reason *why)
{
    struct selector *selector = arena_take(&parser->filter->arena, sizeof(*selector));
    int result;

    if (parser->filter->selectors++ == FILTER_SELECTORS)
        return too_much("conditions", FILTER_SELECTORS, why);
    if (!selector)
        return failure(why, ENOMEM, "read a filter");
    *selector = (struct selector){.next = alternative->selectors};
    alternative->selectors = selector;
    result = parse_fieldpath(parser, selector, why);
    if (result)
        return result;
    if (parser->token == FILTER_COMMA || parser->token == FILTER_END)
        return 0;
    result = parse_operator(parser, selector, why);
    return result ? result : parse_value(parser, selector, why);
}

static int parse_alternative(struct filter *filter, struct bytes text, struct reason *why)
{
    struct parser parser = {.filter = filter, .scanner = {.input = text}};
    struct alternative *alternative = arena_take(&filter->arena, sizeof(*alternative));
    int result;

    if (!alternative)
        return failure(why, ENOMEM, "read a filter");
    *alternative = (struct alternative){.next = filter->alternatives};
    filter->alternatives = alternative;
    if (text.length == 0)
        return 0;
    result = advance(&parser, why);
    while (!result) {
        result = parse_selector(&parser, alternative, why);
        if (result || parser.token == FILTER_END)
            break;
        if (parser.token != FILTER_COMMA)
            return unexpected(&parser, "expected a comma or the end", why);
        result = advance(&parser, why);
    }
    return result;
}

int filter_parse(struct filter **filter, const struct bytes *texts, size_t count,
                 struct reason *why)
{
    struct filter *made = calloc(1, sizeof(*made));

    if (!made)
        return failure(why, ENOMEM, "read a filter");
    for (size_t i = 0; i < count; i++) {
        int result = parse_alternative(made, texts[i], why);

        if (result) {
            filter_free(made);
            return result;
        }
    }
    *filter = made;
    return 0;
}

struct filter *filter_free(struct filter *filter)
{
    if (!filter)
        return NULL;
    for (const struct alternative *any = filter->alternatives; any; any = any->next)
        for (const struct selector *each = any->selectors; each; each = each->next)
            regex_free(each->regex);
    arena_clear(&filter->arena);
    free(filter);
    return NULL;
}

static bool selector_holds(const struct selector *selector, filter_field *field, const void *object)
{
    struct bytes value = {0};
    bool present = field(object, selector->path, selector->parts, &value);

    if (!present)
        value = (struct bytes){0};
    switch (selector->operator) {
    case OPERATOR_PRESENT:
        return present;
    case OPERATOR_EQUAL:
        return present && bytes_equal(value, selector->value);
    case OPERATOR_NOT_EQUAL: /* an absent field counts as empty */
        return !bytes_equal(value, selector->value);
    case OPERATOR_MATCHES:
        return selector->regex && regex_matches(selector->regex, value);
    }
    return false;
}

bool filter_matches(const struct filter *filter, filter_field *field, const void *object)
{
    if (!filter->alternatives)
        return true;
    for (const struct alternative *any = filter->alternatives; any; any = any->next) {
        const struct selector *each = any->selectors;

        while (each && selector_holds(each, field, object))
            each = each->next;
        if (!each)
            return true;
    }
    return false;
}
