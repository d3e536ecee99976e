/* The table of alerts. Columns are named once, in the order in which they are read and written. */
#include "store/alerts.h"

#include <stdio.h>
#include <stdlib.h>

#include "store/list.h"
#include "store/store_internal.h"
#include "store_sql.h"

#define COLUMNS                                                                                               \
    "id, fingerprint, status, name, severity, namespace, resource, description, cluster, target_namespace, "  \
    "target_kind, target_name, labels, annotations, generator_url, receiver, group_key, starts_at, ends_at, " \
    "received_at, last_seen_at, deliveries, changes, flapping, filtered, incident_id, trace_id, current"

static void copy_text(char *to, size_t size, struct str from)
{
    snprintf(to, size, STR_FMT, STR_ARG(from));
}

static void read_changes(struct str text, struct alert_record *record)
{
    struct str part;
    while (record->change_count < ALERT_CHANGES_MAX && str_split(&text, ' ', &part))
        if (str_to_i64(part, &record->changes[record->change_count]))
            record->change_count++;
}

static const char *write_changes(const struct alert_record *record, struct strbuf *out)
{
    strbuf_add_text(out, "");
    for (size_t i = 0; i < record->change_count; i++)
        strbuf_addf(out, "%s%lld", i ? " " : "", (long long)record->changes[i]);
    return out->ptr ? out->ptr : "";
}

static bool read_alert(struct rows *rows, struct arena *arena, struct alert *alert, struct error **err)
{
    copy_text(alert->fingerprint, sizeof alert->fingerprint, rows_text(rows, 1));
    alert->status = str_eq(rows_text(rows, 2), STR("resolved")) ? ALERT_RESOLVED : ALERT_FIRING;
    struct str *const texts[] = {
        [3] = &alert->name,
        [4] = &alert->severity_text,
        [5] = &alert->namespace,
        [6] = &alert->resource,
        [7] = &alert->description,
        [8] = &alert->target.cluster,
        [9] = &alert->target.namespace,
        [10] = &alert->target.kind,
        [11] = &alert->target.name,
        [14] = &alert->generator_url,
    };
    for (int i = 3; i < (int)ARRAY_LEN(texts); i++)
        if (texts[i])
            *texts[i] = rows_keep(rows, i, arena);
    alert->severity = severity_of(alert->severity_text);
    alert->starts_at = rows_int(rows, 17);
    alert->ends_at = rows_int(rows, 18);
    return label_list_parse(arena, rows_text(rows, 12), &alert->labels, err) &&
           label_list_parse(arena, rows_text(rows, 13), &alert->annotations, err);
}

static bool read_record(struct rows *rows, struct arena *arena, struct alert_record *record,
                        struct error **err)
{
    *record = (struct alert_record){ 0 };
    copy_text(record->id, sizeof record->id, rows_text(rows, 0));
    record->receiver = rows_keep(rows, 15, arena);
    record->group_key = rows_keep(rows, 16, arena);
    record->received_at = rows_int(rows, 19);
    record->last_seen_at = rows_int(rows, 20);
    record->deliveries = rows_int(rows, 21);
    read_changes(rows_text(rows, 22), record);
    record->flapping = rows_int(rows, 23);
    record->filtered = rows_int(rows, 24);
    copy_text(record->incident_id, sizeof record->incident_id, rows_text(rows, 25));
    record->trace_id = arena_text(arena, rows_text(rows, 26));
    record->current = rows_int(rows, 27);
    return read_alert(rows, arena, &record->alert, err) || error_wrap(err, "alert %s", record->id);
}

static bool read_one(struct tx *tx, struct arena *arena, const struct str *sql, const char *key,
                     struct alert_record *record, bool *found, struct error **err)
{
    AUTO(rows) struct rows *rows = tx_query(tx, sql, VALUES(V_TEXT(key)), err);
    return rows && rows_next(rows, found, err) && (!*found || read_record(rows, arena, record, err));
}

bool alert_record_current(struct tx *tx, struct arena *arena, const char *fingerprint,
                          struct alert_record *record, bool *found, struct error **err)
{
    return read_one(tx, arena, SQL_LOCKED(tx, alert_current), fingerprint, record, found, err);
}

bool alert_record_get(struct tx *tx, struct arena *arena, const char *id, struct alert_record *record,
                      struct error **err)
{
    bool found = false;
    return read_one(tx, arena, &alert_get_sql, id, record, &found, err) &&
           (found || error_set(err, ERROR_NOT_FOUND, "there is no alert %.40s", id));
}

