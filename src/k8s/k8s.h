/* A client of the Kubernetes API: credentials, typed calls, patches, eviction, watches, exec, leases, discovery; and
 * what is asked of a cluster again and again: who owns an object, who owns a field, how an object is doing.
 *
 *     AUTO(k8s) struct k8s *k8s = k8s_open(&(struct k8s_options){ .kubeconfig = path }, err);
 *     struct k8s_ref web = { &k8s_deployments, "shop", "web" };
 *     AUTO(k8s_object) struct k8s_object *seen = k8s_get(k8s, &web, NULL, err);
 *     AUTO(k8s_object) struct k8s_object *now = k8s_patch(k8s, &web, K8S_PATCH_MERGE, body,
 *         &(struct k8s_write){ .dry_run = true, .answer = &answer }, err);
 *
 * A client, and every session of it, may be used by any number of threads. Calls wait; each has a deadline.
 * Wire format: docs of Kubernetes "API concepts"; what a 1.36 server really answers is in docs/kubernetes.md. */
#ifndef K8S_K8S_H
#define K8S_K8S_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <yyjson.h>

#include "base/base.h"

struct k8s;
struct k8s_call;
struct k8s_answer;

/* ---- Kinds and objects -------------------------------------------------------------------------------------- */

/* A kind of object as the API serves it. Those below are constants; others come from k8s_discover(). */
struct k8s_resource {
    const char *group, *version; /* group "" for the core group */
    const char *plural, *kind;   /* "deployments", "Deployment" */
    bool namespaced;
};

extern const struct k8s_resource k8s_pods, k8s_services, k8s_nodes, k8s_namespaces, k8s_configmaps,
    k8s_secrets, k8s_events, k8s_pvcs, k8s_pvs, k8s_replication_controllers, k8s_resource_quotas,
    k8s_limit_ranges, k8s_service_accounts, k8s_deployments, k8s_replicasets, k8s_statefulsets,
    k8s_daemonsets, k8s_controller_revisions, k8s_jobs, k8s_cronjobs, k8s_hpas, k8s_pdbs, k8s_endpoint_slices,
    k8s_leases, k8s_network_policies, k8s_storage_classes, k8s_crds, k8s_cluster_roles, k8s_roles,
    k8s_cluster_role_bindings, k8s_role_bindings;
/* Of operators: there only where discovery says so; see k8s_discover(). */
extern const struct k8s_resource k8s_volume_snapshots, k8s_cnpg_clusters, k8s_cnpg_backups,
    k8s_velero_backups, k8s_certificates, k8s_external_secrets, k8s_vpas, k8s_scaled_objects,
    k8s_argo_applications, k8s_deployment_configs, k8s_routes;

/* The constant of that kind ("Deployment"), NULL if it is none of the above. */
const struct k8s_resource *k8s_resource_of_kind(const char *kind);
/* The same by apiVersion and kind, as ownerReferences name them; any version of a group fits. */
const struct k8s_resource *k8s_resource_of(const char *api_version, const char *kind);

struct k8s_ref { /* which object; everything borrowed */
    const struct k8s_resource *resource;
    const char *namespace, *name; /* namespace NULL or "" where the kind has none */
    const char *subresource; /* "scale", "status", "resize", "ephemeralcontainers"; NULL: the object itself */
};
/* "Deployment shop/web", for messages and records. */
const char *k8s_ref_text(const struct k8s_ref *ref, char text[640]);
/* A name or namespace that the API would take: RFC 1123 subdomain or label. ERROR_INVALID says what is wrong. */
bool k8s_check_name(const char *name, struct error **err);
bool k8s_check_namespace(const char *name, struct error **err);

struct k8s_object {
    yyjson_doc *doc;
    yyjson_val *root;
    const char *namespace, *name, *uid, *resource_version; /* borrowed from the document; "" where absent */
};
void k8s_object_free(struct k8s_object *object);
static inline void k8s_object_cleanup(struct k8s_object **object)
{
    k8s_object_free(*object);
}
struct k8s_object *k8s_object_parse(struct str json,
                                    struct error **err); /* copies; limits on size and depth */

