/* Writing: create, replace, patch, apply, delete, evict, scale, events. Each is sent with our field manager and strict
 * validation, and a 409 is handed to whoever asked: only he knows what his change means for what has changed. */
#include "k8s/k8s.h"

#include <stdio.h>

#include "k8s/k8s_internal.h"

#define METADATA "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"

static const struct k8s_write no_write;
static const struct k8s_delete no_delete;

static const char *const patch_types[K8S_PATCH_COUNT] = {
    [K8S_PATCH_MERGE] = "application/merge-patch+json",
    [K8S_PATCH_STRATEGIC] = "application/strategic-merge-patch+json",
    [K8S_PATCH_JSON] = "application/json-patch+json",
};

static struct call write_call(struct k8s *k8s, const char *verb, const char *method,
                              const struct k8s_ref *ref, struct str body, const struct k8s_write *options)
{
    struct call call = { .verb = verb, .method = method, .ref = *ref, .body = body, .is_write = true };
    call.content_type = "application/json";
    call.is_dry_run = options->dry_run;
    call.deadline_ms = options->deadline_ms;
    call.accept =
        call_is_secret(&call) ? METADATA : NULL; /* a PATCH would be answered with the Secret's data */
    call_query(&call, "fieldManager",
               options->field_manager ? options->field_manager : k8s->client->field_manager);
    call_query(&call, "fieldValidation", "Strict");
    return call;
}

/* The collection's path: what is created stands in the body. A subresource is created below its parent. */
static struct call create_call(struct k8s *k8s, const struct k8s_ref *ref, struct str body,
                               const struct k8s_write *options)
{
    struct call call = write_call(k8s, "create", "POST", ref, body, options);
    if (!ref->subresource)
        call.ref.name = NULL;
    return call;
}

struct k8s_object *k8s_create(struct k8s *k8s, const struct k8s_ref *ref, struct str body,
                              const struct k8s_write *options, struct error **err)
{
    options = options ? options : &no_write;
    if (ref->resource->namespaced && (!ref->namespace || !*ref->namespace)) {
        error_set(err, ERROR_INVALID, "create %s: no namespace", ref->resource->kind);
        return NULL;
    }
    struct call call = create_call(k8s, ref, body, options);
    struct k8s_object *object = call_object(k8s, &call, options->answer, err);
    if (!object && ref->name)
        error_wrap(err, "%s", ref->name);
    return object;
}

struct k8s_object *k8s_replace(struct k8s *k8s, const struct k8s_ref *ref, struct str body,
                               const struct k8s_write *options, struct error **err)
{
    options = options ? options : &no_write;
    struct call call = write_call(k8s, "update", "PUT", ref, body, options);
    return call_object(k8s, &call, options->answer, err);
}

struct k8s_object *k8s_patch(struct k8s *k8s, const struct k8s_ref *ref, enum k8s_patch type, struct str body,
                             const struct k8s_write *options, struct error **err)
{
    options = options ? options : &no_write;
    struct call call = write_call(k8s, "patch", "PATCH", ref, body, options);
    call.content_type = patch_types[type];
    return call_object(k8s, &call, options->answer, err);
}

struct k8s_object *k8s_apply(struct k8s *k8s, const struct k8s_ref *ref, struct str body,
                             const struct k8s_write *options, struct error **err)
{
    options = options ? options : &no_write;
    struct call call = write_call(k8s, "patch", "PATCH", ref, body, options);
    call.content_type = "application/apply-patch+yaml";
    call_query(&call, "force", options->force ? "true" : "false");
    return call_object(k8s, &call, options->answer, err);
}

/* ---- deleting ---- */

static void add_pair(struct strbuf *out, const char *name, const char *value)
{
    strbuf_addf(out, "\"%s\":", name);
    strbuf_add_json(out, str_of(value));
}

/* Everything stands in the body: beside one, the server ignores the query, dryRun too. */
static void delete_options(struct strbuf *body, const struct k8s_delete *options, bool dry_run,
                           bool as_member)
{
    strbuf_add_char(body, '{');
    if (!as_member)
        strbuf_add_text(body, "\"apiVersion\":\"v1\",\"kind\":\"DeleteOptions\",");
    if (options->uid || options->resource_version) {
        strbuf_add_text(body, "\"preconditions\":{");
        if (options->uid)
            add_pair(body, "uid", options->uid);
        if (options->resource_version) {
            strbuf_add_text(body, options->uid ? "," : "");
            add_pair(body, "resourceVersion", options->resource_version);
        }
        strbuf_add_text(body, "},");
    }
    if (options->grace_s > 0 || options->force_now)
        strbuf_addf(body, "\"gracePeriodSeconds\":%lld,",
                    options->force_now ? 0 : (long long)options->grace_s);
    if (dry_run)
        strbuf_add_text(body, "\"dryRun\":[\"All\"],");
    add_pair(body, "propagationPolicy", options->propagation ? options->propagation : "Background");
    strbuf_add_char(body, '}');
}

