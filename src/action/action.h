/* The catalogue of the 27 actions: data only, one row each. The prompt, the schema for remote providers, the decoding
 * automaton, policy, the manual and `actions list|show` all come from it; what an action does is in executor/, in a
 * table of its own indexed by the same enum. */
#ifndef ACTION_ACTION_H
#define ACTION_ACTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <yyjson.h>

#include "base/error.h"
#include "base/str.h"

enum action {
    ACTION_SCALE_DEPLOYMENT,
    ACTION_RESTART_POD,
    ACTION_INCREASE_RESOURCES,
    ACTION_NOTIFY_ONLY,
    ACTION_ROLLBACK_DEPLOYMENT,
    ACTION_EXPAND_PVC,
    ACTION_DRAIN_NODE,
    ACTION_QUARANTINE_POD,
    ACTION_COLLECT_DIAGNOSTICS,
    ACTION_CLEANUP_STORAGE,
    ACTION_BACKUP_DATA,
    ACTION_COMPACT_STORAGE,
    ACTION_CORDON_NODE,
    ACTION_UPDATE_HPA,
    ACTION_RESTART_DAEMONSET,
    ACTION_ROTATE_SECRETS,
    ACTION_AUDIT_LOGS,
    ACTION_UPDATE_NETWORK_POLICY,
    ACTION_RESTART_NETWORK,
    ACTION_RESET_SERVICE_MESH,
    ACTION_FAILOVER_DATABASE,
    ACTION_REPAIR_DATABASE,
    ACTION_SCALE_STATEFULSET,
    ACTION_ENABLE_DEBUG_MODE,
    ACTION_CREATE_HEAP_DUMP,
    ACTION_OPTIMIZE_RESOURCES,
    ACTION_MIGRATE_WORKLOAD,
    ACTION_COUNT
};
#define ACTION_SET_ALL ((1u << ACTION_COUNT) - 1) /* a set of actions is a uint32_t of BIT(action) */

enum risk { RISK_LOW, RISK_MEDIUM, RISK_HIGH, RISK_CRITICAL, RISK_COUNT };

enum category {
    CATEGORY_CORE,
    CATEGORY_STORAGE,
    CATEGORY_LIFECYCLE,
    CATEGORY_SECURITY,
    CATEGORY_NETWORK,
    CATEGORY_DATABASE,
    CATEGORY_OBSERVABILITY,
    CATEGORY_RESOURCES,
    CATEGORY_COUNT
};

/* The kinds of object an action can be aimed at; KIND_NONE where it needs no object (notify_only). */
enum kind {
    KIND_NONE,
    KIND_POD,
    KIND_DEPLOYMENT,
    KIND_REPLICASET,
    KIND_STATEFULSET,
    KIND_DAEMONSET,
    KIND_JOB,
    KIND_CRONJOB,
    KIND_NODE,
    KIND_PVC,
    KIND_HPA,
    KIND_SERVICE,
    KIND_SECRET,
    KIND_CONFIGMAP,
    KIND_NETWORK_POLICY,
    KIND_NAMESPACE,
    KIND_DEPLOYMENT_CONFIG,
    KIND_DATABASE_CLUSTER, /* CloudNativePG Cluster */
    KIND_CERTIFICATE,      /* cert-manager */
    KIND_EXTERNAL_SECRET,
    KIND_COUNT
};

enum parameter_type {
    PARAMETER_INTEGER,
    PARAMETER_CPU,      /* a quantity in cores; bounds in thousandths */
    PARAMETER_BYTES,    /* a quantity in bytes; bounds in thousandths of a byte */
    PARAMETER_DURATION, /* "30m"; bounds in milliseconds */
    PARAMETER_CHOICE,   /* one of `choices` */
    PARAMETER_NAME,     /* an object's name: RFC 1123 subdomain */
    PARAMETER_PATH,     /* an absolute path of safe characters, without ".." */
    PARAMETER_TEXT      /* free text, bounded by max_len */
};

enum { ACTION_PARAMETERS_MAX = 8 };

struct action_parameter {
    const char *name;
    enum parameter_type type;
    bool required;
    int64_t minimum, maximum;   /* of the number types, in the unit said there */
    size_t max_len;             /* of PARAMETER_TEXT, in bytes */
    const char *fallback;       /* what an absent one becomes; NULL: it stays absent */
    const char *const *choices; /* of PARAMETER_CHOICE; ended by NULL */
    const char *help;
};

struct action_info {
    const char *name; /* "scale_deployment" */
    enum category category;
    enum risk risk;
    bool reversible;      /* executor/ has an inverse for it */
    uint32_t kinds;       /* BIT(kind) of what it applies to */
    const char *does;     /* what it does, a clause: "sets the number of replicas of …" */
    const char *when;     /* when it is the right first step */
    const char *not_when; /* when it is not */
    struct action_parameter parameters[ACTION_PARAMETERS_MAX]; /* ended by a NULL name */
};

extern const struct action_info actions[ACTION_COUNT];

bool action_parse(struct str name, enum action *action);
static inline const char *action_name(enum action action)
{
    return actions[action].name;
}
bool action_fits_kind(enum action action, enum kind kind);
const char *risk_name(enum risk risk); /* "low" … "critical" */
bool risk_parse(struct str name, enum risk *risk);
const char *category_name(enum category category);

/* Kinds by their Kubernetes name ("Deployment"), which kubectl's short and plural forms may stand for ("deploy",
 * "deployments", "pvc"), in any case. KIND_NONE is "". */
const char *kind_name(enum kind kind);
bool kind_parse(struct str name, enum kind *kind);
bool kind_is_namespaced(enum kind kind);

const struct action_parameter *action_parameter_find(enum action action,
                                                     struct str name); /* NULL: none such */

/* Bounds made narrower for one decision: by policy, and by the object's present state. */
struct parameter_bounds {
    const char *parameter;
    int64_t minimum, maximum; /* in the parameter's own unit */
};
struct action_bounds {
    struct parameter_bounds bounds[ACTION_PARAMETERS_MAX];
    size_t count;
};
/* The catalogue's bounds intersected with `narrow` (NULL: the catalogue's own). False if nothing is left. */
bool action_bounds_of(const struct action_parameter *parameter, const struct action_bounds *narrow,
                      int64_t *minimum, int64_t *maximum);

/* Check `given` (a JSON object, NULL for none) against the schema and write the canonical object into `doc`: known
 * names only, numbers as JSON integers, quantities and durations in canonical text, fallbacks filled in. Strings that
 * hold a number are read as one ("5"). Or NULL with ERROR_INVALID, which names the parameter and its bounds. */
yyjson_mut_val *action_parameters_check(enum action action, yyjson_val *given,
                                        const struct action_bounds *narrow, yyjson_mut_doc *doc,
                                        struct error **err);

/* The parameters of an action as a JSON Schema object, in the catalogue's order, additionalProperties false. Number
 * types are described as what the wire carries: integers, and strings for quantities and durations. */
yyjson_mut_val *action_schema(enum action action, const struct action_bounds *narrow, yyjson_mut_doc *doc);

/* One parameter's number from its canonical JSON value, in the parameter's own unit (see enum parameter_type). */
bool action_parameter_number(const struct action_parameter *parameter, yyjson_val *value, int64_t *number);

#endif