bool alert_record_insert(struct tx *tx, const struct alert_record *record, struct error **err)
{
    const struct alert *alert = &record->alert;
    AUTO(strbuf) struct strbuf labels = { 0 };
    AUTO(strbuf) struct strbuf annotations = { 0 };
    AUTO(strbuf) struct strbuf changes = { 0 };
    label_list_write(&labels, &alert->labels);
    label_list_write(&annotations, &alert->annotations);
    return tx_post(
        tx, &alert_insert_sql,
        VALUES(V_TEXT(record->id), V_TEXT(alert->fingerprint), V_TEXT(alert_status_names[alert->status]),
               V_STR(alert->name), V_STR(alert->severity_text), V_INT(alert->severity),
               V_STR(alert->namespace), V_STR(alert->resource), V_STR(alert->description),
               V_STR(alert->target.cluster), V_STR(alert->target.namespace), V_STR(alert->target.kind),
               V_STR(alert->target.name), V_STR(strbuf_str(&labels)), V_STR(strbuf_str(&annotations)),
               V_STR(alert->generator_url), V_STR(record->receiver), V_STR(record->group_key),
               V_TIME(alert->starts_at), V_TIME(alert->ends_at), V_INT(record->received_at),
               V_INT(record->last_seen_at), V_BOOL(record->filtered),
               V_TEXT(record->incident_id[0] ? record->incident_id : NULL), V_TEXT(record->trace_id),
               V_TEXT(write_changes(record, &changes)), V_BOOL(record->flapping)),
        NULL, err);
}

bool alert_record_update(struct tx *tx, const struct alert_record *record, struct error **err)
{
    const struct alert *alert = &record->alert;
    AUTO(strbuf) struct strbuf annotations = { 0 };
    AUTO(strbuf) struct strbuf changes = { 0 };
    label_list_write(&annotations, &alert->annotations);
    return tx_post(
        tx, &alert_update_sql,
        VALUES(V_TEXT(record->id), V_TEXT(alert_status_names[alert->status]), V_STR(alert->description),
               V_STR(strbuf_str(&annotations)), V_STR(alert->generator_url), V_STR(record->receiver),
               V_STR(record->group_key), V_TIME(alert->starts_at), V_TIME(alert->ends_at),
               V_INT(record->last_seen_at), V_INT(record->deliveries),
               V_TEXT(write_changes(record, &changes)), V_BOOL(record->flapping), V_BOOL(record->filtered),
               V_TEXT(record->incident_id[0] ? record->incident_id : NULL), V_TEXT(record->trace_id)),
        NULL, err);
}

bool alert_record_retire(struct tx *tx, const char *id, struct error **err)
{
    return tx_post(tx, &alert_retire_sql, VALUES(V_TEXT(id)), NULL, err);
}

bool alert_record_touch(struct tx *tx, const char *id, int64_t seen_at, struct error **err)
{
    return tx_post(tx, &alert_touch_sql, VALUES(V_TEXT(id), V_INT(seen_at)), NULL, err);
}

bool alert_record_list(struct tx *tx, struct arena *arena, const struct alert_query *query,
                       struct alert_records *records, struct error **err)
{
    struct list_query list = { .select = "SELECT " COLUMNS " FROM alerts" };
    list_where(&list, "status = ?", V_TEXT(query->status));
    list_where(&list, "lower(severity) = lower(?)", V_TEXT(query->severity));
    list_where(&list, "namespace = ?", V_TEXT(query->namespace));
    list_where(&list, "name = ?", V_TEXT(query->name));
    list_where(&list, "fingerprint = ?", V_TEXT(query->fingerprint));
    list_where(&list, "incident_id = ?", V_TEXT(query->incident_id));
    list_where(&list, "id < ?", V_TEXT(query->before_id));
    list_where(&list, "status = 'firing' AND last_seen_at < ?", V_TIME(query->silent_since));
    list.order = query->silent_since ? "last_seen_at" : NULL;
    AUTO(rows) struct rows *rows = list_run(tx, &list, query->limit, err);
    size_t room = 0;
    bool more = rows != NULL;
    *records = (struct alert_records){ 0 };
    while (more && rows_next(rows, &more, err)) {
        if (!more)
            return true;
        if (records->count == room) {
            struct alert_record *old = records->items;
            room = room ? room * 2 : 32;
            records->items = ARENA_ARRAY(arena, struct alert_record, room);
            if (old)
                memcpy(records->items, old, records->count * sizeof *old);
        }
        if (!read_record(rows, arena, &records->items[records->count++], err))
            return false;
    }
    return false;
}

static void add_time(struct strbuf *out, const char *name, int64_t ms)
{
    char text[CLOCK_TEXT_MAX];
    strbuf_addf(out, ",\"%s\":\"%s\"", name, clock_format(ms, text));
}

static void add_text(struct strbuf *out, const char *name, struct str value)
{
    strbuf_addf(out, ",\"%s\":", name);
    strbuf_add_json(out, value);
}

void alert_record_write(struct strbuf *out, const struct alert_record *record)
{
    strbuf_addf(out, "{\"id\":\"%s\",", record->id);
    alert_write_fields(out, &record->alert);
    add_text(out, "receiver", record->receiver);
    add_text(out, "group_key", record->group_key);
    add_time(out, "received_at", record->received_at);
    add_time(out, "last_seen_at", record->last_seen_at);
    strbuf_addf(out, ",\"deliveries\":%lld,\"flapping\":%s,\"filtered\":%s,\"incident_id\":",
                (long long)record->deliveries, record->flapping ? "true" : "false",
                record->filtered ? "true" : "false");
    if (record->incident_id[0])
        strbuf_add_json(out, str_of(record->incident_id));
    else
        strbuf_add_text(out, "null");
    add_text(out, "trace_id", str_of(record->trace_id));
    strbuf_add_char(out, '}');
}