/* Parts of an object by JSON Pointer ("/spec/replicas", RFC 6901; "~1" is a slash in a key). */
yyjson_val *k8s_at(yyjson_val *object, const char *pointer);      /* NULL: not there */
const char *k8s_text_at(yyjson_val *object, const char *pointer); /* "": not there, or no string */
int64_t k8s_int_at(yyjson_val *object, const char *pointer, int64_t otherwise);
bool k8s_bool_at(yyjson_val *object, const char *pointer);                     /* false: not there */
bool k8s_quantity_at(yyjson_val *object, const char *pointer, int64_t *milli); /* strings and numbers */
int64_t k8s_time_at(yyjson_val *object, const char *pointer);                  /* UTC ms; 0: not there */
const char *k8s_annotation(yyjson_val *object, const char *name);              /* "": not there */
const char *k8s_label(yyjson_val *object, const char *name);
/* The item of list `pointer` whose `key` is `value`: containers by name, conditions by type. NULL: none. */
yyjson_val *k8s_find(yyjson_val *object, const char *pointer, const char *key, const char *value);
/* status.conditions: its `status` ("True", "False", "Unknown", "" if there is none); reason and message may be NULL. */
const char *k8s_condition(yyjson_val *object, const char *type, const char **reason, const char **message);

/* ---- Opening ------------------------------------------------------------------------------------------------ */

/* Told of every request: before it is sent and after its answer, or its failure. In the calling thread. Recording,
 * metrics (k8s_api_calls_total) and the kill tests' fault points hang here. */
struct k8s_call {
    uint64_t number;  /* of this client, from 1 */
    const char *verb; /* as RBAC names it: get list watch create update patch delete deletecollection */
    const char *method, *path;           /* path with its query; never a credential */
    const struct k8s_resource *resource; /* NULL: discovery, a raw path */
    const char *namespace, *name, *subresource;
    bool is_write, is_dry_run;
    unsigned attempt; /* from 1: what the client itself repeats (see k8s_open) counts up */
    unsigned status;  /* HTTP; 0 before the answer, and where none came */
    int64_t started_utc_ms, duration_us;
};
struct k8s_observer {
    void (*before)(const struct k8s_call *call, void *context); /* either may be NULL */
    void (*after)(const struct k8s_call *call, void *context);
    void *context;
};

struct k8s_options {
    const char
        *kubeconfig; /* file, or files separated by colons; NULL or "": $KUBECONFIG, else the pod's service
                               account, else ~/.kube/config */
    const char *context;       /* NULL or "": the file's current-context */
    const char *namespace;     /* NULL or "": the context's, the service account's, "default" */
    const char *field_manager; /* NULL: "prometheus-alerts-slm" */
    int64_t deadline_ms;       /* of a call, with its repetitions; 0: 30 s */
    double rate;          /* requests a second, client-side; 0: 50. Waiting counts against the deadline. */
    unsigned burst;       /* 0: 100 */
    size_t max_answer;    /* bytes of one answer; 0: 64 MiB */
    unsigned connections; /* calls at a time; 0: 16. Watches do not count. */
    struct k8s_observer observer;
    const char *service_account_root; /* tests: the folder that stands for "/"; NULL: "/" */
};

/* Read the credentials and check them; no request is made yet. Or NULL with
 *   ERROR_NOT_FOUND   no kubeconfig, no such context, cluster or user, a file it names is missing
 *   ERROR_INVALID     a kubeconfig that cannot be read, with file and line
 *   ERROR_UNSUPPORTED auth-provider, interactiveMode Always
 *
 * What the client repeats by itself, within the deadline and honouring Retry-After: 401 once with credentials read
 * anew; 429 (but not of an eviction); a connection that could not be made; and, of reads alone, a broken connection,
 * 503 and 504 with jitter, other 5xx once. A 409 never. A write whose answer did not come is never repeated: the
 * answer then says `outcome_unknown`. */
struct k8s *k8s_open(const struct k8s_options *options, struct error **err);
void k8s_close(struct k8s *k8s); /* sessions of it must be closed first */
static inline void k8s_cleanup(struct k8s **k8s)
{
    k8s_close(*k8s);
}

enum k8s_writes {
    K8S_WRITES_REAL,
    K8S_WRITES_DRY_RUN, /* every write is sent with dryRun=All, whatever its options say */
    K8S_WRITES_NONE,    /* every write fails with ERROR_DENIED before anything is sent; exec too in both */
};

/* The same client with a word of its own on writes, deadline and observers: one for each execution, say. The client's
 * observer is told first, then the session's. Close it with k8s_close(). */
struct k8s_session_options {
    enum k8s_writes writes;
    int64_t deadline_ms;   /* of a call; 0: the client's */
    int64_t until_mono_ms; /* no call goes on after that (clock_mono_ms); 0: none */
    struct k8s_observer observer;
};
struct k8s *k8s_session(struct k8s *k8s, const struct k8s_session_options *options);

