/* A report for those who have to show what was done: every entry of a time, and whether the log can be believed. */
#include "history/audit_internal.h"
#include "history_sql.h"

static void add_entry_json(struct strbuf *out, const struct audit_row *row, bool first)
{
    char at[CLOCK_TEXT_MAX];
    static const char *const names[] = { "replica", "actor", "event", "subject_kind", "subject_id", "hash" };
    const char *const texts[] = { row->replica,      row->actor,      row->event,
                                  row->subject_kind, row->subject_id, row->hash };
    strbuf_addf(out, "%s{\"at\":\"%s\",\"seq\":%lld", first ? "" : ",", clock_format(row->at, at),
                (long long)row->seq);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        strbuf_addf(out, ",\"%s\":", names[i]);
        strbuf_add_json(out, str_of(texts[i]));
    }
    strbuf_addf(out, ",\"details\":%s}", *row->details ? row->details : "{}");
}

static void add_html(struct strbuf *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '<')
            strbuf_add_text(out, "&lt;");
        else if (*text == '>')
            strbuf_add_text(out, "&gt;");
        else if (*text == '&')
            strbuf_add_text(out, "&amp;");
        else if (*text == '"')
            strbuf_add_text(out, "&quot;");
        else
            strbuf_add_char(out, *text);
    }
}

static void add_entry_html(struct strbuf *out, const struct audit_row *row, bool first)
{
    char at[CLOCK_TEXT_MAX];
    (void)first;
    strbuf_addf(out, "<tr><td>%s</td>", clock_format(row->at, at));
    const char *const texts[] = { row->actor, row->event, row->subject_kind, row->subject_id, row->details };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        strbuf_add_text(out, "<td>");
        add_html(out, texts[i]);
        strbuf_add_text(out, "</td>");
    }
    strbuf_add_text(out, "<td>");
    add_html(out, row->replica);
    strbuf_addf(out, "</td><td>%lld</td></tr>\n", (long long)row->seq);
}

static bool add_entries(struct tx *tx, const struct audit_report *report, struct strbuf *out,
                        struct error **err)
{
    AUTO(arena) struct arena *arena = arena_new(16 * 1024);
    AUTO(rows)
    struct rows *rows =
        tx_query(tx, &audit_range_sql,
                 VALUES(V_INT(report->from), V_INT(report->to ? report->to : INT64_MAX / 2)), err);
    bool more = rows != NULL;
    for (int64_t n = 0; more; n++) {
        struct audit_row row;
        if (!rows_next(rows, &more, err))
            return false;
        if (!more)
            break;
        arena_reset(arena);
        audit_row_read(rows, arena, &row);
        (report->html ? add_entry_html : add_entry_json)(out, &row, n == 0);
    }
    return rows != NULL;
}

static const char *time_text(int64_t ms, char text[CLOCK_TEXT_MAX])
{
    return ms ? clock_format(ms, text) : "";
}

static void begin_html(struct strbuf *out, const struct audit_verified *verified, const char *from,
                       const char *to)
{
    strbuf_add_text(
        out, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Audit report"
             "</title><style>body{font:14px sans-serif;margin:2em}table{border-collapse:collapse}"
             "td,th{border:1px solid #bbb;padding:4px 8px;text-align:left;vertical-align:top}"
             "td{word-break:break-word}.bad{color:#b00}</style></head><body>\n<h1>Audit report</h1>\n");
    strbuf_addf(out, "<p>From %s to %s.</p>\n", *from ? from : "the beginning", *to ? to : "now");
    if (!verified->problem_count)
        strbuf_addf(out, "<p>The log is whole: %lld entries, %lld signed checkpoints.</p>\n",
                    (long long)verified->entries, (long long)verified->checkpoints);
    for (size_t i = 0; i < verified->problem_count; i++) {
        strbuf_add_text(out, "<p class=\"bad\">");
        add_html(out, verified->problems[i].replica);
        strbuf_addf(out, " entry %lld: ", (long long)verified->problems[i].seq);
        add_html(out, verified->problems[i].what);
        strbuf_add_text(out, "</p>\n");
    }
    strbuf_add_text(out, "<table><tr><th>At</th><th>Actor</th><th>Event</th><th>Subject</th><th>Id</th>"
                         "<th>Details</th><th>Replica</th><th>Entry</th></tr>\n");
}

bool audit_report(struct store *store, const struct audit_report *report, struct strbuf *out,
                  struct error **err)
{
    AUTO(arena) struct arena *arena = arena_new(64 * 1024);
    char from[CLOCK_TEXT_MAX], to[CLOCK_TEXT_MAX], now[CLOCK_TEXT_MAX];
    struct audit_verified verified;
    if (!audit_verify(store, arena, report->keys, report->key_count, &verified, err))
        return false;
    if (report->html) {
        begin_html(out, &verified, time_text(report->from, from), time_text(report->to, to));
    } else {
        strbuf_addf(out, "{\"generated_at\":\"%s\",\"from\":\"%s\",\"to\":\"%s\",\"verified\":",
                    clock_format(clock_utc_ms(), now), time_text(report->from, from),
                    time_text(report->to, to));
        audit_verified_write(&verified, out);
        strbuf_add_text(out, ",\"entries\":[");
    }
    AUTO(tx) struct tx *tx = tx_begin(store, TX_READ, err);
    if (!tx || !add_entries(tx, report, out, err))
        return false;
    strbuf_add_text(out, report->html ? "</table></body></html>\n" : "]}");
    return true;
}
