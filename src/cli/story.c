/* One incident's story on one screen: what was told, what was decided and why, what was judged, done and gained. */
#include "cli/cli_internal.h"

#include <stdlib.h>

#include <yyjson.h>

#include "alert/alert.h"

enum { ROWS_MAX = 8, TEXT_MAX = 300 };

static void add_text(struct strbuf *out, yyjson_val *value)
{
    if (yyjson_is_str(value))
        cli_print_safe(out,
                       utf8_prefix((struct str){ yyjson_get_str(value), yyjson_get_len(value) }, TEXT_MAX));
    else if (yyjson_is_num(value))
        strbuf_addf(out, "%.3g", yyjson_get_num(value));
    else if (yyjson_is_bool(value))
        strbuf_add_text(out, yyjson_get_bool(value) ? "yes" : "no");
    else if (yyjson_is_ctn(value) && yyjson_get_len(value)) {
        char *json = yyjson_val_write(value, 0, NULL);
        cli_print_safe(out, utf8_prefix(str_of(json), TEXT_MAX));
        free(json);
    }
}

static bool is_blank(yyjson_val *value)
{
    return !value || yyjson_is_null(value) || (yyjson_is_str(value) && yyjson_get_len(value) == 0) ||
           (yyjson_is_ctn(value) && yyjson_get_len(value) == 0);
}

/* "  label  VALUE", left out where there is none. */
static void add_line(struct strbuf *out, const char *label, yyjson_val *object, const char *field)
{
    yyjson_val *value = yyjson_obj_get(object, field);
    if (is_blank(value))
        return;
    strbuf_addf(out, "  %-12s ", label);
    add_text(out, value);
    strbuf_add_char(out, '\n');
}

static void add_head(yyjson_val *root, struct strbuf *out)
{
    strbuf_add_text(out, "incident ");
    add_text(out, yyjson_obj_get(root, "id"));
    strbuf_add_text(out, ": ");
    add_text(out, yyjson_obj_get(root, "title"));
    strbuf_add_text(out, " (");
    add_text(out, yyjson_obj_get(root, "severity"));
    strbuf_add_text(out, ", ");
    add_text(out, yyjson_obj_get(root, "status"));
    strbuf_add_text(out, ")\n  resource     ");
    add_text(out, yyjson_obj_get(root, "kind"));
    strbuf_add_char(out, ' ');
    if (!is_blank(yyjson_obj_get(root, "namespace"))) {
        add_text(out, yyjson_obj_get(root, "namespace"));
        strbuf_add_char(out, '/');
    }
    add_text(out, yyjson_obj_get(root, "name"));
    strbuf_add_char(out, '\n');
    static const char *const fields[][2] = {
        { "cluster", "cluster" },     { "node", "node" },        { "joined by", "rule" },
        { "caused by", "parent_id" }, { "opened", "opened_at" }, { "resolved", "resolved_at" },
        { "flapping", "flapping" },   { "work", "work" },        { "trace", "trace_id" },
    };
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        if (strcmp(fields[i][1], "flapping") != 0 || yyjson_get_bool(yyjson_obj_get(root, "flapping")))
            add_line(out, fields[i][0], root, fields[i][1]);
}

static void add_alerts(yyjson_val *alerts, struct strbuf *out)
{
    size_t i, count;
    yyjson_val *alert;
    strbuf_addf(out, "\nalerts (%zu)\n", yyjson_arr_size(alerts));
    yyjson_arr_foreach(alerts, i, count, alert)
    {
        if (i == ROWS_MAX) {
            strbuf_addf(out, "  … and %zu more\n", count - i);
            break;
        }
        static const char *const fields[] = { "starts_at", "status", "severity", "name", "resource" };
        for (size_t f = 0; f < ARRAY_LEN(fields); f++) {
            strbuf_add_text(out, "  ");
            add_text(out, yyjson_obj_get(alert, fields[f]));
        }
        strbuf_add_text(out, "\n    ");
        add_text(out, yyjson_obj_get(alert, "description"));
        strbuf_add_char(out, '\n');
    }
}

struct part {
    const char *list, *heading;
    const char *fields[12][2];
};

static const struct part parts[] = {
    { "decisions",
      "decision",
      { { "at", "created_at" },
        { "action", "action" },
        { "parameters", "parameters" },
        { "confidence", "confidence" },
        { "distribution", "distribution" },
        { "reasoning", "reasoning" },
        { "factors", "factors" },
        { "model", "model" } } },
    { "verdicts",
      "verdict",
      { { "at", "created_at" }, { "verdict", "verdict" }, { "rule", "rule" }, { "reason", "reason" } } },
    { "executions",
      "execution",
      { { "id", "id" },
        { "state", "state" },
        { "action", "action" },
        { "dry run", "dry_run" },
        { "by", "requested_by" },
        { "started", "started_at" },
        { "finished", "finished_at" },
        { "error", "error" },
        { "before", "state_before" },
        { "after", "state_after" },
        { "undo of", "undo_of" } } },
    { "assessments",
      "assessment",
      { { "at", "assessed_at" },
        { "state", "state" },
        { "due", "due_at" },
        { "score", "score" },
        { "confidence", "confidence" },
        { "criteria", "criteria" },
        { "notes", "notes" } } },
};

/* Newest first in the answer; a story is told from its beginning. */
static void add_part(const struct part *part, yyjson_val *list, struct strbuf *out)
{
    for (size_t i = MIN(yyjson_arr_size(list), (size_t)ROWS_MAX); i-- > 0;) {
        yyjson_val *row = yyjson_arr_get(list, i);
        strbuf_addf(out, "\n%s\n", part->heading);
        for (size_t f = 0; f < ARRAY_LEN(part->fields) && part->fields[f][0]; f++)
            add_line(out, part->fields[f][0], row, part->fields[f][1]);
    }
}

bool cli_write_story(struct str json, struct strbuf *out, struct error **err)
{
    yyjson_doc *doc = yyjson_read(json.ptr, json.len, 0);
    if (!doc)
        return error_set(err, ERROR_INTERNAL, "the incident's JSON cannot be read");
    yyjson_val *root = yyjson_doc_get_root(doc);
    add_head(root, out);
    add_alerts(yyjson_obj_get(root, "alerts"), out);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        add_part(&parts[i], yyjson_obj_get(root, parts[i].list), out);
    yyjson_doc_free(doc);
    return true;
}