const char *k8s_server(const struct k8s *k8s);    /* "https://10.0.0.1:6443" */
const char *k8s_context(const struct k8s *k8s);   /* "in-cluster" for a service account */
const char *k8s_namespace(const struct k8s *k8s); /* the default one */
bool k8s_in_cluster(const struct k8s *k8s);

struct k8s_stats {
    uint64_t calls, failures, throttled_ms, answered_429, reconnects, bytes_received;
};
void k8s_stats(const struct k8s *k8s, struct k8s_stats *stats);

/* ---- Answers ------------------------------------------------------------------------------------------------ */

/* Why the server refused. The code of the struct error says the same more coarsely:
 *   BAD_REQUEST, INVALID            ERROR_INVALID          UNAUTHORIZED            ERROR_UNAUTHENTICATED
 *   FORBIDDEN                       ERROR_DENIED           NOT_FOUND, GONE         ERROR_NOT_FOUND
 *   CONFLICT                        ERROR_CONFLICT         ALREADY_EXISTS          ERROR_EXISTS
 *   TOO_MANY_REQUESTS, UNAVAILABLE  ERROR_UNAVAILABLE      TIMEOUT                 ERROR_TIMEOUT
 *   TOO_LARGE                       ERROR_LIMIT            UNSUPPORTED, NOT_SERVED ERROR_UNSUPPORTED
 *   INTERNAL, OTHER                 ERROR_INTERNAL         NO_ANSWER               ERROR_UNAVAILABLE, _TIMEOUT, _IO
 * error_retry_after_ms() of the error is the answer's Retry-After. */
enum k8s_reason {
    K8S_OK,
    K8S_BAD_REQUEST,       /* 400 */
    K8S_UNAUTHORIZED,      /* 401, and 403 of system:anonymous */
    K8S_FORBIDDEN,         /* 403 of RBAC, or of admission: see forbidden_by_rbac */
    K8S_NOT_FOUND,         /* 404 with a Status: the object */
    K8S_NOT_SERVED,        /* 404 without one: the group or version */
    K8S_CONFLICT,          /* 409: resourceVersion, uid, field manager */
    K8S_ALREADY_EXISTS,    /* 409 */
    K8S_GONE,              /* 410: resourceVersion or continue token too old */
    K8S_TOO_LARGE,         /* 413 */
    K8S_UNSUPPORTED,       /* 405, 406, 415 */
    K8S_INVALID,           /* 422 */
    K8S_TOO_MANY_REQUESTS, /* 429: the server's load, or a disruption budget */
    K8S_INTERNAL,          /* 500 */
    K8S_UNAVAILABLE,       /* 502, 503 */
    K8S_TIMEOUT,           /* 504 */
    K8S_OTHER,             /* any other status */
    K8S_BAD_ANSWER,        /* a 2xx whose body is not what was asked for: invalid JSON, too large */
    K8S_NO_ANSWER,         /* not connected, TLS, connection cut, deadline */
    K8S_NOT_SENT,          /* refused here: names, a session without writes, rate limit at the deadline */
    K8S_REASON_COUNT
};
extern const char *const k8s_reason_names[K8S_REASON_COUNT]; /* "Conflict" */

enum { K8S_CAUSES_MAX = 8, K8S_WARNINGS_MAX = 4 };

/* Everything in it is cut to size, and for Secrets `message` and the causes' messages are left out: a 422 quotes the
 * whole object. Plain memory: nothing to free. */
struct k8s_answer {
    unsigned status; /* HTTP; 0 where none came */
    enum k8s_reason reason;
    bool outcome_unknown; /* a write that may have happened: read before doing it again */
    bool
        forbidden_by_rbac; /* of a 403: who lacks a right; otherwise admission (quota, LimitRange, PodSecurity …) */
    char server_reason[64]; /* Status.reason as it came */
    char message[1024];
    char name[256], uid[64]; /* Status.details */
    struct k8s_cause {
        char reason[64], field[192], message[320];
    } causes[K8S_CAUSES_MAX];
    unsigned causes_len;
    char warnings[K8S_WARNINGS_MAX][320]; /* Warning headers: PodSecurity violations, unknown fields */
    unsigned warnings_len;
    int64_t retry_after_ms; /* 0: not said */
    unsigned attempts;
};
bool k8s_answer_has_cause(const struct k8s_answer *answer, const char *reason);

/* ---- Reading ------------------------------------------------------------------------------------------------ */

struct k8s_read {
    int64_t deadline_ms;       /* 0: the session's */
    bool cached;               /* resourceVersion=0: from the server's cache, may be old */
    bool metadata_only;        /* PartialObjectMetadata; always on for Secrets unless `secret_values` */
    bool secret_values;        /* the data of a Secret too: what is read may then never be shown */
    struct k8s_answer *answer; /* filled in whatever happens; may be NULL; so everywhere below */
};
/* The object; the caller frees. NULL with an error otherwise. Options may be NULL; so everywhere below. */
struct k8s_object *k8s_get(struct k8s *k8s, const struct k8s_ref *ref, const struct k8s_read *options,
                           struct error **err);

