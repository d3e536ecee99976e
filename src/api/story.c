/* What happened to an incident: the rows of the history as JSON. Each table is a list of columns with their kinds; the
 * query and the object are made from it. */
#include "api/api_internal.h"

enum kind { TEXT, INTEGER, NUMBER, TIME, JSON, FLAG };

struct column {
    const char *name, *sql; /* sql NULL: the same */
    enum kind kind;
};

static const struct column decision_columns[] = {
    { "id", .kind = TEXT },
    { "alert_id", .kind = TEXT },
    { "action", .kind = TEXT },
    { "parameters", .kind = JSON },
    { "confidence", .kind = NUMBER },
    { "reasoning", .kind = TEXT },
    { "provider", .kind = TEXT },
    { "model", .kind = TEXT },
    { "model_sha256", .kind = TEXT },
    { "route", .kind = TEXT },
    { "distribution", .kind = JSON },
    { "factors", .kind = JSON },
    { "feasible", .kind = JSON },
    { "prompt_tokens", .kind = INTEGER },
    { "duration_ms", .kind = NUMBER },
    { "created_at", .kind = TIME },
    { 0 },
};

static const struct column verdict_columns[] = {
    { "id", .kind = TEXT },      { "decision_id", .kind = TEXT }, { "execution_id", .kind = TEXT },
    { "verdict", .kind = TEXT }, { "rule", .kind = TEXT },        { "reason", .kind = TEXT },
    { "details", .kind = JSON }, { "created_at", .kind = TIME },  { 0 },
};

static const struct column execution_columns[] = {
    { "id", .kind = TEXT },
    { "decision_id", .kind = TEXT },
    { "state", .kind = TEXT },
    { "action", .kind = TEXT },
    { "parameters", .kind = JSON },
    { "cluster", .kind = TEXT },
    { "namespace", .kind = TEXT },
    { "kind", .kind = TEXT },
    { "name", .kind = TEXT },
    { "dry_run", .kind = TEXT },
    { "requested_by", .kind = TEXT },
    { "state_before", .kind = JSON },
    { "state_after", .kind = JSON },
    { "inverse", .kind = JSON },
    { "operations", .kind = JSON },
    { "error", .kind = TEXT },
    { "undo_of", .kind = TEXT },
    { "undone_by", .kind = TEXT },
    { "duration_ms", .kind = NUMBER },
    { "created_at", .kind = TIME },
    { "started_at", .kind = TIME },
    { "finished_at", .kind = TIME },
    { 0 },
};

static const struct column assessment_columns[] = {
    { "id", .kind = TEXT },           { "execution_id", .kind = TEXT },
    { "state", .kind = TEXT },        { "score", .kind = NUMBER },
    { "confidence", .kind = NUMBER }, { "method", .kind = TEXT },
    { "criteria", .kind = JSON },     { "factors", .kind = JSON },
    { "improvements", .kind = JSON }, { "cost", .kind = JSON },
    { "notes", .kind = TEXT },        { "due_at", .kind = TIME },
    { "assessed_at", .kind = TIME },  { 0 },
};

struct table {
    const char *one, *many; /* the names in the answer: the latest, and the list of all */
    const char *from, *condition;
    const struct column *columns;
};

static const struct table tables[] = {
    { "decision", "decisions", "decisions", "incident_id = ?", decision_columns },
    { "verdict", "verdicts", "verdicts", "incident_id = ?", verdict_columns },
    { "execution", "executions", "executions", "incident_id = ?", execution_columns },
    { "assessment", "assessments", "assessments",
      "execution_id IN (SELECT id FROM executions WHERE incident_id = ?)", assessment_columns },
};

static void add_value(struct strbuf *out, const struct rows *rows, int at, enum kind kind)
{
    char text[CLOCK_TEXT_MAX];
    if (rows_is_null(rows, at)) {
        strbuf_add_text(out, "null");
        return;
    }
    switch (kind) {
    case TEXT:
        strbuf_add_json(out, rows_text(rows, at));
        break;
    case INTEGER:
        strbuf_addf(out, "%lld", (long long)rows_int(rows, at));
        break;
    case NUMBER:
        strbuf_addf(out, "%.10g", rows_number(rows, at));
        break;
    case TIME:
        strbuf_add_json(out, str_of(clock_format(rows_int(rows, at), text)));
        break;
    case JSON: /* written by us, so well formed; an empty text is nothing */
        strbuf_add(out, rows_text(rows, at).len ? rows_text(rows, at) : STR("null"));
        break;
    case FLAG:
        strbuf_add_text(out, rows_int(rows, at) ? "true" : "false");
        break;
    }
}

static void add_row(struct strbuf *out, const struct rows *rows, const struct column *columns)
{
    for (int i = 0; columns[i].name; i++) {
        strbuf_addf(out, "%s\"%s\":", i ? "," : "{", columns[i].name);
        add_value(out, rows, i, columns[i].kind);
    }
    strbuf_add_char(out, '}');
}

static struct rows *query(struct tx *tx, const struct table *table, const char *incident_id, int64_t limit,
                          struct error **err)
{
    AUTO(strbuf) struct strbuf select = { 0 };
    for (int i = 0; table->columns[i].name; i++)
        strbuf_addf(&select, "%s%s", i ? ", " : "SELECT ",
                    table->columns[i].sql ? table->columns[i].sql : table->columns[i].name);
    strbuf_addf(&select, " FROM %s", table->from);
    struct list_query list = { .select = select.ptr };
    list_where(&list, table->condition, V_TEXT(incident_id));
    return list_run(tx, &list, limit, err);
}

bool story_write_latest(struct tx *tx, const char *incident_id, struct strbuf *out, struct error **err)
{
    for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
        bool found = false;
        AUTO(rows) struct rows *rows = query(tx, &tables[i], incident_id, 1, err);
        if (!rows || !rows_next(rows, &found, err))
            return false;
        strbuf_addf(out, ",\"%s\":", tables[i].one);
        if (found)
            add_row(out, rows, tables[i].columns);
        else
            strbuf_add_text(out, "null");
    }
    return true;
}

bool story_write_all(struct tx *tx, const char *incident_id, struct strbuf *out, struct error **err)
{
    for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
        AUTO(rows) struct rows *rows = query(tx, &tables[i], incident_id, 0, err);
        bool more = rows != NULL;
        strbuf_addf(out, ",\"%s\":[", tables[i].many);
        for (int n = 0; more; n++) {
            if (!rows_next(rows, &more, err))
                return false;
            if (more && n)
                strbuf_add_char(out, ',');
            if (more)
                add_row(out, rows, tables[i].columns);
        }
        if (!rows)
            return false;
        strbuf_add_char(out, ']');
    }
    return true;
}
