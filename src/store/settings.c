#include "store/settings.h"

#include "store_sql.h"

bool setting_get(struct tx *tx, struct arena *arena, const char *name, struct str *value, bool *found,
                 struct error **err)
{
    AUTO(rows) struct rows *rows = tx_query(tx, &setting_get_sql, VALUES(V_TEXT(name)), err);
    if (!rows || !rows_next(rows, found, err))
        return false;
    if (*found)
        *value = rows_keep(rows, 0, arena);
    return true;
}

bool setting_set(struct tx *tx, const char *name, struct str value, struct error **err)
{
    return tx_exec(tx, &setting_set_sql, VALUES(V_TEXT(name), V_STR(value), V_INT(clock_utc_ms())), err);
}

bool setting_delete(struct tx *tx, const char *name, struct error **err)
{
    return tx_exec(tx, &setting_delete_sql, VALUES(V_TEXT(name)), err);
}