struct k8s_list_options {
    const char *label_selector, *field_selector; /* as kubectl takes them; NULL: all */
    unsigned page_size;                          /* 0: 500 */
    size_t max_items;                            /* 0: no limit; else ERROR_LIMIT when there are more */
    bool cached, metadata_only, secret_values;
    int64_t deadline_ms;
    struct k8s_answer *answer;
};
struct k8s_list {
    yyjson_val **items; /* without kind and apiVersion, as servers answer lists */
    size_t count;
    char resource_version[64]; /* where a watch goes on from */
    yyjson_doc **pages;
    size_t pages_len;
};
/* All objects, page after page; an expired page token starts it again, once. Namespace NULL or "": all namespaces. */
bool k8s_list(struct k8s *k8s, const struct k8s_resource *resource, const char *namespace,
              const struct k8s_list_options *options, struct k8s_list *list, struct error **err);
void k8s_list_free(struct k8s_list *list); /* not the struct itself; leaves it empty */
static inline void k8s_list_cleanup(struct k8s_list *list)
{
    k8s_list_free(list); /* AUTO(k8s_list) struct k8s_list pods = {0}; */
}

/* A selector object ({"matchLabels":…,"matchExpressions":…}) or a plain map as a label_selector's text. False: a form
 * that cannot be written so. An empty selector gives "" (everything). */
bool k8s_selector_text(yyjson_val *selector, struct strbuf *text);
/* Whether an object's labels match a selector object or a plain map. */
bool k8s_selector_matches(yyjson_val *selector, yyjson_val *labels);

struct k8s_log_options {
    const char *container; /* NULL: the pod's only one; 400 from the server if there are several */
    bool previous, timestamps;
    unsigned tail_lines; /* 0: 200 */
    size_t max_bytes;    /* 0: 256 KiB */
    int64_t since_ms;    /* the last so many; 0: all */
    int64_t deadline_ms;
    struct k8s_answer *answer;
};
bool k8s_log(struct k8s *k8s, const struct k8s_ref *pod, const struct k8s_log_options *options,
             struct strbuf *text, struct error **err);

/* GET any path ("/version", "/apis/metrics.k8s.io/v1beta1/…"), for what has no kind of its own; the body as it is. */
bool k8s_raw(struct k8s *k8s, const char *path, const struct k8s_read *options, struct strbuf *body,
             struct error **err);

/* ---- Writing ------------------------------------------------------------------------------------------------ */

/* Every write is sent with fieldManager and fieldValidation=Strict. The returned object is what the server made of it:
 * compare the VALUE in it, subresources drop what they do not know with a 200. In a dry run its resourceVersion is the
 * old one and its generation the new one: store neither. */
struct k8s_write {
    bool dry_run;
    bool force;                /* k8s_apply: take fields from other managers */
    const char *field_manager; /* NULL: the client's */
    int64_t deadline_ms;
    struct k8s_answer *answer;
};

enum k8s_patch { K8S_PATCH_MERGE, K8S_PATCH_STRATEGIC, K8S_PATCH_JSON, K8S_PATCH_COUNT };

/* `body` is JSON. ref->name is the new object's (it must also stand in the body), or the parent's of a subresource. */
struct k8s_object *k8s_create(struct k8s *k8s, const struct k8s_ref *ref, struct str body,
                              const struct k8s_write *options, struct error **err);
struct k8s_object *k8s_replace(struct k8s *k8s, const struct k8s_ref *ref, struct str body,
                               const struct k8s_write *options, struct error **err);
/* The lock belongs in the body: metadata.resourceVersion (merge, strategic), or a JSON patch's test. Strategic merge is
 * for built-in kinds only: custom ones answer 415. For Secrets the answer is metadata alone. */
struct k8s_object *k8s_patch(struct k8s *k8s, const struct k8s_ref *ref, enum k8s_patch type, struct str body,
                             const struct k8s_write *options, struct error **err);
/* Server-side apply: creates the object if it is not there. 409 with causes FieldManagerConflict unless `force`. */
struct k8s_object *k8s_apply(struct k8s *k8s, const struct k8s_ref *ref, struct str body,
                             const struct k8s_write *options, struct error **err);

