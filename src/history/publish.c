/* The thresholds in force, written down for those who ask by SQL. */
#include "history/history_internal.h"

#include <math.h>
#include <stdio.h>

#include "history_sql.h"
#include "store/settings.h"

void history_json_text(struct strbuf *out, const char *name, const char *text)
{
    strbuf_addf(out, ",\"%s\":", name);
    if (text)
        strbuf_add_json(out, str_of(text));
    else
        strbuf_add_text(out, "null");
}

void history_json_number(struct strbuf *out, const char *name, double number)
{
    if (isnan(number))
        strbuf_addf(out, ",\"%s\":null", name);
    else
        strbuf_addf(out, ",\"%s\":%.6g", name, number);
}

void history_json_int(struct strbuf *out, const char *name, int64_t number)
{
    strbuf_addf(out, ",\"%s\":%lld", name, (long long)number);
}

void history_json_time(struct strbuf *out, const char *name, int64_t ms)
{
    char text[CLOCK_TEXT_MAX];
    history_json_text(out, name, ms ? clock_format(ms, text) : NULL);
}

static void add_band(struct strbuf *out, const char *name, const struct config_band *band)
{
    strbuf_addf(out, "%s\"%s\":{\"at_least\":%g,\"within_minutes\":%g,\"score_below\":%g}",
                out->len > 1 ? "," : "", name, band->at_least, (double)band->within_ms / 60000,
                band->score_below);
}

static void add_cascade(struct strbuf *out, const char *name, const struct config_cascade_band *band)
{
    strbuf_addf(out, "%s\"%s\":{\"new_alerts\":%g,\"recurrence\":%g}", out->len > 1 ? "," : "", name,
                band->new_alerts, band->recurrence);
}

static double add_thresholds(struct strbuf *out, const struct config_oscillation *config,
                             enum pattern pattern)
{
    const struct config_detector *detector = detector_of(config, pattern);
    strbuf_add_char(out, '{');
    if (detector) {
        add_band(out, "critical", &detector->critical);
        add_band(out, "high", &detector->high);
        add_band(out, "medium", &detector->medium);
        add_band(out, "low", &detector->low);
    } else {
        add_cascade(out, "critical", &config->cascade_critical);
        add_cascade(out, "high", &config->cascade_high);
        add_cascade(out, "medium", &config->cascade_medium);
    }
    strbuf_add_char(out, '}');
    return detector ? detector->low.at_least : 1;
}

static bool publish_rule(struct tx *tx, const struct config_oscillation *config, enum pattern pattern,
                         struct error **err)
{
    AUTO(strbuf) struct strbuf thresholds = { 0 }, names = { 0 };
    double minimum = add_thresholds(&thresholds, config, pattern);
    for (int action = 0; action < ACTION_COUNT; action++)
        if (pattern_actions(pattern) & BIT(action))
            strbuf_addf(&names, "%s\"%s\"", names.len ? "," : "[", action_name(action));
    strbuf_add_char(&names, ']');
    return tx_exec(tx, &rule_set_sql,
                   VALUES(V_TEXT(pattern_names[pattern]), V_TEXT(pattern_descriptions[pattern]),
                          V_NUM(minimum), V_INT(config->window_ms), V_STR(strbuf_str(&names)),
                          V_STR(strbuf_str(&thresholds)), V_TEXT("by-severity"), V_INT(clock_utc_ms())),
                   err);
}

static bool publish_number(struct tx *tx, const char *name, int64_t number, struct error **err)
{
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)number);
    return setting_set(tx, name, str_of(text), err);
}

bool history_publish(struct store *store, const struct config *config, struct error **err)
{
    AUTO(tx) struct tx *tx = tx_begin(store, TX_WRITE, err);
    if (!tx || !publish_number(tx, "history.max_actions", config->history.max_actions, err) ||
        !publish_number(tx, "history.max_age_days", config->history.max_age_ms / 86400000, err))
        return false;
    for (int pattern = 0; pattern < PATTERN_COUNT; pattern++)
        if (!publish_rule(tx, &config->oscillation, pattern, err))
            return false;
    return tx_commit(STEAL(tx), err);
}
