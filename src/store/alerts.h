/* Alerts as they are kept: what was told of each, from its first delivery to its end. */
#ifndef STORE_ALERTS_H
#define STORE_ALERTS_H

#include "alert/alert.h"
#include "store/store.h"

enum { ALERT_CHANGES_MAX = 64 }; /* and the bound of intake.flap_changes */

struct alert_record {
    char id[ULID_LEN + 1];
    struct alert alert; /* as last told, but with the earliest start */
    struct str receiver, group_key;
    int64_t received_at, last_seen_at; /* UTC ms, our clock: first and latest delivery */
    int64_t deliveries;
    int64_t changes[ALERT_CHANGES_MAX]; /* when it last changed between firing and resolved, oldest first */
    size_t change_count;
    bool current; /* the latest with its fingerprint */
    bool flapping;
    bool filtered;                  /* no filter accepts it: kept, not worked on */
    char incident_id[ULID_LEN + 1]; /* "" for none */
    const char *trace_id;
};

/* The latest alert with this fingerprint, open or not. Texts live as long as the arena. */
bool alert_record_current(struct tx *tx, struct arena *arena, const char *fingerprint,
                          struct alert_record *record, bool *found, struct error **err);
bool alert_record_get(struct tx *tx, struct arena *arena, const char *id, struct alert_record *record,
                      struct error **err);

/* A new alert; it becomes the current one of its fingerprint. ERROR_EXISTS: another is current (alert_record_retire()). */
bool alert_record_insert(struct tx *tx, const struct alert_record *record, struct error **err);
bool alert_record_update(struct tx *tx, const struct alert_record *record, struct error **err);
bool alert_record_retire(struct tx *tx, const char *id, struct error **err);

/* The same delivery said again, nothing new in it but the time. */
bool alert_record_touch(struct tx *tx, const char *id, int64_t seen_at, struct error **err);

struct alert_query { /* NULL and 0: whatever */
    const char *status, *severity, *namespace, *name, *fingerprint, *incident_id, *before_id;
    int64_t silent_since; /* firing, and last seen before this; oldest first */
    int64_t limit;
};
struct alert_records {
    struct alert_record *items;
    size_t count;
};
bool alert_record_list(struct tx *tx, struct arena *arena, const struct alert_query *query,
                       struct alert_records *records, struct error **err);

/* {"id":…,…} as the API and the command line show it. */
void alert_record_write(struct strbuf *out, const struct alert_record *record);

#endif
