#include "base/log.h"

#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

static enum log_level threshold =
    LOG_INFO; /* set before threads start, or by a reload: read and set atomically */
static bool as_json;
static void (*sink)(struct str line, void *context);
static void *sink_context;
static _Thread_local char trace[33];

static const char *const level_names[] = { "debug", "info", "warn", "error" };

void log_configure(enum log_level level, enum log_format format)
{
    __atomic_store_n(&threshold, level, __ATOMIC_RELAXED);
    bool json = format == LOG_FORMAT_JSON || (format == LOG_FORMAT_AUTO && !isatty(STDERR_FILENO));
    __atomic_store_n(&as_json, json, __ATOMIC_RELAXED);
}

bool log_level_parse(struct str name, enum log_level *level)
{
    for (int i = 0; i <= LOG_ERROR; i++)
        if (str_eq_nocase(name, str_of(level_names[i]))) {
            *level = (enum log_level)i;
            return true;
        }
    *level = LOG_WARN;
    return str_eq_nocase(name, STR("warning"));
}

bool log_enabled(enum log_level level)
{
    return level >= __atomic_load_n(&threshold, __ATOMIC_RELAXED);
}

void log_set_trace(const char *trace_id)
{
    snprintf(trace, sizeof trace, "%s", trace_id ? trace_id : "");
}

const char *log_trace(void)
{
    return trace;
}

static void add_value(struct strbuf *line, const struct log_field *field)
{
    switch (field->kind) {
    case LOG_TEXT:
        strbuf_add_json(line, field->text);
        break;
    case LOG_INT:
        strbuf_addf(line, "%lld", (long long)field->integer);
        break;
    case LOG_DOUBLE:
        strbuf_addf(line, "%.6g", field->number);
        break;
    case LOG_BOOL:
        strbuf_add_text(line, field->integer ? "true" : "false");
        break;
    }
}

static bool is_left_out(const struct log_field *field)
{
    return field->kind == LOG_TEXT && !field->text.ptr;
}

static void add_json_line(struct strbuf *line, enum log_level level, const char *sentence,
                          const struct log_field *fields)
{
    char time[CLOCK_TEXT_MAX];
    strbuf_addf(line, "{\"time\":\"%s\",\"level\":\"%s\",\"message\":", clock_format(clock_utc_ms(), time),
                level_names[level]);
    strbuf_add_json(line, str_of(sentence));
    for (; fields->key; fields++) {
        if (is_left_out(fields))
            continue;
        strbuf_add_char(line, ',');
        strbuf_add_json(line, str_of(fields->key));
        strbuf_add_char(line, ':');
        add_value(line, fields);
    }
    if (trace[0])
        strbuf_addf(line, ",\"trace\":\"%s\"", trace);
    strbuf_add_text(line, "}\n");
}

static void add_text_line(struct strbuf *line, enum log_level level, const char *sentence,
                          const struct log_field *fields)
{
    char time[CLOCK_TEXT_MAX];
    clock_format(clock_utc_ms(), time);
    strbuf_addf(line, "%.8s %-5s %s", time + 11, level_names[level], sentence);
    for (; fields->key; fields++) {
        if (is_left_out(fields))
            continue;
        strbuf_addf(line, "  %s=", fields->key);
        add_value(line, fields);
    }
    strbuf_add_char(line, '\n');
}

void log_replace_sink(void (*new_sink)(struct str line, void *context), void *context)
{
    sink = new_sink;
    sink_context = context;
}

void log_write(enum log_level level, const char *sentence, const struct log_field *fields)
{
    AUTO(strbuf) struct strbuf line = { 0 };
    if (__atomic_load_n(&as_json, __ATOMIC_RELAXED))
        add_json_line(&line, level, sentence, fields);
    else
        add_text_line(&line, level, sentence, fields);
    if (sink) {
        sink(strbuf_str(&line), sink_context);
        return;
    }
    /* One write a line, so that lines of several threads do not mix; a full pipe or disk must not stop the work. */
    ssize_t written = write(STDERR_FILENO, line.ptr, line.len);
    (void)written;
}