struct k8s_delete {
    const char *uid, *resource_version; /* preconditions; NULL: none */
    const char *propagation;            /* "Background" (NULL), "Foreground", "Orphan" */
    int64_t grace_s;                    /* -1 or 0: the object's own; else so many seconds */
    bool force_now;                     /* gracePeriodSeconds 0 */
    bool dry_run;
    int64_t deadline_ms;
    struct k8s_answer *answer;
};
/* True: it is gone or on its way (deletionTimestamp set). Options go in the body: a query is ignored beside one.
 * ERROR_NOT_FOUND: it was gone before. ERROR_CONFLICT: another uid or resourceVersion. */
bool k8s_delete(struct k8s *k8s, const struct k8s_ref *ref, const struct k8s_delete *options,
                struct error **err);
/* Everything that the selectors match, at least one of which must be given. `count`, of those deleted, may be NULL. */
bool k8s_delete_collection(struct k8s *k8s, const struct k8s_resource *resource, const char *namespace,
                           const char *label_selector, const char *field_selector,
                           const struct k8s_delete *options, size_t *count, struct error **err);

enum k8s_eviction {
    K8S_EVICTED,
    K8S_EVICT_GONE, /* 404, or another pod has that name now: nothing left to evict */
    K8S_EVICT_BLOCKED, /* a disruption budget says no: later, perhaps. *why has its text, answer its retry_after_ms */
    K8S_EVICTION_COUNT
};
/* `uid` is the pod's that is meant (required). Any of these is true; false is an error, also several budgets on one
 * pod (500, final). For a pod that crashes, a budget can block for ever: answer->message says "needs … has 0". */
bool k8s_evict(struct k8s *k8s, const struct k8s_ref *pod, const char *uid, const struct k8s_delete *options,
               enum k8s_eviction *outcome, struct error **err);

/* PATCH …/scale; `resource_version` (NULL: none) locks. *replicas_now (may be NULL) is what the server says after it. */
bool k8s_scale(struct k8s *k8s, const struct k8s_ref *target, int replicas, const char *resource_version,
               const struct k8s_write *options, int *replicas_now, struct error **err);

/* A core/v1 Event about `about` (a whole object), named `name`: a replay finds it there, which is true too. */
bool k8s_event(struct k8s *k8s, const struct k8s_object *about, const struct k8s_resource *resource,
               const char *name, bool is_warning, const char *reason, const char *message,
               const struct k8s_write *options, struct error **err);

/* ---- Exec --------------------------------------------------------------------------------------------------- */

struct k8s_exec {
    const char *container;      /* NULL: the default one */
    const char *const *command; /* argv, ended by NULL; there is no shell */
    struct str input;           /* to its standard input, which is then closed */
    size_t max_output;          /* of each stream; 0: 1 MiB; the rest is dropped, `truncated` says so */
    int64_t deadline_ms;        /* 0: the session's */
    struct k8s_answer *answer;
};
struct k8s_exec_result {
    bool started; /* the server took the command: it may have run, whatever followed */
    bool ended;   /* its exit status came */
    bool truncated;
    int exit_code;          /* if it ended */
    struct strbuf out, err; /* k8s_exec_result_free() */
};
/* True: it ended, with any exit code. False with result->started: cut in the middle; the outcome is unknown.
 * A session without real writes refuses. WebSocket, channels v5 or v4. */
bool k8s_exec(struct k8s *k8s, const struct k8s_ref *pod, const struct k8s_exec *options,
              struct k8s_exec_result *result, struct error **err);
void k8s_exec_result_free(struct k8s_exec_result *result);
static inline void k8s_exec_result_cleanup(struct k8s_exec_result *result)
{
    k8s_exec_result_free(result);
}

/* ---- Watching ----------------------------------------------------------------------------------------------- */

enum k8s_change {
    K8S_LISTING,
    K8S_ADDED,
    K8S_MODIFIED,
    K8S_DELETED,
    K8S_SYNCED,
    K8S_ALIVE,
    K8S_CHANGE_COUNT
};

struct k8s_watch_options {
    const char *label_selector, *field_selector;
    bool metadata_only;
    const atomic_bool *stop; /* set from outside, the watch ends within a second; may be NULL */
    int64_t deadline_ms;     /* of the whole watch; 0: until stopped */
};
/* List, then watch; go on from the last resourceVersion when a connection ends, list again after a 410. `change` is
 * called in this thread: K8S_LISTING and K8S_SYNCED (object NULL) around each list, K8S_ADDED for each that is listed, and
 * then each change; K8S_ALIVE about every minute, if nothing else comes. What was known before and is not in a list that comes again is gone. False from `change` ends it.
 * True: stopped, ended by `change`, or the deadline came. False: what time will not mend (denied, not served).
 * Needs the rights list and watch; so do waits. */