static bool is_dry(const struct k8s *k8s, const struct k8s_delete *options)
{
    return options->dry_run || k8s->writes == K8S_WRITES_DRY_RUN;
}

static struct call delete_call(const struct k8s *k8s, const char *verb, const struct k8s_ref *ref,
                               const struct k8s_delete *options, struct strbuf *body)
{
    delete_options(body, options, is_dry(k8s, options), false);
    struct call call = {
        .verb = verb, .method = "DELETE", .ref = *ref, .body = strbuf_str(body), .is_write = true
    };
    call.content_type = "application/json";
    call.is_dry_run = is_dry(k8s, options);
    call.deadline_ms = options->deadline_ms;
    call.accept = call_is_secret(&call) ? METADATA ", application/json" : NULL;
    return call;
}

bool k8s_delete(struct k8s *k8s, const struct k8s_ref *ref, const struct k8s_delete *options,
                struct error **err)
{
    AUTO(strbuf) struct strbuf body = { 0 };
    options = options ? options : &no_delete;
    if (!ref->name)
        return error_set(err, ERROR_INVALID, "delete %s: no name", ref->resource->kind);
    struct call call = delete_call(k8s, "delete", ref, options, &body);
    return call_run(k8s, &call, NULL, options->answer, err);
}

bool k8s_delete_collection(struct k8s *k8s, const struct k8s_resource *resource, const char *namespace,
                           const char *label_selector, const char *field_selector,
                           const struct k8s_delete *options, size_t *count, struct error **err)
{
    AUTO(strbuf) struct strbuf body = { 0 }, answer = { 0 };
    options = options ? options : &no_delete;
    bool selects = (label_selector && *label_selector) || (field_selector && *field_selector);
    if (!selects || (resource->namespaced && (!namespace || !*namespace)))
        return error_set(err, ERROR_INVALID, "delete %s: give a namespace and a selector", resource->plural);
    struct k8s_ref ref = { .resource = resource, .namespace = namespace };
    struct call call = delete_call(k8s, "deletecollection", &ref, options, &body);
    /* Selectors are the exception to "a body hides the query": deletecollection reads both. */
    call_query(&call, "labelSelector", label_selector);
    call_query(&call, "fieldSelector", field_selector);
    if (!call_run(k8s, &call, &answer, options->answer, err))
        return false;
    yyjson_doc *doc = json_parse(strbuf_str(&answer), NULL);
    if (count)
        *count = yyjson_arr_size(k8s_at(yyjson_doc_get_root(doc), "/items"));
    yyjson_doc_free(doc);
    return true;
}

/* ---- eviction ---- */

static void eviction_body(struct strbuf *body, const struct k8s_ref *pod, const struct k8s_delete *options,
                          bool dry)
{
    strbuf_add_text(body, "{\"apiVersion\":\"policy/v1\",\"kind\":\"Eviction\",\"metadata\":{");
    add_pair(body, "name", pod->name);
    strbuf_add_char(body, ',');
    add_pair(body, "namespace", pod->namespace);
    strbuf_add_text(body, "},\"deleteOptions\":");
    delete_options(body, options, dry, true);
    strbuf_add_char(body, '}');
}

static bool settle_eviction(struct k8s_answer *answer, struct error **why, enum k8s_eviction *outcome)
{
    bool blocked = answer->reason == K8S_TOO_MANY_REQUESTS;
    /* 409: another pod has that name now (a StatefulSet's successor). Not a lock: nothing is left to evict. */
    bool gone = answer->reason == K8S_NOT_FOUND || answer->reason == K8S_CONFLICT;
    if (!blocked && !gone)
        return false;
    if (blocked && !answer->retry_after_ms)
        answer->retry_after_ms = 5000;
    *outcome = blocked ? K8S_EVICT_BLOCKED : K8S_EVICT_GONE;
    error_clear(why);
    return true;
}

