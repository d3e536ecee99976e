#include "effectiveness/peers.h"

#include <math.h>
#include <yyjson.h>

#include "http/client.h"

enum { ANSWER_MAX = 32 * 1024 * 1024, SERIES_MAX = 500 };

struct http_client *peer_client(const struct config_peer *peer, int64_t timeout_ms)
{
    if (!*peer->url)
        return NULL;
    return http_client_new(&(struct http_client_options){
        .base_url = peer->url,
        .token = *peer->token ? peer->token : NULL,
        .username = *peer->username ? peer->username : NULL,
        .password = *peer->password ? peer->password : NULL,
        .ca_file = peer->ca_file,
        .timeout_ms = MIN(peer->timeout_ms, timeout_ms),
        .max_response = ANSWER_MAX,
    });
}

static yyjson_doc *get_json(struct http_client *client, const char *url, const char *what, struct error **err)
{
    AUTO(http_reply) struct http_reply reply = { 0 };
    if (!http_client_call(client, &(struct http_call){ .url = url }, &reply, err) ||
        !http_reply_ok(&reply, what, err)) {
        error_wrap(err, "%s", what);
        return NULL;
    }
    yyjson_doc *doc = yyjson_read(reply.body.ptr, reply.body.len, 0);
    if (!doc)
        error_set(err, ERROR_UNAVAILABLE, "%s: the answer is no JSON", what);
    return doc;
}

static void add_query(struct strbuf *url, struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        strbuf_addf(url, plain ? "%c" : "%%%02X", c);
    }
}

static struct str json_str(yyjson_val *value)
{
    return (struct str){ yyjson_get_str(value), yyjson_get_len(value) };
}

/* --- the rule */

static bool has_severity(yyjson_val *rule, const struct alert *alert)
{
    return str_eq(json_str(yyjson_obj_get(yyjson_obj_get(rule, "labels"), "severity")),
                  label_get(&alert->labels, STR("severity")));
}

/* Two rules of one name and severity with other expressions: which of them fired cannot be said. */
static yyjson_val *pick_rule(yyjson_val *groups, const struct alert *alert)
{
    yyjson_val *group, *rule, *picked = NULL;
    size_t i, j, n, m;
    bool exact = false;
    yyjson_arr_foreach(groups, i, n, group)
    {
        yyjson_arr_foreach(yyjson_obj_get(group, "rules"), j, m, rule)
        {
            if (!str_eq(json_str(yyjson_obj_get(rule, "name")), alert->name) ||
                !yyjson_equals_str(yyjson_obj_get(rule, "type"), "alerting"))
                continue;
            bool now_exact = has_severity(rule, alert);
            if (picked && exact == now_exact &&
                !str_eq(json_str(yyjson_obj_get(rule, "query")), json_str(yyjson_obj_get(picked, "query"))))
                return NULL;
            if (!picked || (now_exact && !exact)) {
                picked = rule;
                exact = now_exact;
            }
        }
    }
    return picked;
}

bool prometheus_find_rule(struct http_client *prometheus, struct arena *arena, const struct alert *alert,
                          struct promql_root *root, bool *found, struct error **err)
{
    yyjson_doc *doc = get_json(prometheus, "/api/v1/rules?type=alert", "Prometheus' rules", err);
    *found = false;
    if (!doc)
        return false;
    yyjson_val *groups = yyjson_obj_get(yyjson_obj_get(yyjson_doc_get_root(doc), "data"), "groups");
    yyjson_val *rule = pick_rule(groups, alert);
    if (rule)
        *found = promql_find_root(arena_str(arena, json_str(yyjson_obj_get(rule, "query"))), root);
    yyjson_doc_free(doc);
    return true;
}

/* --- values */

/* A series is the alert's where every label that both have is the same. */
static bool is_alerts_series(yyjson_val *metric, const struct label_list *labels)
{
    yyjson_val *key, *value;
    size_t i, n;
    yyjson_obj_foreach(metric, i, n, key, value)
    {
        struct str name = json_str(key), own = label_get(labels, name);
        if (!str_eq(name, STR("__name__")) && own.len && !str_eq(own, json_str(value)))
            return false;
    }
    return true;
}

static double sample_of(yyjson_val *pair)
{
    double value;
    return str_to_double(json_str(yyjson_arr_get(pair, 1)), &value) ? value : NAN;
}

static double worse(const struct promql_root *root, double a, double b)
{
    if (isnan(a) || isnan(b))
        return isnan(a) ? b : a;
    bool low_is_bad = root->comparison == PROMQL_LESS || root->comparison == PROMQL_LESS_EQUAL;
    return low_is_bad ? MIN(a, b) : MAX(a, b);
}

