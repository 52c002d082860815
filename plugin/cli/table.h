/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_CLI_TABLE_H
#define COWSNAP_CLI_TABLE_H

/*
 * Tables for people, by libsmartcols: it fits them to the terminal, where there is one. Every text
 * goes through text_shown(), so that no key takes hold of the terminal.
 */

#include "base/bytes.h"
#include "base/result.h"

#include <libsmartcols.h>
#include <stddef.h>
#include <stdint.h>

/* KIND of a column: how libsmartcols lays it out. */
struct table_column {
    const char *heading;
    double width; /* wanted at least: cells, or a part of the terminal below 1 */
    int flags;    /* SCOLS_FL_* */
};

struct table {
    struct libscols_table *table;
    struct libscols_line *line; /* the newest */
    size_t column;              /* the next of it to be filled */
    bool failed;                /* memory was out once */
};

/* COLUMNS without headings (all NULL): no line of headings is printed. To be ended by
 * table_clear(), also after a failure; fit for scoped(). */
int table_open(struct table *table, const struct table_column *columns, size_t count,
               struct reason *why);
void table_clear(struct table *table);

/* Begins a line, below PARENT in the tree or NULL. What is returned is valid until table_clear();
 * NULL when memory is out, which table_print() tells. */
struct libscols_line *table_line(struct table *table, struct libscols_line *parent);

/* Fill the next cell of the newest line. */
void table_bytes(struct table *table, struct bytes bytes);
void table_text(struct table *table, const char *text); /* our own: shown as it is */
void table_number(struct table *table, uint64_t number);
void table_size(struct table *table, uint64_t bytes);

/* A line of two cells: NAME, and what FORMAT makes as printf() does. */
void table_pair(struct table *table, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* To standard output. */
int table_print(struct table *table, struct reason *why);

#endif
