/* What Prometheus reads: text 0.0.4 and OpenMetrics 1.0, which differ in counters' family names, in escaping, and in
 * the last line. */
#include "metrics/metrics_internal.h"

#include <math.h>
#include <stdio.h>
#include <zlib.h>

static const char *const type_names[] = { "counter", "gauge", "histogram" };

static void add_escaped(struct strbuf *out, const char *text, bool quotes)
{
    for (; *text; text++) {
        if (*text == '\n')
            strbuf_add_text(out, "\\n");
        else if (*text == '\\' || (*text == '"' && quotes))
            strbuf_addf(out, "\\%c", *text);
        else
            strbuf_add_char(out, *text);
    }
}

static void add_number(struct strbuf *out, double value)
{
    if (isnan(value))
        strbuf_add_text(out, "NaN");
    else if (isinf(value))
        strbuf_add_text(out, value > 0 ? "+Inf" : "-Inf");
    else if (value == floor(value) && fabs(value) < 1e15)
        strbuf_addf(out, "%.0f", value);
    else
        strbuf_addf(out, "%.12g", value);
}

static void add_head(enum metrics_format format, const struct metric_row *row, struct strbuf *out)
{
    struct str family = str_of(row->name);
    if (format == METRICS_OPENMETRICS && row->type == METRIC_COUNTER)
        family.len -= strlen("_total");
    strbuf_addf(out, "# HELP " STR_FMT " ", STR_ARG(family));
    add_escaped(out, row->help, format == METRICS_OPENMETRICS);
    strbuf_addf(out, "\n# TYPE " STR_FMT " %s\n", STR_ARG(family), type_names[row->type]);
}

/* {severity="critical",le="0.1"}; a label value that is not UTF-8 would make the scrape fail. */
static void add_labels(const struct metric_row *row, const struct series *series, const char *le,
                       struct strbuf *out)
{
    bool first = true;
    for (size_t i = 0; row->labels[i]; i++) {
        strbuf_addf(out, "%c%s=\"", first ? '{' : ',', row->labels[i]);
        add_escaped(out, utf8_is_valid(str_of(series->values[i])) ? series->values[i] : "other", true);
        strbuf_add_char(out, '"');
        first = false;
    }
    if (le)
        strbuf_addf(out, "%cle=\"%s\"", first ? '{' : ',', le);
    if (le || !first)
        strbuf_add_char(out, '}');
}

static void add_sample(const struct metric_row *row, const char *suffix, const struct series *series,
                       const char *le, double value, struct strbuf *out)
{
    strbuf_addf(out, "%s%s", row->name, suffix);
    add_labels(row, series, le, out);
    strbuf_add_char(out, ' ');
    add_number(out, value);
    strbuf_add_char(out, '\n');
}

/* OpenMetrics 1.0, section 4.6.1: the trace that a bucket's last observation was made for. */
static void add_bucket(enum metrics_format format, const struct metric_row *row, const struct series *series,
                       size_t bucket, const char *le, double below, struct strbuf *out)
{
    const struct exemplar *exemplar = series->exemplars ? &series->exemplars[bucket] : NULL;
    add_sample(row, "_bucket", series, le, below, out);
    if (format != METRICS_OPENMETRICS || !exemplar || !exemplar->trace_id[0])
        return;
    out->len--; /* the line goes on */
    strbuf_addf(out, " # {trace_id=\"%s\"} %.12g %.3f\n", exemplar->trace_id, exemplar->value,
                (double)exemplar->at / 1000);
}

/* OpenMetrics wants "1.0" where 0.0.4 says "1"; both read the longer form. */
static void format_bound(double bound, char text[32])
{
    if (bound == floor(bound))
        snprintf(text, 32, "%.1f", bound);
    else
        snprintf(text, 32, "%.12g", bound);
}

static void add_histogram(enum metrics_format format, const struct metric_row *row,
                          const struct series *series, struct strbuf *out)
{
    uint64_t below = 0;
    char bound[32];
    size_t i = 0;
    for (; row->bounds[i] > 0; i++) {
        below += series->buckets[i];
        format_bound(row->bounds[i], bound);
        add_bucket(format, row, series, i, bound, (double)below, out);
    }
    add_bucket(format, row, series, i, "+Inf", (double)series->count, out);
    add_sample(row, "_sum", series, NULL, series->value, out);
    add_sample(row, "_count", series, NULL, (double)series->count, out);
}