bool k8s_evict(struct k8s *k8s, const struct k8s_ref *pod, const char *uid, const struct k8s_delete *options,
               enum k8s_eviction *outcome, struct error **err)
{
    AUTO(strbuf) struct strbuf body = { 0 }, text = { 0 };
    struct k8s_answer spare, *answer = options && options->answer ? options->answer : &spare;
    struct k8s_delete with = options ? *options : no_delete;
    struct k8s_ref ref = { &k8s_pods, pod->namespace, pod->name, "eviction" };
    if (!uid || !*uid)
        return error_set(err, ERROR_INVALID, "evict pod %s: no uid", pod->name);
    with.uid = uid;
    eviction_body(&body, pod, &with, is_dry(k8s, &with));
    struct call call = {
        .verb = "create", .method = "POST", .ref = ref, .body = strbuf_str(&body), .is_write = true
    };
    call.content_type = "application/json";
    call.is_dry_run = with.dry_run;
    call.is_final_429 = true;
    call.deadline_ms = with.deadline_ms;
    struct error *why = NULL;
    *outcome = K8S_EVICTED;
    if (call_run(k8s, &call, &text, answer, &why) || settle_eviction(answer, &why, outcome))
        return true;
    error_move(err, &why);
    return false;
}

/* ---- scale, events ---- */

bool k8s_scale(struct k8s *k8s, const struct k8s_ref *target, int replicas, const char *resource_version,
               const struct k8s_write *options, int *replicas_now, struct error **err)
{
    AUTO(strbuf) struct strbuf body = { 0 };
    struct k8s_ref ref = *target;
    ref.subresource = "scale";
    if (replicas < 0)
        return error_set(err, ERROR_INVALID, "replicas is %d: give 0 or more", replicas);
    strbuf_add_char(&body, '{');
    if (resource_version && *resource_version) {
        strbuf_add_text(&body, "\"metadata\":{");
        add_pair(&body, "resourceVersion", resource_version);
        strbuf_add_text(&body, "},");
    }
    strbuf_addf(&body, "\"spec\":{\"replicas\":%d}}", replicas);
    AUTO(k8s_object)
    struct k8s_object *scale = k8s_patch(k8s, &ref, K8S_PATCH_MERGE, strbuf_str(&body), options, err);
    if (!scale)
        return false;
    int now = (int)k8s_int_at(scale->root, "/spec/replicas", 0);
    if (replicas_now)
        *replicas_now = now;
    return now == replicas || error_set(err, ERROR_CONFLICT, "scale %s to %d: the server made it %d",
                                        target->name, replicas, now);
}

static void event_body(struct strbuf *body, const struct k8s_object *about,
                       const struct k8s_resource *resource, const struct k8s_ref *ref, bool is_warning,
                       const char *reason, const char *message)
{
    char now[CLOCK_TEXT_MAX], api_version[320];
    clock_format(clock_utc_ms() / 1000 * 1000, now);
    char *fraction = strchr(now, '.');
    if (fraction) /* metav1.Time has whole seconds */
        strcpy(fraction, "Z");
    snprintf(api_version, sizeof api_version, "%s%s%s", resource->group, *resource->group ? "/" : "",
             resource->version);
    const char *pairs[][2] = { { "apiVersion", api_version },
                               { "kind", resource->kind },
                               { "namespace", about->namespace },
                               { "name", about->name },
                               { "uid", about->uid },
                               { "resourceVersion", about->resource_version } };
    strbuf_add_text(body, "{\"apiVersion\":\"v1\",\"kind\":\"Event\",\"metadata\":{");
    add_pair(body, "name", ref->name);
    strbuf_add_char(body, ',');
    add_pair(body, "namespace", ref->namespace);
    strbuf_add_text(body, "},\"involvedObject\":{");
    for (size_t i = 0, some = 0; i < ARRAY_LEN(pairs); i++)
        if (*pairs[i][1]) {
            strbuf_add_text(body, some++ ? "," : "");
            add_pair(body, pairs[i][0], pairs[i][1]);
        }
    strbuf_addf(body, "},\"type\":\"%s\",\"count\":1,\"firstTimestamp\":\"%s\",\"lastTimestamp\":\"%s\",",
                is_warning ? "Warning" : "Normal", now, now);
    add_pair(body, "reason", reason);
    strbuf_add_text(body, ",\"message\":");
    strbuf_add_json(body, utf8_prefix(str_of(message), 1024));
    strbuf_add_text(body, ",\"source\":{\"component\":\"prometheus-alerts-slm\"}}");
}

bool k8s_event(struct k8s *k8s, const struct k8s_object *about, const struct k8s_resource *resource,
               const char *name, bool is_warning, const char *reason, const char *message,
               const struct k8s_write *options, struct error **err)
{
    AUTO(strbuf) struct strbuf body = { 0 };
    struct k8s_ref ref = { &k8s_events, *about->namespace ? about->namespace : "default", name, NULL };
    struct error *why = NULL;
    event_body(&body, about, resource, &ref, is_warning, reason, message);
    AUTO(k8s_object) struct k8s_object *event = k8s_create(k8s, &ref, strbuf_str(&body), options, &why);
    if (event)
        return true;
    if (error_code(why) == ERROR_EXISTS) { /* a replay */
        error_free(why);
        return true;
    }
    error_move(err, &why);
    return false;
}
