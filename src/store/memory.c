#include "store/memory.h"

#include <math.h>

#include "store_sql.h"

static double decay(int64_t age_ms, int64_t half_life_ms)
{
    return half_life_ms > 0 && age_ms > 0 ? exp2(-(double)age_ms / (double)half_life_ms) : 1;
}

struct rate rate_at(const struct rate *rate, int64_t now, int64_t half_life_ms)
{
    double factor = decay(now - rate->as_of, half_life_ms);
    return (struct rate){ rate->helped * factor, rate->tried * factor, rate->cases, MAX(now, rate->as_of) };
}

static bool add_at(struct tx *tx, const struct outcome *o, const char *alert_name, const char *kind,
                   const char *namespace, struct error **err)
{
    return tx_exec(tx, &rate_add_sql,
                   VALUES(V_TEXT(alert_name), V_TEXT(kind), V_TEXT(namespace), V_TEXT(action_name(o->action)),
                          V_NUM(o->score * o->weight), V_NUM(o->weight), V_INT(o->at),
                          V_NUM((double)o->half_life_ms)),
                   err);
}

bool rates_add(struct tx *tx, const struct outcome *o, struct error **err)
{
    return add_at(tx, o, "", "", "", err) && (!*o->alert_name || add_at(tx, o, o->alert_name, "", "", err)) &&
           (!*o->alert_name || !*o->kind || add_at(tx, o, o->alert_name, o->kind, "", err)) &&
           (!*o->alert_name || !*o->kind || !*o->namespace ||
            add_at(tx, o, o->alert_name, o->kind, o->namespace, err));
}

bool rates_get(struct tx *tx, const char *alert_name, const char *kind, const char *namespace,
               struct rates *rates, struct error **err)
{
    AUTO(rows)
    struct rows *rows =
        tx_query(tx, &rates_get_sql, VALUES(V_TEXT(alert_name), V_TEXT(kind), V_TEXT(namespace)), err);
    bool more = rows != NULL;
    *rates = (struct rates){ 0 };
    while (more && rows_next(rows, &more, err)) {
        enum action action;
        if (!more)
            return true;
        int64_t level = rows_int(rows, 1);
        if (!action_parse(rows_text(rows, 0), &action) || level < 0 || level >= RATE_LEVEL_COUNT ||
            (level > 0 && !*alert_name))
            continue;
        rates->at[level][action] =
            (struct rate){ rows_number(rows, 2), rows_number(rows, 3), rows_int(rows, 4), rows_int(rows, 5) };
    }
    return false;
}

#define AT(field) offsetof(struct calibration_record, field)
static const struct column calibration_columns[] = {
    { "execution_id", COLUMN_ID, AT(execution_id), true },
    { "decision_id", COLUMN_ID, AT(decision_id) },
    { "at", COLUMN_TIME, AT(at), true },
    { "provider", COLUMN_TEXT, AT(provider), true },
    { "model", COLUMN_TEXT, AT(model), true },
    { "action", COLUMN_TEXT, AT(action), true },
    { "alert_name", COLUMN_TEXT, AT(alert_name), true },
    { "confidence", COLUMN_NUMBER, AT(confidence) },
    { "predicted", COLUMN_NUMBER, AT(predicted) },
    { "score", COLUMN_NUMBER, AT(score), true },
    { "weight", COLUMN_NUMBER, AT(weight), true },
    { 0 },
};
#undef AT
static struct table_text calibration_text;
const struct table calibration_table = { "calibration", "execution_id", calibration_columns,
                                         &calibration_text };

bool calibration_add(struct tx *tx, const struct calibration_record *c, struct error **err)
{
    return tx_exec(tx, &calibration_add_sql,
                   VALUES(V_TEXT(c->execution_id), V_TEXT(c->decision_id[0] ? c->decision_id : NULL),
                          V_INT(c->at), V_TEXT(c->provider), V_TEXT(c->model), V_TEXT(c->action),
                          V_TEXT(c->alert_name), isnan(c->confidence) ? V_NULL : V_NUM(c->confidence),
                          isnan(c->predicted) ? V_NULL : V_NUM(c->predicted), V_NUM(c->score),
                          V_NUM(c->weight)),
                   err);
}
