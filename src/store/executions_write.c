/* An execution as JSON, as commands and REST show it. */
#include <math.h>

#include "store/executions.h"

static void add_text(struct strbuf *out, const char *name, const char *text)
{
    strbuf_addf(out, ",\"%s\":", name);
    if (text)
        strbuf_add_json(out, str_of(text));
    else
        strbuf_add_text(out, "null");
}

/* What is JSON already stays as it is. */
static void add_raw(struct strbuf *out, const char *name, const char *json)
{
    strbuf_addf(out, ",\"%s\":%s", name, json && json[0] ? json : "null");
}

static void add_time(struct strbuf *out, const char *name, int64_t ms)
{
    char text[CLOCK_TEXT_MAX];
    add_text(out, name, ms ? clock_format(ms, text) : NULL);
}

void execution_write(struct strbuf *out, const struct execution *e)
{
    strbuf_addf(out, "{\"id\":\"%s\",\"state\":\"%s\"", e->id, execution_state_names[e->state]);
    add_text(out, "action", e->action);
    add_raw(out, "parameters", e->parameters);
    strbuf_add_text(out, ",\"resource\":{\"cluster\":");
    strbuf_add_json(out, str_of(e->cluster ? e->cluster : ""));
    add_text(out, "namespace", e->namespace);
    add_text(out, "kind", e->kind);
    add_text(out, "name", e->name);
    add_text(out, "uid", e->uid);
    strbuf_add_char(out, '}');
    add_text(out, "dry_run", e->dry_run);
    add_text(out, "requested_by", e->requested_by);
    add_text(out, "incident_id", e->incident_id);
    add_text(out, "decision_id", e->decision_id);
    add_text(out, "alert_id", e->alert_id);
    add_text(out, "alert_name", e->alert_name);
    add_text(out, "severity", e->severity);
    if (isnan(e->confidence))
        strbuf_add_text(out, ",\"confidence\":null");
    else
        strbuf_addf(out, ",\"confidence\":%.4f", e->confidence);
    add_time(out, "created_at", e->created_at);
    add_time(out, "started_at", e->started_at);
    add_time(out, "finished_at", e->finished_at);
    if (e->finished_at)
        strbuf_addf(out, ",\"duration_ms\":%.0f", e->duration_ms);
    else
        strbuf_add_text(out, ",\"duration_ms\":null");
    strbuf_addf(out, ",\"affected_replicas\":%lld", (long long)e->affected);
    add_raw(out, "operations", e->operations);
    add_raw(out, "before", e->state_before);
    add_raw(out, "after", e->state_after);
    add_raw(out, "inverse", e->inverse);
    add_text(out, "error", e->error);
    add_text(out, "undo_of", e->undo_of);
    add_text(out, "undone_by", e->undone_by);
    add_time(out, "undo_at", e->undo_at);
    add_raw(out, "details", e->details);
    add_text(out, "trace_id", e->trace_id);
    strbuf_add_char(out, '}');
}
