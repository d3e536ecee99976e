/* The routes. A parameter that we do not know is refused: a filter that is misspelt must not look like one that found
 * everything. */
#include "api/api_internal.h"

/* --- what may be asked for */

struct parameter {
    const char *name;
    size_t offset;              /* of a `const char *` in the query */
    const char *const *choices; /* ended by NULL; NULL: any text */
};

static const char *const alert_statuses[] = { "firing", "resolved", NULL };
static const char *const incident_statuses[] = { "open", "resolved", NULL };

#define AT(field) offsetof(struct alert_query, field)
static const struct parameter alert_parameters[] = {
    { "status", AT(status), alert_statuses },
    { "severity", AT(severity) },
    { "namespace", AT(namespace) },
    { "name", AT(name) },
    { "fingerprint", AT(fingerprint) },
    { "incident_id", AT(incident_id) },
    { "cursor", AT(before_id) },
    { 0 },
};
#undef AT
#define AT(field) offsetof(struct incident_query, field)
static const struct parameter incident_parameters[] = {
    { "status", AT(status), incident_statuses },
    { "severity", AT(severity) },
    { "namespace", AT(namespace) },
    { "kind", AT(kind) },
    { "name", AT(name) },
    { "parent_id", AT(parent_id) },
    { "cursor", AT(before_id) },
    { 0 },
};
#undef AT

static bool read_limit(struct str text, int64_t *limit, struct error **err)
{
    return (str_to_i64(text, limit) && *limit >= 1 && *limit <= API_LIMIT_MAX) ||
           error_set(err, ERROR_INVALID, "limit: give a number from 1 to %d", API_LIMIT_MAX);
}

static bool read_choice(const struct parameter *parameter, const char *text, struct error **err)
{
    for (size_t i = 0; parameter->choices[i]; i++)
        if (strcmp(parameter->choices[i], text) == 0)
            return true;
    return error_set(err, ERROR_INVALID, "%s: give %s or %s", parameter->name, parameter->choices[0],
                     parameter->choices[1]);
}

static bool read_cursor(struct str text, struct error **err)
{
    bool good = text.len == ULID_LEN;
    for (size_t i = 0; good && i < text.len; i++)
        good = (text.ptr[i] >= '0' && text.ptr[i] <= '9') || (text.ptr[i] >= 'a' && text.ptr[i] <= 'z');
    return good || error_set(err, ERROR_INVALID, "cursor: give the next_cursor of an earlier page");
}

static bool read_parameter(struct http_request *request, const struct parameter *parameters, struct str name,
                           struct str value, void *query, struct error **err)
{
    for (const struct parameter *p = parameters; p->name; p++) {
        if (!str_eq(name, str_of(p->name)))
            continue;
        const char *text = arena_text(http_request_arena(request), value);
        if (str_eq(name, STR("cursor")) ? !read_cursor(value, err) : p->choices && !read_choice(p, text, err))
            return false;
        if (!utf8_is_valid(value))
            return error_set(err, ERROR_INVALID, "%s: not UTF-8", p->name);
        *(const char **)((char *)query + p->offset) = text;
        return true;
    }
    return error_set(err, ERROR_INVALID, "unknown parameter \"" STR_FMT "\"", STR_ARG(utf8_prefix(name, 40)));
}

static bool read_query(struct http_request *request, const struct parameter *parameters, void *query,
                       int64_t *limit, struct error **err)
{
    *limit = API_LIMIT_DEFAULT;
    for (size_t i = 0; i < http_request_query_count(request); i++) {
        struct str name, value;
        http_request_query_at(request, i, &name, &value);
        if (str_eq(name, STR("limit")) ? !read_limit(value, limit, err)
                                       : !read_parameter(request, parameters, name, value, query, err))
            return false;
    }
    return true;
}

/* --- answers */

static void answer(struct http_request *request, bool ok, struct strbuf *out, struct error **err)
{
    if (ok)
        http_respond_json(request, 200, strbuf_str(out));
    else
        http_respond_failure(request, err);
}

static void list_alerts(struct http_request *request, void *context)
{
    AUTO(strbuf) struct strbuf out = { 0 };
    struct alert_query query = { 0 };
    struct error *err = NULL;
    bool ok = read_query(request, alert_parameters, &query, &query.limit, &err) &&
              api_write_alerts(context, &query, &out, &err);
    answer(request, ok, &out, &err);
}

static void list_incidents(struct http_request *request, void *context)
{
    AUTO(strbuf) struct strbuf out = { 0 };
    struct incident_query query = { 0 };
    struct error *err = NULL;
    bool ok = read_query(request, incident_parameters, &query, &query.limit, &err) &&
              api_write_incidents(context, &query, &out, &err);
    answer(request, ok, &out, &err);
}

static void show(struct http_request *request, struct store *store,
                 bool (*write)(struct store *, const char *, struct strbuf *, struct error **))
{
    AUTO(strbuf) struct strbuf out = { 0 };
    struct error *err = NULL;
    const char *id = arena_text(http_request_arena(request), http_request_param(request, "id"));
    answer(request, write(store, id, &out, &err), &out, &err);
}

static void show_alert(struct http_request *request, void *context)
{
    show(request, context, api_write_alert);
}

static void show_incident(struct http_request *request, void *context)
{
    show(request, context, api_write_incident);
}

static const struct http_route routes[] = {
    { "GET", "/api/v1/alerts", HTTP_GROUP_API, HTTP_SCOPE_READ, list_alerts },
    { "GET", "/api/v1/alerts/{id}", HTTP_GROUP_API, HTTP_SCOPE_READ, show_alert },
    { "GET", "/api/v1/incidents", HTTP_GROUP_API, HTTP_SCOPE_READ, list_incidents },
    { "GET", "/api/v1/incidents/{id}", HTTP_GROUP_API, HTTP_SCOPE_READ, show_incident },
    { 0 },
};

void api_add_to(struct http_server *server, struct store *store)
{
    http_server_add(server, routes, store);
}
