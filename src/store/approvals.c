/* A person's word on an execution that policy does not allow by itself. */
#include <stdio.h>

#include "store/executions.h"
#include "store_sql.h"

bool approval_request(struct tx *tx, const char *execution_id, int64_t expires_at, const char *reason,
                      struct error **err)
{
    char id[ULID_LEN + 1];
    ulid_new(id);
    AUTO(strbuf) struct strbuf details = { 0 };
    strbuf_add_text(&details, "{\"asked_because\":");
    strbuf_add_json(&details, str_of(reason));
    strbuf_add_char(&details, '}');
    return tx_exec(tx, &approval_insert_sql,
                   VALUES(V_TEXT(id), V_TEXT(execution_id), V_INT(clock_utc_ms()), V_TIME(expires_at),
                          V_STR(strbuf_str(&details))),
                   err);
}

bool approval_get(struct tx *tx, struct arena *arena, const char *execution_id, struct approval *approval,
                  bool *found, struct error **err)
{
    AUTO(rows) struct rows *rows = tx_query(tx, &approval_get_sql, VALUES(V_TEXT(execution_id)), err);
    *approval = (struct approval){ .state = "" };
    if (!rows || !rows_next(rows, found, err))
        return false;
    if (!*found)
        return true;
    snprintf(approval->id, sizeof approval->id, STR_FMT, STR_ARG(rows_text(rows, 0)));
    snprintf(approval->execution_id, sizeof approval->execution_id, STR_FMT, STR_ARG(rows_text(rows, 1)));
    approval->state = arena_text(arena, rows_text(rows, 2));
    approval->requested_at = rows_int(rows, 3);
    approval->expires_at = rows_int(rows, 4);
    approval->decided_at = rows_int(rows, 5);
    approval->decided_by = arena_text(arena, rows_text(rows, 6));
    approval->reason = arena_text(arena, rows_text(rows, 7));
    return true;
}

bool approval_decide(struct tx *tx, const char *id, const char *state, const char *by, const char *reason,
                     bool *decided, struct error **err)
{
    int64_t changed = 0;
    if (!tx_exec_count(tx, &approval_decide_sql,
                       VALUES(V_TEXT(id), V_TEXT(state), V_INT(clock_utc_ms()), V_TEXT(by), V_TEXT(reason)),
                       &changed, err))
        return false;
    *decided = changed == 1;
    return true;
}

bool approval_expired(struct tx *tx, struct arena *arena, struct id_list *ids, struct error **err)
{
    enum { PAGE = 20 };
    AUTO(rows) struct rows *rows = tx_query(tx, &approval_expired_sql, VALUES(V_INT(clock_utc_ms())), err);
    bool more = rows != NULL;
    *ids = (struct id_list){ .items = ARENA_ARRAY(arena, const char *, PAGE) };
    while (more && rows_next(rows, &more, err)) {
        if (!more)
            return true;
        if (ids->count < PAGE)
            ids->items[ids->count++] = arena_text(arena, rows_text(rows, 0));
    }
    return false;
}