bool prometheus_value(struct http_client *prometheus, const struct promql_root *root,
                      const struct label_list *labels, int64_t at, double *value, struct error **err)
{
    AUTO(strbuf) struct strbuf url = { 0 };
    strbuf_addf(&url, "/api/v1/query?time=%lld.%03lld&timeout=5s&query=", (long long)(at / 1000),
                (long long)(at % 1000));
    add_query(&url, root->metric);
    yyjson_doc *doc = get_json(prometheus, url.ptr, "Prometheus' query", err);
    *value = NAN;
    if (!doc)
        return false;
    yyjson_val *data = yyjson_obj_get(yyjson_doc_get_root(doc), "data"),
               *result = yyjson_obj_get(data, "result"), *series;
    size_t i, n;
    if (yyjson_equals_str(yyjson_obj_get(data, "resultType"), "scalar"))
        *value = sample_of(result);
    else
        yyjson_arr_foreach(result, i, n,
                           series) if (is_alerts_series(yyjson_obj_get(series, "metric"), labels)) *value =
            worse(root, *value, sample_of(yyjson_obj_get(series, "value")));
    yyjson_doc_free(doc);
    return true;
}

static void read_series(struct arena *arena, yyjson_val *from, struct prometheus_series *to)
{
    yyjson_val *values = yyjson_obj_get(from, "values"), *metric = yyjson_obj_get(from, "metric"), *key,
               *item;
    size_t i, n, labels = yyjson_obj_size(metric);
    *to = (struct prometheus_series){ .times = ARENA_ARRAY(arena, double, yyjson_arr_size(values) + 1),
                                      .values = ARENA_ARRAY(arena, double, yyjson_arr_size(values) + 1) };
    to->labels.items = ARENA_ARRAY(arena, struct label, labels + 1);
    yyjson_obj_foreach(metric, i, n, key, item) to->labels.items[to->labels.count++] =
        (struct label){ arena_str(arena, json_str(key)), arena_str(arena, json_str(item)) };
    yyjson_arr_foreach(values, i, n, item)
    {
        double value = sample_of(item);
        if (isnan(value))
            continue;
        to->times[to->count] = yyjson_get_num(yyjson_arr_get(item, 0));
        to->values[to->count++] = value;
    }
}

bool prometheus_range(struct http_client *prometheus, struct arena *arena, const char *query, int64_t from,
                      int64_t to, int64_t step_ms, struct prometheus_series **series, size_t *count,
                      struct error **err)
{
    AUTO(strbuf) struct strbuf url = { 0 };
    strbuf_addf(&url, "/api/v1/query_range?start=%lld&end=%lld&step=%lld&timeout=10s&query=",
                (long long)(from / 1000), (long long)(to / 1000), (long long)MAX(step_ms / 1000, 1));
    add_query(&url, str_of(query));
    yyjson_doc *doc = get_json(prometheus, url.ptr, "Prometheus' range query", err);
    *count = 0;
    if (!doc)
        return false;
    yyjson_val *result = yyjson_obj_get(yyjson_obj_get(yyjson_doc_get_root(doc), "data"), "result"), *one;
    size_t i, n;
    *series = ARENA_ARRAY(arena, struct prometheus_series, SERIES_MAX);
    yyjson_arr_foreach(result, i, n, one) if (*count < SERIES_MAX)
        read_series(arena, one, &(*series)[(*count)++]);
    yyjson_doc_free(doc);
    return true;
}

/* --- Alertmanager */

static void add_matcher(struct strbuf *url, const char *name, struct str value)
{
    AUTO(strbuf) struct strbuf matcher = { 0 };
    strbuf_addf(&matcher, "%s=", name);
    strbuf_add_json(&matcher, value);
    strbuf_add_text(url, "&filter=");
    add_query(url, strbuf_str(&matcher));
}

bool alertmanager_is_active(struct http_client *alertmanager, struct arena *arena, const struct alert *alert,
                            bool *active, struct error **err)
{
    (void)arena;
    AUTO(strbuf) struct strbuf url = { 0 };
    strbuf_add_text(&url, "/api/v2/alerts?active=true&silenced=true&inhibited=true&unprocessed=true");
    add_matcher(&url, "alertname", label_get(&alert->labels, STR("alertname")));
    yyjson_doc *doc = get_json(alertmanager, url.ptr, "Alertmanager's alerts", err);
    *active = false;
    if (!doc)
        return false;
    yyjson_val *one;
    size_t i, n;
    yyjson_arr_foreach(
        yyjson_doc_get_root(doc), i, n,
        one) if (yyjson_equals_str(yyjson_obj_get(one, "fingerprint"), alert->fingerprint)) *active = true;
    yyjson_doc_free(doc);
    return true;
}