typedef bool k8s_changed(enum k8s_change change, yyjson_val *object, void *context);
bool k8s_watch(struct k8s *k8s, const struct k8s_resource *resource, const char *namespace,
               const struct k8s_watch_options *options, k8s_changed *change, void *context,
               struct error **err);

/* Wait until `done` says so of an object: K8S_WAIT_DONE, _FAILED (then it has set *err) or _MORE; NULL object: it is not
 * there. Looks at once, then watches. The last state seen goes to *last (may be NULL; the caller frees).
 * ERROR_TIMEOUT after wait_ms. */
enum k8s_wait { K8S_WAIT_MORE, K8S_WAIT_DONE, K8S_WAIT_FAILED };
typedef enum k8s_wait k8s_waiter(yyjson_val *object, void *context, struct error **err);
bool k8s_wait(struct k8s *k8s, const struct k8s_ref *ref, int64_t wait_ms, k8s_waiter *done, void *context,
              struct k8s_object **last, struct error **err);
/* Waiters: `context` is the uid (const char *) of the pod, claim … that has to be gone; of a Deployment, StatefulSet or
 * DaemonSet that has to have rolled out; of a Job that has to be complete. */
k8s_waiter k8s_wait_gone, k8s_wait_rolled_out, k8s_wait_job;

/* ---- Rights, discovery, leases ------------------------------------------------------------------------------ */

/* May we? SelfSubjectAccessReview. `name` and `subresource` may be NULL. Not cached. */
bool k8s_may(struct k8s *k8s, const char *verb, const struct k8s_ref *ref, bool *allowed, struct error **err);

/* The kind as this cluster serves it, with the group's preferred version. Asked once and kept five minutes.
 * NULL with ERROR_UNSUPPORTED: "no VolumeSnapshot CRD". The result lives as long as the client. */
const struct k8s_resource *k8s_discover(struct k8s *k8s, const char *group, const char *kind,
                                        struct error **err);
/* The same for a constant: k8s_has(k8s, &k8s_volume_snapshots, …) → the resource in the version that is served. */
const struct k8s_resource *k8s_served(struct k8s *k8s, const struct k8s_resource *resource,
                                      struct error **err);
bool k8s_is_openshift(struct k8s *k8s);
void k8s_discover_again(struct k8s *k8s); /* forget what was asked */
bool k8s_version(struct k8s *k8s, int *major, int *minor, struct error **err);

/* One attempt at a coordination.k8s.io Lease: take it, renew it, or see who has it. Call every `retry` (2 s). A lease is
 * taken from another only after its duration without a change that WE observed. Not a fence. */
struct k8s_lease {
    const char *namespace, *name, *identity;
    int duration_s; /* 0: 15 */
    /* The rest is k8s_lease_try()'s own, zero at first. */
    bool held;
    char holder[256], seen_version[64];
    int64_t seen_mono_ms, renewed_mono_ms;
};
bool k8s_lease_try(struct k8s *k8s, struct k8s_lease *lease,
                   struct error **err);             /* false: no answer; see held */
bool k8s_lease_held(const struct k8s_lease *lease); /* held, and renewed within two thirds of its duration */
void k8s_lease_release(struct k8s *k8s, struct k8s_lease *lease);

/* ---- The object graph --------------------------------------------------------------------------------------- */

struct k8s_step { /* how one object was reached from the one before */
    const char *kind, *namespace, *name, *uid;
    const char
        *by; /* "named", "owner", "spec.nodeName", "mounts", "selector", "scaleTargetRef", "endpoints" */
};
struct k8s_target {
    const struct k8s_resource *resource;
    const char *namespace, *name, *uid;
    struct k8s_object *object; /* as last read; freed with the target */
    struct k8s_step *path;     /* from what was named to the target, both included */
    size_t path_len;
};
/* From an object that somebody named to the one object of a kind in `kinds` (names, the best first, ended by NULL) that
 * it belongs to: pod → ReplicaSet → Deployment, pod → node, claim → pods that mount it → StatefulSet, HPA → its target
 * and back, Service → endpoints → pods → workload, DeploymentConfig through its ReplicationControllers. What was named
 * is itself the answer if its kind is in `kinds`. Strings live as long as the arena. False with
 *   ERROR_NOT_FOUND   it does not exist (any more), or nothing of those kinds belongs to it
 *   ERROR_CONFLICT    several do: they are listed; there is no guessing
 *   ERROR_INVALID     no such kind, or a name that cannot be one */
