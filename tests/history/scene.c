#include "tests/history/scene.h"

#include <stdlib.h>

#include "store/outcomes.h"
#include "tests/test.h"

static struct config *loaded;

const struct config *scene_config(struct fixture *f)
{
    static char *const none[] = { NULL };
    if (!loaded)
        assert_ok(loaded = config_load(&(struct config_options){ .path = "/dev/null", .environment = none },
                                       &f->err),
                  f->err);
    return loaded;
}

void scene_end(void)
{
    config_free(loaded);
    loaded = NULL;
}

static const char * or (const char *text, const char *otherwise)
{
    return text ? text : otherwise;
}

static const char *new_id(struct fixture *f)
{
    char *id = arena_alloc(f->arena, ULID_LEN + 1);
    ulid_new(id);
    return id;
}

static void assess(struct fixture *f, struct tx *tx, const char *execution_id, double score, int64_t at)
{
    struct assessment_record record;
    bool found;
    assert_ok(assessment_plan(tx, execution_id, at, NULL, &f->err), f->err);
    assert_ok(assessment_of(tx, f->arena, execution_id, &record, &found, &f->err) && found, f->err);
    record.score = score;
    record.confidence = 1;
    record.assessed_at = at;
    assert_ok(assessment_finish(tx, &record, &f->err), f->err);
}

const char *scene_execution(struct fixture *f, const struct scene_execution *e)
{
    static const struct str insert = STR(
        "INSERT INTO executions (id, incident_id, decision_id, alert_name, state, action, parameters, cluster, "
        "namespace, kind, name, dry_run, idempotency_key, requested_by, created_at, started_at, state_before, "
        "updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, '', $8, $9, $10, $11, $12, 'test', $13, $14, $15, $16)");
    const char *id = new_id(f);
    int64_t at = e->at ? e->at : clock_utc_ms();
    AUTO(tx) struct tx *tx = tx_begin(f->store, TX_WRITE, &f->err);
    assert_ok(tx, f->err);
    assert_ok(tx_exec(tx, &insert,
                      VALUES(V_TEXT(id), V_TEXT(e->incident_id), V_TEXT(e->decision_id),
                             V_TEXT(e->alert_name), V_TEXT(or (e->state, "completed")),
                             V_TEXT(or (e->action, "restart_pod")), V_TEXT(or (e->parameters, "{}")),
                             V_TEXT(or (e->namespace, "shop")), V_TEXT(or (e->kind, "Deployment")),
                             V_TEXT(or (e->name, "web")), V_TEXT(or (e->dry_run, "off")), V_TEXT(id),
                             V_INT(at), V_INT(at), V_TEXT(e->state_before), V_INT(at)),
                      &f->err),
              f->err);
    if (e->score >= 0)
        assess(f, tx, id, e->score, at);
    assert_ok(tx_commit(STEAL(tx), &f->err), f->err);
    return id;
}

const char *scene_incident(struct fixture *f, const struct scene_incident *i)
{
    static const struct str incident = STR(
        "INSERT INTO incidents (id, status, target_key, cluster, namespace, kind, name, rule, title, severity, "
        "severity_rank, opened_at, updated_at) VALUES ($1, 'resolved', $2, '', $3, $4, $5, 'target', $6, "
        "'critical', 0, $7, $8)");
    static const struct str alert = STR(
        "INSERT INTO alerts (id, fingerprint, status, name, severity, severity_rank, namespace, resource, "
        "description, cluster, target_namespace, target_kind, target_name, labels, annotations, generator_url, "
        "receiver, group_key, received_at, last_seen_at, incident_id) VALUES ($1, $2, 'resolved', $3, "
        "'critical', 0, $4, '', '', '', $5, $6, $7, '{}', '{}', '', 'r', 'g', $8, $9, $10)");
    const char *id = new_id(f), *alert_id = new_id(f), *namespace = or (i->namespace, "shop");
    const char *kind = or (i->kind, "Deployment"), *name = or (i->name, "web"),
               *alert_name = or (i->alert_name, "A");
    int64_t at = i->at ? i->at : clock_utc_ms();
    AUTO(tx) struct tx *tx = tx_begin(f->store, TX_WRITE, &f->err);
    assert_ok(tx && tx_exec(tx, &incident,
                            VALUES(V_TEXT(id), V_TEXT(id), V_TEXT(namespace), V_TEXT(kind), V_TEXT(name),
                                   V_TEXT(alert_name), V_INT(at), V_INT(at)),
                            &f->err),
              f->err);
    assert_ok(tx_exec(tx, &alert,
                      VALUES(V_TEXT(alert_id), V_TEXT(alert_id), V_TEXT(alert_name), V_TEXT(namespace),
                             V_TEXT(namespace), V_TEXT(kind), V_TEXT(name), V_INT(at), V_INT(at), V_TEXT(id)),
                      &f->err),
              f->err);
    assert_ok(tx_commit(STEAL(tx), &f->err), f->err);
    return id;
}

int64_t scene_count(struct fixture *f, const char *sql)
{
    AUTO(tx) struct tx *tx = tx_begin(f->store, TX_READ, &f->err);
    AUTO(rows) struct rows *rows = tx ? tx_query_text(tx, str_of(sql), NO_VALUES, &f->err) : NULL;
    bool more = false;
    assert_ok(rows && rows_next(rows, &more, &f->err) && more, f->err);
    return rows_int(rows, 0);
}

void scene_run(struct fixture *f, const char *sql)
{
    AUTO(tx) struct tx *tx = tx_begin(f->store, TX_WRITE, &f->err);
    assert_ok(tx && tx_exec_script(tx, str_of(sql), &f->err) && tx_commit(STEAL(tx), &f->err), f->err);
}
