#include "api/api_internal.h"

enum { ARENA_BLOCK = 64 * 1024 };

/* "next_cursor": the id of the page's last row where there is more, else null. */
static void end_list(struct strbuf *out, const char *cursor)
{
    strbuf_add_text(out, "],\"next_cursor\":");
    if (cursor)
        strbuf_add_json(out, str_of(cursor));
    else
        strbuf_add_text(out, "null");
    strbuf_add_char(out, '}');
}

/* One row more than asked for tells whether there is a next page. */
static size_t page_of(size_t count, int64_t limit, bool *more)
{
    *more = limit > 0 && count > (size_t)limit;
    return *more ? (size_t)limit : count;
}

bool api_write_alerts(struct store *store, const struct alert_query *query, struct strbuf *out,
                      struct error **err)
{
    AUTO(arena) struct arena *arena = arena_new(ARENA_BLOCK);
    AUTO(tx) struct tx *tx = tx_begin(store, TX_READ, err);
    struct alert_query asked = *query;
    struct alert_records records;
    bool more;
    asked.limit = query->limit ? query->limit + 1 : 0;
    if (!tx || !alert_record_list(tx, arena, &asked, &records, err))
        return false;
    size_t count = page_of(records.count, query->limit, &more);
    strbuf_add_text(out, "{\"alerts\":[");
    for (size_t i = 0; i < count; i++) {
        if (i)
            strbuf_add_char(out, ',');
        alert_record_write(out, &records.items[i]);
    }
    end_list(out, more ? records.items[count - 1].id : NULL);
    return true;
}

bool api_write_incidents(struct store *store, const struct incident_query *query, struct strbuf *out,
                         struct error **err)
{
    AUTO(arena) struct arena *arena = arena_new(ARENA_BLOCK);
    AUTO(tx) struct tx *tx = tx_begin(store, TX_READ, err);
    struct incident_query asked = *query;
    struct incidents incidents;
    bool more;
    asked.limit = query->limit ? query->limit + 1 : 0;
    if (!tx || !incident_list(tx, arena, &asked, &incidents, err))
        return false;
    size_t count = page_of(incidents.count, query->limit, &more);
    strbuf_add_text(out, "{\"incidents\":[");
    for (size_t i = 0; i < count; i++) {
        strbuf_add_text(out, i ? ",{" : "{");
        incident_write_fields(out, &incidents.items[i]);
        if (!story_write_latest(tx, incidents.items[i].id, out, err))
            return false;
        strbuf_add_char(out, '}');
    }
    end_list(out, more ? incidents.items[count - 1].id : NULL);
    return true;
}

bool api_write_alert(struct store *store, const char *id, struct strbuf *out, struct error **err)
{
    AUTO(arena) struct arena *arena = arena_new(ARENA_BLOCK);
    AUTO(tx) struct tx *tx = tx_begin(store, TX_READ, err);
    struct alert_record record;
    if (!tx || !alert_record_get(tx, arena, id, &record, err))
        return false;
    alert_record_write(out, &record);
    return true;
}

static void add_alerts(struct strbuf *out, const struct alert_records *records)
{
    strbuf_add_text(out, ",\"alerts\":[");
    for (size_t i = 0; i < records->count; i++) {
        if (i)
            strbuf_add_char(out, ',');
        alert_record_write(out, &records->items[i]);
    }
    strbuf_add_char(out, ']');
}

bool api_write_incident(struct store *store, const char *id, struct strbuf *out, struct error **err)
{
    AUTO(arena) struct arena *arena = arena_new(ARENA_BLOCK);
    AUTO(tx) struct tx *tx = tx_begin(store, TX_READ, err);
    const struct alert_query its_alerts = { .incident_id = id, .limit = API_LIMIT_MAX };
    struct incident incident;
    struct alert_records records;
    if (!tx || !incident_get(tx, arena, id, &incident, err) ||
        !alert_record_list(tx, arena, &its_alerts, &records, err))
        return false;
    strbuf_add_char(out, '{');
    incident_write_fields(out, &incident);
    add_alerts(out, &records);
    if (!story_write_latest(tx, id, out, err) || !story_write_all(tx, id, out, err))
        return false;
    strbuf_add_char(out, '}');
    return true;
}