static void add_metric(enum metrics_format format, enum metric_id id, struct strbuf *out)
{
    static const struct series never = { 0 };
    const struct metric_row *row = &metric_rows[id];
    add_head(format, row, out);
    pthread_mutex_lock(&metric_states[id].lock);
    const struct series *first = metric_states[id].first;
    if (!first && !row->labels[0])
        first = &never; /* a counter that is known to be 0 is worth more than none */
    for (const struct series *series = first; series; series = series->next) {
        if (row->type == METRIC_HISTOGRAM)
            add_histogram(format, row, series, out);
        else
            add_sample(row, "", series, NULL, series->value, out);
    }
    pthread_mutex_unlock(&metric_states[id].lock);
}

void metrics_write(enum metrics_format format, struct strbuf *out)
{
    metrics_collect();
    for (size_t id = 0; id < METRIC_COUNT; id++)
        add_metric(format, (enum metric_id)id, out);
    if (format == METRICS_OPENMETRICS)
        strbuf_add_text(out, "# EOF\n");
}

const char *metrics_content_type(enum metrics_format format)
{
    return format == METRICS_OPENMETRICS ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                                         : "text/plain; version=0.0.4; charset=utf-8";
}

/* The q-value among a media range's parameters; 1 without one. */
static double quality(struct str parameters)
{
    struct str parameter;
    double q = 1;
    while (str_split(&parameters, ';', &parameter)) {
        parameter = str_trim(parameter);
        if (str_starts_with(parameter, STR("q=")) &&
            !str_to_double(str_slice(parameter, 2, parameter.len), &q))
            q = 0;
    }
    return q;
}

enum metrics_format metrics_negotiate(struct str accept)
{
    struct str range, type;
    double text = 0, open = 0;
    while (str_split(&accept, ',', &range)) {
        if (!str_split(&range, ';', &type))
            continue;
        type = str_trim(type);
        double q = quality(range);
        if (str_eq_nocase(type, STR("application/openmetrics-text")))
            open = MAX(open, q);
        else if (str_eq_nocase(type, STR("text/plain")) || str_eq(type, STR("*/*")) ||
                 str_eq_nocase(type, STR("text/*")))
            text = MAX(text, q);
    }
    return open > text || (open > 0 && fabs(open - text) < 1e-9) ? METRICS_OPENMETRICS : METRICS_TEXT;
}

bool metrics_accepts_gzip(struct str accept)
{
    struct str item, name;
    while (str_split(&accept, ',', &item))
        if (str_split(&item, ';', &name) && str_eq_nocase(str_trim(name), STR("gzip")))
            return quality(item) > 0;
    return false;
}

bool metrics_gzip(struct str text, struct strbuf *out)
{
    enum { GZIP_WINDOW = 15 + 16, MEMORY_LEVEL = 8 };
    z_stream stream = { .next_in = (Bytef *)text.ptr, .avail_in = (uInt)text.len };
    if (deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, GZIP_WINDOW, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) !=
        Z_OK)
        return false;
    size_t bound = deflateBound(&stream, text.len);
    strbuf_reserve(out, bound);
    stream.next_out = (Bytef *)out->ptr + out->len;
    stream.avail_out = (uInt)bound;
    bool ok = deflate(&stream, Z_FINISH) == Z_STREAM_END;
    if (ok)
        out->len += stream.total_out;
    deflateEnd(&stream);
    return ok;
}

void metrics_write_reference(struct strbuf *out)
{
    strbuf_add_text(
        out,
        "# Metrics\n\nMade by `make docs` from `src/metrics/table.c`; do not edit.\n\n"
        "Every label is bounded: `severity` is critical, warning, info, none or other; of every other label\n"
        "the first 200 values are told apart, the rest counts as `other`. A histogram's buckets name, to who asks for\n"
        "OpenMetrics, the `trace_id` of the last observation in them: the one in the log, of the alert and of its incident.\n\n"
        "| name | type | labels | meaning |\n|---|---|---|---|\n");
    for (size_t id = 0; id < METRIC_COUNT; id++) {
        const struct metric_row *row = &metric_rows[id];
        strbuf_addf(out, "| `%s` | %s | ", row->name, type_names[row->type]);
        for (size_t i = 0; row->labels[i]; i++)
            strbuf_addf(out, "%s`%s`", i ? ", " : "", row->labels[i]);
        strbuf_addf(out, " | %s |\n", row->help);
    }
}
