/* Alerts as JSON, in DESIGN.md's words. */
#include "alert/alert.h"

static void add_pair(struct strbuf *out, const char *name, struct str value)
{
    strbuf_add_json(out, str_of(name));
    strbuf_add_char(out, ':');
    strbuf_add_json(out, value);
}

static void add_time(struct strbuf *out, const char *name, int64_t ms)
{
    char text[CLOCK_TEXT_MAX];
    strbuf_add_json(out, str_of(name));
    strbuf_add_char(out, ':');
    if (ms == 0)
        strbuf_add_text(out, "null");
    else
        strbuf_add_json(out, str_of(clock_format(ms, text)));
}

void label_list_write(struct strbuf *out, const struct label_list *labels)
{
    strbuf_add_char(out, '{');
    for (size_t i = 0; i < labels->count; i++) {
        if (i)
            strbuf_add_char(out, ',');
        strbuf_add_json(out, labels->items[i].name);
        strbuf_add_char(out, ':');
        strbuf_add_json(out, labels->items[i].value);
    }
    strbuf_add_char(out, '}');
}

void alert_target_write(struct strbuf *out, const struct alert_target *target)
{
    strbuf_add_char(out, '{');
    add_pair(out, "cluster", target->cluster);
    strbuf_add_char(out, ',');
    add_pair(out, "namespace", target->namespace);
    strbuf_add_char(out, ',');
    add_pair(out, "kind", target->kind);
    strbuf_add_char(out, ',');
    add_pair(out, "name", target->name);
    strbuf_add_char(out, '}');
}

void alert_write_fields(struct strbuf *out, const struct alert *alert)
{
    const struct {
        const char *name;
        struct str value;
    } texts[] = {
        { "fingerprint", str_of(alert->fingerprint) },
        { "status", str_of(alert_status_names[alert->status]) },
        { "name", alert->name },
        { "severity", alert->severity_text },
        { "namespace", alert->namespace },
        { "resource", alert->resource },
        { "description", alert->description },
        { "generator_url", alert->generator_url },
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        add_pair(out, texts[i].name, texts[i].value);
        strbuf_add_char(out, ',');
    }
    add_time(out, "starts_at", alert->starts_at);
    strbuf_add_char(out, ',');
    add_time(out, "ends_at", alert->ends_at);
    strbuf_add_text(out, ",\"target\":");
    alert_target_write(out, &alert->target);
    strbuf_add_text(out, ",\"labels\":");
    label_list_write(out, &alert->labels);
    strbuf_add_text(out, ",\"annotations\":");
    label_list_write(out, &alert->annotations);
}
