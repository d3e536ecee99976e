/* What the files of history/ tell each other. */
#ifndef HISTORY_HISTORY_INTERNAL_H
#define HISTORY_HISTORY_INTERNAL_H

#include "alert/alert.h"
#include "history/history.h"
#include "store/table.h"

/* past.c */
struct past_wanted {
    const struct history_target *target;
    int64_t since, now;
    size_t max; /* 0: as many as there may be */
};
bool past_read(struct tx *tx, struct arena *arena, const struct past_wanted *wanted, struct past **past,
               size_t *count, struct error **err);
bool past_alerts_read(struct tx *tx, struct arena *arena, const struct past_wanted *wanted,
                      struct past_alert **alerts, size_t *count, struct error **err);
int64_t past_replicas_asked(struct str parameters); /* -1: none */
struct alert_target history_owner(const struct history_target *target);

/* context.c */
bool oscillation_input_read(struct tx *tx, struct arena *arena, const struct config *config,
                            const struct history_target *target, struct oscillation_input *input,
                            struct error **err);

/* predict.c */
bool cases_read(struct tx *tx, struct arena *arena, const char *alert_name, enum action action, size_t max,
                const char **ids, size_t *count, struct error **err);

/* tables.c: what an export holds, in an order in which it can be read in again. */
extern const struct table *const history_tables[]; /* ended by NULL */
const struct table *history_table(struct str name);

/* JSON by pieces. */
void history_json_text(struct strbuf *out, const char *name, const char *text); /* ,"name":"text" or null */
void history_json_number(struct strbuf *out, const char *name, double number);  /* NAN is null */
void history_json_int(struct strbuf *out, const char *name, int64_t number);
void history_json_time(struct strbuf *out, const char *name, int64_t ms); /* 0 is null */

#endif