bool k8s_resolve(struct k8s *k8s, struct arena *arena, const char *kind, const char *namespace,
                 const char *name, const char *const *kinds, struct k8s_target *target, struct error **err);
void k8s_target_free(struct k8s_target *target); /* its object */
static inline void k8s_target_cleanup(struct k8s_target *target)
{
    k8s_target_free(target);
}

/* metadata.ownerReferences with controller: true; NULL: nobody controls it. */
yyjson_val *k8s_controller_of(yyjson_val *object);
/* Pods that a workload (Deployment, ReplicaSet, StatefulSet, DaemonSet, Job, DeploymentConfig …) owns now. */
bool k8s_pods_of(struct k8s *k8s, const struct k8s_object *workload, const struct k8s_resource *resource,
                 struct k8s_list *pods, struct error **err);

/* ---- Who owns a field --------------------------------------------------------------------------------------- */

enum k8s_owner_kind {
    K8S_OWNER_HPA,
    K8S_OWNER_KEDA,
    K8S_OWNER_VPA,
    K8S_OWNER_ARGO_CD,
    K8S_OWNER_FLUX,
    K8S_OWNER_HELM,     /* a release's object: the next upgrade reverts what we change */
    K8S_OWNER_OPERATOR, /* a controller that is not Kubernetes' own, by ownerReferences */
    K8S_OWNER_OLM,      /* Operator Lifecycle Manager, by label */
    K8S_OWNER_MANAGER,  /* some other field manager: a person's kubectl, a script */
    K8S_OWNER_COUNT
};
extern const char *const k8s_owner_names[K8S_OWNER_COUNT];

struct k8s_owner {
    enum k8s_owner_kind kind;
    bool reverts;                 /* it will put back what we write */
    const char *namespace, *name; /* its object: the HPA, the Argo application, the release … "" if unknown */
    const char *object_kind;      /* "HorizontalPodAutoscaler" … */
    const char *manager;          /* field manager, if that is how it was found */
    const char *evidence;         /* what says so: `label app.kubernetes.io/managed-by=Helm` */
};
struct k8s_owners {
    struct k8s_owner *items;
    size_t count;
};
/* Who owns `field` ("/spec/replicas", "/spec/template/spec/containers/resources"; NULL: any) of a workload, from its own
 * metadata and from the HPAs, ScaledObjects and VPAs that point at it. What cannot be listed (403) is an error: not
 * knowing is not "nobody". Our own field manager is not named. Strings live as long as the arena. */
bool k8s_owners(struct k8s *k8s, struct arena *arena, const struct k8s_object *object,
                const struct k8s_resource *resource, const char *field, struct k8s_owners *owners,
                struct error **err);
/* The part of it that needs no call: metadata alone. */
void k8s_owners_of_metadata(struct arena *arena, yyjson_val *object, const char *field,
                            const char *own_manager, struct k8s_owners *owners);
const struct k8s_owner *k8s_owners_find(const struct k8s_owners *owners, enum k8s_owner_kind kind);
/* The managers of a field in managedFields: for each "manager (subresource)". */
size_t k8s_field_managers(struct arena *arena, yyjson_val *object, const char *field, const char ***managers);

/* ---- How an object is doing --------------------------------------------------------------------------------- */

enum {
    K8S_FACTS_CONTAINERS_MAX = 16,
    K8S_FACTS_CONDITIONS_MAX = 16,
    K8S_FACTS_EVENTS_MAX = 12,
    K8S_FACTS_PODS_MAX = 10,
    K8S_FACTS_REVISIONS_MAX = 5
};

