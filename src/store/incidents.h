/* Incidents: alerts that share a target, worked on together. */
#ifndef STORE_INCIDENTS_H
#define STORE_INCIDENTS_H

#include "alert/alert.h"
#include "store/store.h"

enum incident_status { INCIDENT_OPEN, INCIDENT_RESOLVED, INCIDENT_STATUS_COUNT };
extern const char *const incident_status_names[INCIDENT_STATUS_COUNT];

struct incident {
    char id[ULID_LEN + 1];
    enum incident_status status;
    const char *target_key;     /* alert_target_key() of the target; one open incident a key */
    struct alert_target target; /* the owner of what its alerts name */
    struct str node;            /* on which they were seen; "" for none or several */
    const char *rule;           /* what joined its alerts: "target", or a correlation rule's name */
    struct str title;
    struct str severity; /* the most urgent of its alerts' */
    enum severity severity_rank;
    char root_alert_id[ULID_LEN + 1]; /* the candidate for the cause; "" for none */
    char parent_id[ULID_LEN + 1];     /* the incident that is thought to cause this one; "" for none */
    int64_t alerts, firing;
    bool flapping;
    struct str work;                            /* none, waiting, working, done: where its own work stands */
    int64_t opened_at, updated_at, resolved_at; /* UTC ms */
    const char *trace_id;
};

bool incident_get(struct tx *tx, struct arena *arena, const char *id, struct incident *incident,
                  struct error **err);
bool incident_find_open(struct tx *tx, struct arena *arena, const char *target_key, struct incident *incident,
                        bool *found, struct error **err);
/* The open incident, if any, that was given this key by incident_add_key() at or after `since`. */
bool incident_find_by_key(struct tx *tx, struct arena *arena, const char *key, int64_t since,
                          struct incident *incident, bool *found, struct error **err);
bool incident_add_key(struct tx *tx, const char *incident_id, const char *key, int64_t at,
                      struct error **err);

bool incident_insert(struct tx *tx, const struct incident *incident, struct error **err);
bool incident_update(struct tx *tx, const struct incident *incident, struct error **err);
/* Open incidents on this node, opened at or after `since`, become children of the node's own. */
bool incident_adopt(struct tx *tx, struct str node, const char *parent_id, int64_t since, struct error **err);
bool incident_set_work(struct tx *tx, const char *id, const char *work, struct error **err);

struct incident_query { /* NULL and 0: whatever */
    const char *status, *severity, *namespace, *kind, *name, *parent_id, *before_id;
    int64_t limit;
};
struct incidents {
    struct incident *items;
    size_t count;
};
bool incident_list(struct tx *tx, struct arena *arena, const struct incident_query *query,
                   struct incidents *incidents, struct error **err);

void incident_write_fields(struct strbuf *out, const struct incident *incident); /* without braces */

#endif
