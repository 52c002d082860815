/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COWSNAP_BASE_LOG_H
#define COWSNAP_BASE_LOG_H

/*
 * The daemon's log: one line an event on standard error, as text or as JSON, in the field names of
 * containerd's own log (time, level, msg). Callers quote what came from outside with bytes_quote();
 * control characters and broken UTF-8 that still slip through are escaped here, so that no request
 * forges a line or spoils one for a reader of JSON.
 */

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

/* To be called before other threads run. The start value is INFO and TEXT. */
void log_setup(enum log_level least, enum log_format format);

/* -1 for a name that is no level ("debug", "info", "warn", "error") or format ("text", "json"). */
int log_level_from_name(const char *name);
int log_format_from_name(const char *name);

/* One write(2) a line; safe from any thread. */
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warn(...) log_line(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)

#endif