/* What a decision needs to know, each text cut to size. Strings live as long as the arena; "" and -1: not known. */
struct k8s_facts {
    const char *kind, *namespace, *name, *uid, *owner; /* owner "Deployment web" */
    const char *phase;                                 /* pod, PVC, PV, node ("Ready", "NotReady"), Job */
    const char *summary; /* one line: "2/3 ready, 14 restarts, last OOMKilled" */
    int64_t age_s;
    bool is_deleting, is_paused, is_unschedulable;
    int replicas, ready, updated, available;
    int restarts;                 /* of a pod, or of all pods of a workload */
    const char *last_termination; /* "OOMKilled (137)" of the container that died last */
    int64_t last_termination_at;  /* UTC ms; 0 */
    const char *node;
    struct k8s_container_facts {
        const char *name, *image,
            *state; /* "running", "waiting: CrashLoopBackOff", "terminated: Error (1)" */
        const char *cpu_request, *cpu_limit, *memory_request, *memory_limit;
        int restarts;
        const char *last_termination;
    } containers[K8S_FACTS_CONTAINERS_MAX];
    size_t containers_len;
    struct k8s_condition_facts {
        const char *type, *status, *reason, *message;
        int64_t since;
    } conditions[K8S_FACTS_CONDITIONS_MAX];
    size_t conditions_len;
    struct k8s_pod_facts {
        const char *name, *phase, *reason, *node;
        int restarts;
        bool ready;
    } pods[K8S_FACTS_PODS_MAX]; /* the worst first */
    size_t pods_len, pods_total;
    struct k8s_revision_facts {
        int64_t revision, created; /* UTC ms */
        int replicas;
        const char *name, *images, *cause;
    } revisions[K8S_FACTS_REVISIONS_MAX]; /* the newest first */
    size_t revisions_len, revisions_total;
    struct {
        const char *name;
        int min, max, current, desired;
        bool at_max;
    } hpa; /* name "": there is none */
    struct {
        const char *capacity, *request, *storage_class, *volume;
        bool can_expand;
    } claim;
    struct {
        const char *kubelet, *taints;
        const char *cpu, *memory; /* allocatable */
        int pods;                 /* on it */
    } node_state;
    struct k8s_event_facts {
        const char *type, *reason, *message, *object;
        int64_t at;
        int count;
    } events[K8S_FACTS_EVENTS_MAX]; /* the newest first */
    size_t events_len;
    const char *missing; /* what could not be read, and why; "" */
};
/* Everything within deadline_ms (0: 5 s); parts that fail or come too late are named in `missing`. False only if the
 * object itself cannot be read. `cache` (may be NULL) saves calls. */
struct k8s_cache;
bool k8s_describe(struct k8s *k8s, struct k8s_cache *cache, struct arena *arena, const struct k8s_ref *ref,
                  int64_t deadline_ms, struct k8s_facts *facts, struct error **err);
void k8s_facts_write(struct strbuf *json, const struct k8s_facts *facts); /* a JSON object of what is known */

/* ---- The watch cache ---------------------------------------------------------------------------------------- */

/* Objects kept by a watch, a thread for each kind, in few bytes: 20,000 pods in 20 MB. */
struct k8s_item { /* all texts "" where they do not apply */
    const struct k8s_resource *resource;
    const char *namespace, *name, *uid, *resource_version;
    const char *owner_kind, *owner_name, *owner_uid; /* the controller */
    const char *node;                                /* pods */
    const char *phase;                               /* as in k8s_facts */
    const char *reason; /* why it is not well: CrashLoopBackOff, OOMKilled, Evicted … */
    const char *labels; /* "app=web,tier=front", sorted */
    const char *claims; /* pods: names of the claims they mount, separated by commas */
    int replicas, ready, restarts;
    bool is_ready, is_deleting, is_unschedulable;
    int64_t created;
};
typedef bool k8s_each(const struct k8s_item *item, void *context); /* borrowed for the call; false: enough */

struct k8s_cache_options {
    const struct k8s_resource *const
        *resources;        /* ended by NULL; NULL: pods, nodes, workloads, claims, HPAs */
    const char *namespace; /* NULL or "": all */
    void (*changed)(enum k8s_change change, const struct k8s_item *item, void *context); /* may be NULL */
    void *context;
};
struct k8s_cache *k8s_cache_start(struct k8s *k8s,
                                  const struct k8s_cache_options *options); /* locks itself */
void k8s_cache_stop(struct k8s_cache *cache);
static inline void k8s_cache_cleanup(struct k8s_cache **cache)
{
    k8s_cache_stop(*cache);
}
/* Whether all kinds have been listed and heard of within `max_age_ms` (0: ever; a quiet kind is heard of every minute),
 * waiting so long at most. */
bool k8s_cache_synced(struct k8s_cache *cache, int64_t max_age_ms, int64_t wait_ms);
bool k8s_cache_get(struct k8s_cache *cache, const struct k8s_ref *ref, struct arena *arena,
                   struct k8s_item *item);
/* Filters: NULL for any. `owner_uid` of the controller, `node` of pods. */
struct k8s_filter {
    const struct k8s_resource *resource;
    const char *namespace, *owner_uid, *node;
};
size_t k8s_cache_each(struct k8s_cache *cache, const struct k8s_filter *filter, k8s_each *each,
                      void *context);
struct k8s_cache_stats {
    size_t items, bytes;
    uint64_t events, relists;
    int64_t oldest_ms;  /* since the kind that is furthest behind was last heard of */
    const char *failed; /* a kind that cannot be watched, and why; "" */
};
void k8s_cache_stats(struct k8s_cache *cache, struct k8s_cache_stats *stats);

#endif
