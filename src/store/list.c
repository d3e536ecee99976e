#include "store/list.h"

#include <stdlib.h>

void list_where(struct list_query *query, const char *condition, struct value value)
{
    if (value.kind == VALUE_NULL)
        return;
    if (query->count == LIST_CONDITIONS_MAX)
        abort(); /* more conditions in the source than LIST_CONDITIONS_MAX */
    query->conditions[query->count] = condition;
    query->values[query->count++] = value;
}

static void add_condition(struct strbuf *sql, const char *condition, size_t at)
{
    const char *mark = strchr(condition, '?');
    strbuf_addf(sql, "%s(%.*s$%zu%s)", at ? " AND " : " WHERE ", (int)(mark - condition), condition, at + 1,
                mark + 1);
}

struct rows *list_run(struct tx *tx, const struct list_query *query, int64_t limit, struct error **err)
{
    AUTO(strbuf) struct strbuf sql = { 0 };
    strbuf_add_text(&sql, query->select);
    for (size_t i = 0; i < query->count; i++)
        add_condition(&sql, query->conditions[i], i);
    strbuf_addf(&sql, " ORDER BY %s", query->order ? query->order : "id DESC");
    if (limit > 0)
        strbuf_addf(&sql, " LIMIT %lld", (long long)limit);
    return tx_query_text(tx, strbuf_str(&sql), (struct values){ query->values, query->count }, err);
}
