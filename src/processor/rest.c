/* The rest of a truncated payload. Alertmanager's max_alerts cuts a group's list, and its status is that of what is left;
 * so the whole group is asked for. Asked is the Alertmanager that the configuration names, never the payload's
 * externalURL, and redirects are not followed: whoever may post must not make us call somebody else.
 *
 * What comes back is appended to the inbox as a payload of our own making, in the transaction that ends the task. The API
 * lists only what fires: an end that was cut off comes with the group's next message, or the alert expires. */
#include "http/client.h"
#include "metrics/metrics.h"
#include "processor/processor_internal.h"

#include <stdio.h>
#include <stdlib.h>

enum { REST_BYTES_MAX = 64 << 20, RETRY_MS = 5000, RETRY_MAX_MS = 5 * 60 * 1000 };

struct group {
    struct str receiver, group_key;
    struct label_list labels;
};

static void add_escaped(struct strbuf *out, struct str text)
{
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || strchr("-_.~", c)) {
            strbuf_add_char(out, (char)c);
        } else {
            strbuf_add_char(out, '%');
            strbuf_add_char(out, hex[c >> 4]);
            strbuf_add_char(out, hex[c & 15]);
        }
    }
}

/* A matcher of the API: name="value", the value quoted as in Go. A name that is no classic one is quoted too. */
static void add_filter(struct strbuf *url, const struct label *label)
{
    AUTO(strbuf) struct strbuf matcher = { 0 };
    bool classic = true;
    for (size_t i = 0; i < label->name.len; i++) {
        char c = label->name.ptr[i];
        classic = classic && ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
                              (i && c >= '0' && c <= '9'));
    }
    if (classic)
        strbuf_add(&matcher, label->name);
    else
        strbuf_add_json(&matcher, label->name);
    strbuf_add_char(&matcher, '=');
    strbuf_add_json(&matcher, label->value);
    strbuf_add_text(url, "&filter=");
    add_escaped(url, strbuf_str(&matcher));
}

/* The receiver came quoted as a regular expression, and the API takes one: it is handed on as it is. */
static void make_url(const struct group *group, const char *base, struct strbuf *url)
{
    struct str root = str_of(base);
    while (root.len && root.ptr[root.len - 1] == '/')
        root.len--;
    strbuf_addf(url, STR_FMT "/api/v2/alerts?silenced=false&inhibited=false&receiver=", STR_ARG(root));
    add_escaped(url, group->receiver);
    for (size_t i = 0; i < group->labels.count; i++)
        add_filter(url, &group->labels.items[i]);
}

static bool read_group(struct arena *arena, const struct job *job, struct group *group, struct error **err)
{
    struct alert_payload task;
    if (!alert_parse_webhook(arena, str_of(job->payload), &task, err))
        return false;
    *group = (struct group){ task.receiver, task.group_key, task.group_labels };
    return true;
}

static bool ask(const struct config_peer *peer, const struct group *group, struct http_reply *reply,
                struct error **err)
{
    const struct http_client_options options = { .token = peer->token,
                                                 .username = peer->username,
                                                 .password = peer->password,
                                                 .ca_file = peer->ca_file,
                                                 .timeout_ms = peer->timeout_ms,
                                                 .max_response = REST_BYTES_MAX };
    AUTO(http_client) struct http_client *client = http_client_new(&options);
    AUTO(strbuf) struct strbuf url = { 0 };
    make_url(group, peer->url, &url);
    const struct http_call call = { .url = url.ptr, .accept = "application/json", .retries = 2 };
    return http_client_call(client, &call, reply, err) && http_reply_ok(reply, "Alertmanager", err);
}

/* As a webhook would have said it, in the API's own words for the alerts. */
static void make_payload(const struct group *group, struct str alerts, struct strbuf *body)
{
    strbuf_add_text(body, "{\"version\":\"4\",\"receiver\":");
    strbuf_add_json(body, group->receiver);
    strbuf_add_text(body, ",\"groupKey\":");
    strbuf_add_json(body, group->group_key);
    strbuf_add_text(body, ",\"alerts\":");
    strbuf_add(body, alerts);
    strbuf_add_char(body, '}');
}

static bool append_and_finish(struct processor *processor, struct arena *arena, const struct job *job,
                              const struct group *group, struct str alerts, struct error **err)
{
    AUTO(strbuf) struct strbuf body = { 0 };
    struct alert_payload payload;
    make_payload(group, alerts, &body);
    if (!alert_parse(arena, strbuf_str(&body), &payload, err))
        return false;
    const struct inbox_item item = { .payload = strbuf_str(&body),
                                     .alerts = payload.count,
                                     .severity = payload.severity,
                                     .trace_id = job->trace_id };
    AUTO(tx) struct tx *tx = tx_begin(processor->store, TX_WRITE, err);
    if (!tx || (payload.count && !inbox_append_in(tx, &item, err)) || !job_finish(tx, job, err) ||
        !tx_commit(STEAL(tx), err))
        return false;
    inbox_appended(processor->store, payload.count);
    log_info("truncated group completed", KV_STR("receiver", group->receiver),
             KV_INT("alerts", (int64_t)payload.count));
    return true;
}

static bool fetch(struct processor *processor, struct arena *arena, const struct job *job,
                  const struct config *config, struct error **err)
{
    struct group group;
    AUTO(http_reply) struct http_reply reply = { 0 };
    if (!config->alertmanager.url[0])
        return error_set(err, ERROR_UNSUPPORTED,
                         "a payload was truncated, and alertmanager.url is not set: the rest of it is "
                         "not known; set it, or max_alerts: 0 in Alertmanager");
    return read_group(arena, job, &group, err) && ask(&config->alertmanager, &group, &reply, err) &&
           append_and_finish(processor, arena, job, &group, strbuf_str(&reply.body), err);
}

static bool put_off(struct processor *processor, const struct job *job, const struct error *why,
                    struct error **err)
{
    int64_t wait = MIN((int64_t)RETRY_MS << MIN(job->attempts - 1, 6), RETRY_MAX_MS);
    log_warn("the rest of a truncated group is not yet known", KV("error", error_message(why)),
             KV_INT("attempt", job->attempts));
    AUTO(tx) struct tx *tx = tx_begin(processor->store, TX_WRITE, err);
    return tx && job_retry(tx, job, wait, error_message(why), err) && tx_commit(STEAL(tx), err);
}

bool rest_once(struct processor *processor, struct arena *arena, bool *did, struct error **err)
{
    const struct config *config = config_live_hold(processor->config);
    AUTO(error) struct error *error = NULL;
    struct job job;
    bool ok = job_claim(processor->store, arena, JOB_FETCH_REST, processor->owner, config->intake.lease_ms,
                        &job, did, err);
    if (ok && *did) {
        bool fetched = fetch(processor, arena, &job, config, &error);
        metric_inc(METRIC_FETCH_REST, fetched ? "success" : "error");
        ok = fetched || error_code(error) == ERROR_CONFLICT || put_off(processor, &job, error, err);
        if (fetched)
            processor_wake(processor);
    }
    config_live_release(processor->config, config);
    return ok;
}
