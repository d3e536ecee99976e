/* Logging: a fixed sentence and its fields, one line each, on standard error. JSON lines, or text on a terminal.
 * Secrets, tokens and the values of Secrets never go here. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format {
    LOG_FORMAT_AUTO,
    LOG_FORMAT_JSON,
    LOG_FORMAT_TEXT
}; /* auto: text if stderr is a terminal */

struct log_field {
    const char *key;
    enum { LOG_TEXT, LOG_INT, LOG_DOUBLE, LOG_BOOL } kind;
    struct str text;
    int64_t integer;
    double number;
};

/* Fields: KV("alert", fingerprint), KV_STR("name", str), KV_INT("count", n), KV_NUM("p", 0.5), KV_BOOL("ok", true).
 * A NULL text is left out. */
#define KV(k, v) ((struct log_field){ .key = (k), .kind = LOG_TEXT, .text = str_of(v) })
#define KV_STR(k, v) ((struct log_field){ .key = (k), .kind = LOG_TEXT, .text = (v) })
#define KV_INT(k, v) ((struct log_field){ .key = (k), .kind = LOG_INT, .integer = (v) })
#define KV_NUM(k, v) ((struct log_field){ .key = (k), .kind = LOG_DOUBLE, .number = (v) })
#define KV_BOOL(k, v) ((struct log_field){ .key = (k), .kind = LOG_BOOL, .integer = (v) })

#define log_debug(...) LOG_AT(LOG_DEBUG, __VA_ARGS__, (struct log_field){ 0 })
#define log_info(...) LOG_AT(LOG_INFO, __VA_ARGS__, (struct log_field){ 0 })
#define log_warn(...) LOG_AT(LOG_WARN, __VA_ARGS__, (struct log_field){ 0 })
#define log_error(...) LOG_AT(LOG_ERROR, __VA_ARGS__, (struct log_field){ 0 })
#define LOG_AT(level, sentence, ...)                                                                         \
    do {                                                                                                     \
        if (log_enabled(level))                                                                              \
            log_write((level), (sentence), (const struct log_field[]){ __VA_ARGS__ });                       \
    } while (0)

void log_configure(enum log_level level, enum log_format format);
bool log_level_parse(struct str name, enum log_level *level); /* debug, info, warn|warning, error */
bool log_enabled(enum log_level level);
void log_write(enum log_level level, const char *sentence,
               const struct log_field *fields); /* ended by a NULL key */

/* The trace id of what this thread works on (32 hex digits), added to its lines as "trace"; "" for none. */
void log_set_trace(const char *trace_id);
const char *log_trace(void);

/* Tests read what was logged: every line goes to `sink` instead; NULL restores standard error. */
void log_replace_sink(void (*sink)(struct str line, void *context), void *context);

#endif
