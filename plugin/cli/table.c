/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/table.h"

#include "base/size.h"
#include "cli/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

int table_open(struct table *table, const struct table_column *columns, size_t count,
               struct reason *why)
{
    *table = (struct table){.table = scols_new_table()};
    if (!table->table)
        return failure(why, ENOMEM, "make a table");
    /* text_shown() escapes, and does so unambiguously; twice would not be */
    scols_table_enable_noencoding(table->table, 1);
    scols_table_enable_noheadings(table->table, columns[0].heading == NULL);
    for (size_t i = 0; i < count; i++)
        if (!scols_table_new_column(table->table, columns[i].heading ? columns[i].heading : "",
                                    columns[i].width, columns[i].flags))
            return failure(why, ENOMEM, "make a table");
    return 0;
}

void table_clear(struct table *table)
{
    scols_unref_table(table->table);
    *table = (struct table){0};
}

struct libscols_line *table_line(struct table *table, struct libscols_line *parent)
{
    table->line = scols_table_new_line(table->table, parent);
    table->column = 0;
    table->failed |= !table->line;
    return table->line;
}

/* Takes TEXT over. */
static void put_cell(struct table *table, char *text)
{
    if (table->line && text && scols_line_refer_data(table->line, table->column++, text) == 0)
        return;
    free(text);
    table->failed = true;
}

void table_bytes(struct table *table, struct bytes bytes)
{
    put_cell(table, text_shown(bytes));
}

void table_text(struct table *table, const char *text)
{
    put_cell(table, strdup(text));
}

void table_number(struct table *table, uint64_t number)
{
    char text[24];

    snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
    table_text(table, text);
}

void table_size(struct table *table, uint64_t bytes)
{
    table_text(table, size_text(bytes));
}

void table_pair(struct table *table, const char *name, const char *format, ...)
{
    char *text = NULL;
    va_list arguments;

    table_line(table, NULL);
    table_text(table, name);
    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0)
        text = NULL;
    va_end(arguments);
    if (text)
        table_bytes(table, bytes_of(text));
    else
        table->failed = true;
    free(text);
}

int table_print(struct table *table, struct reason *why)
{
    int error = table->failed ? -ENOMEM : scols_print_table(table->table);

    return error < 0 ? failure(why, -error, "print a table") : 0;
}
