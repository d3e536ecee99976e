/* The alert: one Alertmanager alert, read from what a sender posted, checked and normalised. Its identity is its
 * fingerprint, the hash of its labels. Wire format: Alertmanager's webhook (version "4") and its API v2 list. */
#ifndef ALERT_ALERT_H
#define ALERT_ALERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"

enum {
    ALERT_LABELS_MAX = 512,       /* labels, and as many annotations, of one alert */
    ALERT_NAME_MAX = 1024,        /* bytes in a label's name */
    ALERT_VALUE_MAX = 256 * 1024, /* bytes in a value */
    ALERT_DEPTH_MAX = 32,         /* of fields that we do not know */
    ALERT_FINGERPRINT_MAX = 64,
};

enum alert_status { ALERT_FIRING, ALERT_RESOLVED, ALERT_STATUS_COUNT };
extern const char *const alert_status_names[ALERT_STATUS_COUNT];

/* In order of urgency: what is taken first from the inbox. */
enum severity {
    SEVERITY_CRITICAL,
    SEVERITY_WARNING,
    SEVERITY_INFO,
    SEVERITY_NONE,
    SEVERITY_OTHER,
    SEVERITY_COUNT
};
extern const char *const severity_names[SEVERITY_COUNT];
enum severity
severity_of(struct str text); /* in any case of letters; what is none of them is SEVERITY_OTHER */

struct label {
    struct str name, value;
};

struct label_list { /* sorted by name, no name twice */
    struct label *items;
    size_t count;
};

struct str label_get(const struct label_list *labels, struct str name); /* "" where it is not there */

/* What an alert is about, guessed from its labels: the Kubernetes object that it names most closely. */
struct alert_target {
    struct str cluster, namespace, kind, name; /* kind and name "" where no label names an object */
};

struct alert {
    char fingerprint[ALERT_FINGERPRINT_MAX + 1];
    enum alert_status status;
    struct label_list labels, annotations;
    int64_t starts_at; /* UTC ms; 0 where it was absent or the zero time */
    int64_t ends_at;   /* UTC ms; 0 while firing */
    struct str generator_url;

    /* Made of the above by alert_normalise(). */
    struct str name, namespace, resource, description;
    struct str severity_text; /* as the sender wrote it, or "info" */
    enum severity severity;
    struct alert_target target;
};

struct alert_payload {
    struct alert *alerts;
    size_t count;
    struct str receiver, group_key, external_url;
    struct label_list group_labels;
    uint64_t truncated;     /* alerts that max_alerts cut off */
    enum severity severity; /* the most urgent one among the alerts */
};

/* Read a body: Alertmanager's webhook payload, its API's list of alerts, or one alert alone. Unknown fields are
 * ignored, absent ones tolerated, a NUL within a text becomes U+FFFD. The alerts come out normalised. False with
 *   ERROR_INVALID   not JSON, not UTF-8, a wrong type, a key twice, another version than "4", deeper than
 *                   ALERT_DEPTH_MAX
 *   ERROR_LIMIT     too many labels, a name or a value that is too long
 * and a message that says where. Everything lives as long as the arena; `body` may go. */
bool alert_parse(struct arena *arena, struct str body, struct alert_payload *payload, struct error **err);

/* The same for a webhook: an object with "version": "4" and a list "alerts" is asked for. */
bool alert_parse_webhook(struct arena *arena, struct str body, struct alert_payload *payload,
                         struct error **err);

/* {"name":"value",…} as it is stored: labels or annotations. */
bool label_list_parse(struct arena *arena, struct str json, struct label_list *labels, struct error **err);

/* Fill in name, severity, namespace, resource, description and target from labels and annotations. */
void alert_normalise(struct arena *arena, struct alert *alert);

/* The hash that Prometheus gives a label set: FNV-1a, 64 bit, over name 0xff value 0xff in order; 16 hex digits. */
void alert_fingerprint(const struct label_list *labels, char text[17]);

/* The object that the labels name most closely; borrowed from the labels. */
struct alert_target alert_target_of(const struct label_list *labels);

/* All that the labels name, the closest first, at most `max`; the count. */
size_t alert_targets_of(const struct label_list *labels, struct alert_target *targets, size_t max);

/* The workload that a pod belongs to, by the way Kubernetes names pods: "web-5d4f7c9b8d-x2x4z" is Deployment web,
 * "db-0" StatefulSet db. Targets of another kind are their own owner. */
struct alert_target alert_target_owner(const struct alert_target *target);

/* "cluster/namespace/Kind/name", of what is known. */
char *alert_target_key(struct arena *arena, const struct alert_target *target);

/* JSON. */
void label_list_write(struct strbuf *out, const struct label_list *labels);
void alert_target_write(struct strbuf *out, const struct alert_target *target);
void alert_write_fields(struct strbuf *out, const struct alert *alert); /* "fingerprint":…,… without braces */

#endif
