/* SPDX-License-Identifier: Apache-2.0 */
extern "C" {
#include "base/bytes.h"
#include "base/result.h"
}
#include "config/toml_reader.h"

#include <algorithm>
#include <cerrno>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include <toml++/toml.h>

namespace
{

struct bytes borrow(std::string_view text)
{
    return bytes_from(text.data(), text.size());
}

/* A table with a header has a place of its own, one that only dotted keys made has that of its
 * first key; either way the key tells it. */
toml_item item_of(std::string_view section, const toml::key &key, const toml::node &node)
{
    toml_item item = {};

    item.line = key.source().begin.line;
    item.section = borrow(section);
    item.key = borrow(key.str());
    item.kind = TOML_OTHER;
    switch (node.type()) {
    case toml::node_type::table:
        item.kind = TOML_TABLE;
        item.kind_name = "a table";
        break;
    case toml::node_type::string:
        item.kind = TOML_STRING;
        item.kind_name = "a string";
        item.string = borrow(node.as_string()->get());
        break;
    case toml::node_type::integer:
        item.kind = TOML_INTEGER;
        item.kind_name = "an integer";
        item.integer = node.as_integer()->get();
        break;
    case toml::node_type::boolean:
        item.kind = TOML_BOOLEAN;
        item.kind_name = "a boolean";
        item.boolean = node.as_boolean()->get();
        break;
    case toml::node_type::floating_point:
        item.kind_name = "a float";
        break;
    case toml::node_type::array:
        item.kind_name = "an array";
        break;
    default:
        item.kind_name = "a date or time";
        break;
    }
    return item;
}

/* toml++ keeps keys by name; people read a file by lines. A section comes before what is in it. */
std::vector<toml_item> items_by_line(const toml::table &document)
{
    std::vector<toml_item> items;

    for (const auto &[key, node] : document) {
        items.push_back(item_of({}, key, node));
        if (const toml::table *section = node.as_table())
            for (const auto &[inner_key, inner_node] : *section)
                items.push_back(item_of(key.str(), inner_key, inner_node));
    }
    std::stable_sort(items.begin(), items.end(),
                     [](const toml_item &a, const toml_item &b) { return a.line < b.line; });
    return items;
}

/* Every dot of a key is one more table in a table, and toml++ takes such a tower down by recursion:
 * its limit for nested values does not count them, and with 30,000 of them Ubuntu 24.04's library
 * runs out of stack. A key has no line break in it, so the length of a line bounds its dots. No
 * setting is as long: the longest is a path, of at most PATH_MAX (4,096) bytes. */
constexpr size_t longest_line = 8192;

/* toml++ decodes ahead of what it parses, and so tells a wrong line for bytes that are no UTF-8. */
int check_lines(struct bytes document, const char *name, struct reason *why)
{
    unsigned line = 1;
    size_t length = 0;

    while (document.length > 0) {
        size_t sequence = bytes_utf8_sequence(document);

        if (sequence == 0)
            return refuse(why, CONDITION_INVALID,
                          "%s:%u: not valid TOML: the byte 0x%02x is not UTF-8 here", name, line,
                          document.data[0]);
        length += sequence;
        if (length > longest_line)
            return refuse(
                why, CONDITION_INVALID,
                "%s:%u: the line is longer than %zu bytes; no setting needs that, shorten it", name,
                line, longest_line);
        if (document.data[0] == '\n') {
            line++;
            length = 0;
        }
        document = bytes_from(document.data + sequence, document.length - sequence);
    }
    return 0;
}

} // namespace

int toml_read(struct bytes document, const char *name, toml_visit *visit, void *context,
              struct reason *why)
{
    if (int result = check_lines(document, name, why))
        return result;
    try {
        const char *text = reinterpret_cast<const char *>(document.data);
        const toml::table table = toml::parse(std::string_view(text ? text : "", document.length),
                                              std::string_view(name));

        for (const toml_item &item : items_by_line(table))
            if (int result = visit(context, &item, why))
                return result;
        return 0;
    } catch (const toml::parse_error &error) {
        return refuse(why, CONDITION_INVALID, "%s:%u: not valid TOML: %.*s", name,
                      static_cast<unsigned>(error.source().begin.line),
                      static_cast<int>(error.description().size()), error.description().data());
    } catch (const std::bad_alloc &) {
        return failure(why, ENOMEM, "%s: reading the configuration", name);
    } catch (...) {
        return failure(why, EIO, "%s: reading the configuration", name);
    }
}
