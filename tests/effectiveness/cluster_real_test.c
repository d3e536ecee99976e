/* The whole way against a real control plane: an action is executed, its workload looked at, and undone if it did not
 * help. */
#include "effectiveness/cluster.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "executor/executor.h"
#include "k8s/k8s.h"
#include "store/outcomes.h"
#include "tests/history/scene.h"
#include "tests/k8s/fixture.h"
#include "tests/test.h"

enum { WAIT_MS = 60 * 1000 };

struct scene {
    struct fixture *f;
    struct config *config;
    struct k8s *k8s;
    struct executor *executor;
    struct cluster_source source;
    struct effectiveness_service *service;
};

static void open_service(struct scene *s, struct k8s *k8s)
{
    s->source = (struct cluster_source){ .k8s = k8s, .executor = s->executor, .fixed = s->config };
    s->service = effectiveness_open(&(struct effectiveness_options){ .store = s->f->store,
                                                                     .fixed = s->config,
                                                                     .sources = cluster_sources(&s->source) },
                                    &s->f->err);
    assert_ok(s->service, s->f->err);
}

/* A person's rule for one workload: whatever is this sure of itself waits for her. */
static const char *policy_of(struct scene *s)
{
    static const char *const text =
        "version: 1\nrules:\n- {name: ask-ada, when: {name: effect-asked, confidence: \">= 1\"}, then: "
        "require_approval}\n- {name: go-on, when: {name: effect-asked}, then: allow}\n";
    const char *path = fixture_path(s->f, "policy.yaml");
    FILE *file = fopen(path, "w");
    assert_true(file && fputs(text, file) >= 0 && fclose(file) == 0);
    return path;
}

static int setup(void **state)
{
    static char *const none[] = { NULL };
    fixture_setup(state);
    clock_replace(NULL); /* the cluster's clock is the real one */
    struct scene *s = xcalloc(1, sizeof *s);
    s->f = *state;
    *state = s;
    const char *const set[] = { "actions.dry_run=off",
                                "actions.cooldown_period=0s",
                                "effectiveness.assess_after=1s",
                                "effectiveness.stable_for=1s",
                                "effectiveness.retry=1s",
                                "effectiveness.query_timeout=10s",
                                "effectiveness.undo_actions=scale_deployment,rollback_deployment",
                                arena_printf(s->f->arena, "policy.file=%s", policy_of(s)),
                                NULL };
    s->config = config_load(&(struct config_options){ .path = "/dev/null", .environment = none, .set = set },
                            &s->f->err);
    assert_ok(s->config, s->f->err);
    s->k8s = cluster_client();
    s->executor = executor_open(
        &(struct executor_options){ .store = s->f->store, .fixed = s->config, .k8s = s->k8s }, &s->f->err);
    assert_ok(s->executor, s->f->err);
    open_service(s, s->k8s);
    return 0;
}

static int teardown(void **state)
{
    struct scene *s = *state;
    struct fixture *f = s->f;
    effectiveness_close(s->service);
    executor_close(s->executor);
    k8s_close(s->k8s);
    config_free(s->config);
    free(s);
    *state = f;
    return fixture_teardown(state);
}

/* ---- workloads of the test's own */

static void apply(struct scene *s, const char *name, const char *image, const char *memory, int replicas)
{
    struct k8s_ref ref = { &k8s_deployments, "shop", name };
    const char *body = arena_printf(
        s->f->arena,
        "{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"metadata\":{\"name\":\"%s\",\"namespace\":\"shop\"},"
        "\"spec\":{\"replicas\":%d,\"selector\":{\"matchLabels\":{\"app\":\"%s\"}},\"template\":{\"metadata\":{"
        "\"labels\":{\"app\":\"%s\"}},\"spec\":{\"containers\":[{\"name\":\"main\",\"image\":"
        "\"registry.example/%s:1\",\"resources\":{\"requests\":{\"cpu\":\"100m\",\"memory\":\"%s\"}}}]}}}}",
        name, replicas, name, name, image, memory);
    AUTO(k8s_object)
    struct k8s_object *object =
        k8s_apply(s->k8s, &ref, str_of(body),
                  &(struct k8s_write){ .force = true, .field_manager = "prometheus-alerts-slm" }, &s->f->err);
    assert_ok(object, s->f->err);
}

/* All pods are there, and as ready as their image lets them be. */
static enum k8s_wait settled(yyjson_val *object, void *context, struct error **err)
{
    (void)err;
    bool ready = *(const bool *)context;
    int64_t wanted = k8s_int_at(object, "/spec/replicas", 1);
    bool current =
        k8s_int_at(object, "/status/observedGeneration", 0) >= k8s_int_at(object, "/metadata/generation", 0);
    bool there = k8s_int_at(object, "/status/updatedReplicas", 0) == wanted &&
                 k8s_int_at(object, "/status/replicas", 0) == wanted;
    bool fits = !ready || k8s_int_at(object, "/status/readyReplicas", 0) == wanted;
    return current && there && fits ? K8S_WAIT_DONE : K8S_WAIT_MORE;
}

static void settle(struct scene *s, const char *name, bool ready)
{
    struct k8s_ref ref = { &k8s_deployments, "shop", name };
    assert_ok(k8s_wait(s->k8s, &ref, WAIT_MS, settled, &ready, NULL, &s->f->err), s->f->err);
}

static int64_t replicas_of(struct scene *s, const char *name)
{
    struct k8s_ref ref = { &k8s_deployments, "shop", name };
    AUTO(k8s_object) struct k8s_object *object = k8s_get(s->k8s, &ref, NULL, &s->f->err);
    assert_ok(object, s->f->err);
    return k8s_int_at(object->root, "/spec/replicas", -1);
}

static const char *image_of(struct scene *s, const char *name)
{
    struct k8s_ref ref = { &k8s_deployments, "shop", name };
    AUTO(k8s_object) struct k8s_object *object = k8s_get(s->k8s, &ref, NULL, &s->f->err);
    assert_ok(object, s->f->err);
    return arena_strdup(s->f->arena, k8s_text_at(object->root, "/spec/template/spec/containers/0/image"));
}

/* ---- executions and their assessment */

static const char *an_incident(struct scene *s, const char *name, bool fires)
{
    const char *id = scene_incident(s->f, &(struct scene_incident){ .name = name });
    scene_run(s->f,
              arena_printf(s->f->arena,
                           "UPDATE alerts SET current = 1, status = '%s', labels = '{\"alertname\":\"A\"}' "
                           "WHERE incident_id = '%s'; UPDATE incidents SET root_alert_id = (SELECT id FROM "
                           "alerts WHERE incident_id = '%s') WHERE id = '%s'",
                           fires ? "firing" : "resolved", id, id, id));
    return id;
}

static struct execution execute(struct scene *s, enum action action, const char *kind, const char *name,
                                const char *parameters, bool fires)
{
    struct execution done;
    struct execution_request request = { .incident_id = an_incident(s, name, fires),
                                         .alert_name = "A",
                                         .action = action,
                                         .parameters = parameters,
                                         .kind = kind,
                                         .namespace = "shop",
                                         .name = name,
                                         .confidence = 0.95,
                                         .requested_by = "test" };
    clock_sleep_ms(20); /* the alert began before the execution */
    assert_ok(executor_execute(s->executor, s->f->arena, &request, &done, NULL, &s->f->err), s->f->err);
    if (done.state == EXECUTION_PENDING) { /* high risk: a person has to say yes */
        struct approval approval;
        assert_ok(
            executor_approve(s->executor, s->f->arena, done.id, true, "ada", "go on", &approval, &s->f->err),
            s->f->err);
        assert_ok(executor_tend(s->executor, &s->f->err), s->f->err);
        assert_ok(executor_get(s->executor, s->f->arena, done.id, &done, &s->f->err), s->f->err);
    }
    if (done.state != EXECUTION_COMPLETED)
        fail_msg("%s: %s", execution_state_names[done.state], done.error);
    return done;
}

static struct effectiveness_round tend(struct scene *s)
{
    struct effectiveness_round round = { 0 };
    assert_ok(effectiveness_tend(s->service, &round, &s->f->err), s->f->err);
    return round;
}

static struct assessment_record assess(struct scene *s, const struct execution *execution)
{
    struct assessment_record record = { .state = "" };
    int64_t until = clock_mono_ms() + WAIT_MS;
    while (strcmp(record.state, "done") != 0) {
        bool found;
        assert_true(clock_mono_ms() < until);
        tend(s);
        clock_sleep_ms(100);
        AUTO(tx) struct tx *tx = tx_begin(s->f->store, TX_READ, &s->f->err);
        assert_ok(tx && assessment_of(tx, s->f->arena, execution->id, &record, &found, &s->f->err) && found,
                  s->f->err);
    }
    return record;
}

static int64_t undos_of(struct scene *s, const struct execution *execution)
{
    return scene_count(s->f, arena_printf(s->f->arena,
                                          "SELECT count(*) FROM executions WHERE undo_of = '%s' AND state = "
                                          "'completed' AND requested_by = 'effectiveness'",
                                          execution->id));
}

static void healthy_workload_is_assessed_high_with_its_cost(void **state)
{
    struct scene *s = *state;
    apply(s, "effect-well", "well", "64Mi", 2);
    settle(s, "effect-well", true);
    struct execution e =
        execute(s, ACTION_SCALE_DEPLOYMENT, "Deployment", "effect-well", "{\"replicas\":4}", false);
    settle(s, "effect-well", true);
    clock_sleep_ms(1100);
    struct assessment_record a = assess(s, &e);
    assert_true(a.score > 0.99);
    assert_true(fabs(a.confidence - 0.7) < 1e-6); /* all but the metric: there is no Prometheus */
    assert_non_null(strstr(a.criteria, "\"resource_stabilized\":1"));
    assert_non_null(strstr(a.factors, "\"restarts\":0"));
    assert_string_equal(a.cost, "{\"cpu_before\":0.2,\"cpu_after\":0.4,\"memory_before\":1.34218e+08,"
                                "\"memory_after\":2.68435e+08}");
    tend(s);
    assert_int_equal(undos_of(s, &e), 0);
    assert_int_equal(replicas_of(s, "effect-well"), 4);
}

static void scale_that_did_not_help_is_undone_once(void **state)
{
    struct scene *s = *state;
    apply(s, "effect-ill", "unready", "64Mi", 1);
    settle(s, "effect-ill", false);
    struct execution e =
        execute(s, ACTION_SCALE_DEPLOYMENT, "Deployment", "effect-ill", "{\"replicas\":3}", true);
    settle(s, "effect-ill", false);
    struct assessment_record a = assess(s, &e);
    assert_true(a.score < 0.01);
    assert_non_null(strstr(a.criteria, "\"resource_stabilized\":0"));
    assert_non_null(strstr(a.improvements, "it costs more and did not help: undo it"));
    for (int i = 0; i < 3; i++)
        tend(s);
    assert_int_equal(undos_of(s, &e), 1);
    assert_int_equal(replicas_of(s, "effect-ill"), 1);
    assert_ok(executor_get(s->executor, s->f->arena, e.id, &e, &s->f->err), s->f->err);
    assert_int_equal(e.state, EXECUTION_ROLLED_BACK);

    /* Whoever takes the job over, because its first owner died before it said so, makes no second one. */
    struct execution again;
    struct error *err = NULL;
    const char *key = arena_printf(s->f->arena, "auto_undo:%s", e.id);
    assert_ok(executor_undo(s->executor, s->f->arena,
                            &(struct execution_undo){ .id = e.id, .mode = EXECUTOR_REAL, .key = key }, &again,
                            &err),
              err);
    assert_string_equal(again.id, e.undone_by);
    assert_int_equal(undos_of(s, &e), 1);
}

static void rollback_to_what_is_worse_is_undone(void **state)
{
    struct scene *s = *state;
    apply(s, "effect-back", "unready", "256Mi", 1);
    settle(s, "effect-back", false);
    apply(s, "effect-back", "well", "64Mi", 1);
    settle(s, "effect-back", true);
    struct execution e = execute(s, ACTION_ROLLBACK_DEPLOYMENT, "Deployment", "effect-back", NULL, true);
    assert_string_equal(image_of(s, "effect-back"), "registry.example/unready:1");
    struct assessment_record a = assess(s, &e);
    assert_true(a.score < 0.01);
    assert_non_null(strstr(a.cost, "\"memory_before\":6.71089e+07,\"memory_after\":2.68435e+08"));
    tend(s);
    assert_int_equal(undos_of(s, &e), 1);
    assert_string_equal(image_of(s, "effect-back"), "registry.example/well:1");
}

static void what_somebody_else_changed_since_is_left_alone(void **state)
{
    struct scene *s = *state;
    apply(s, "effect-other", "unready", "64Mi", 1);
    settle(s, "effect-other", false);
    struct execution e =
        execute(s, ACTION_SCALE_DEPLOYMENT, "Deployment", "effect-other", "{\"replicas\":3}", true);
    struct k8s_ref ref = { &k8s_deployments, "shop", "effect-other" };
    assert_ok(k8s_scale(s->k8s, &ref, 5, NULL, NULL, NULL, &s->f->err), s->f->err);
    assess(s, &e);
    for (int i = 0; i < 3; i++)
        tend(s);
    assert_int_equal(replicas_of(s, "effect-other"), 5);
    assert_int_equal(undos_of(s, &e), 0);
    assert_int_equal(scene_count(s->f, "SELECT count(*) FROM jobs WHERE kind = 'auto_undo'"), 0);
}

static void what_policy_keeps_for_a_person_is_not_undone(void **state)
{
    struct scene *s = *state;
    apply(s, "effect-asked", "unready", "64Mi", 1);
    settle(s, "effect-asked", false);
    struct execution e =
        execute(s, ACTION_SCALE_DEPLOYMENT, "Deployment", "effect-asked", "{\"replicas\":2}", true);
    assert_true(assess(s, &e).score < 0.01);
    tend(s);
    assert_int_equal(scene_count(s->f, "SELECT count(*) FROM jobs WHERE kind = 'auto_undo'"), 0);
    assert_int_equal(undos_of(s, &e), 0);
    assert_int_equal(replicas_of(s, "effect-asked"), 2);
}

static void evicted_pod_leads_to_its_workload(void **state)
{
    struct scene *s = *state;
    AUTO(k8s_list) struct k8s_list pods = { 0 };
    apply(s, "effect-pod", "well", "64Mi", 2);
    settle(s, "effect-pod", true);
    assert_ok(k8s_list(s->k8s, &k8s_pods, "shop",
                       &(struct k8s_list_options){ .label_selector = "app=effect-pod" }, &pods, &s->f->err),
              s->f->err);
    struct execution e =
        execute(s, ACTION_RESTART_POD, "Pod", k8s_text_at(pods.items[0], "/metadata/name"), NULL, false);
    settle(s, "effect-pod", true);
    clock_sleep_ms(1100);
    struct assessment_record a = assess(s, &e);
    assert_non_null(strstr(a.criteria, "\"resource_stabilized\":1"));
    assert_null(a.notes);
}

/* The same cluster at a port where nobody listens. */
static struct k8s *client_of_nobody(struct scene *s)
{
    const char *path = fixture_path(s->f, "gone.yaml");
    free(shell("sed -E 's#(https://[^:]*):[0-9]+#\\1:1#' %s >%s && grep -q ':1$\\|:1[^0-9]' %s",
               cluster_kubeconfig(), path, path));
    struct k8s *gone = k8s_open(&(struct k8s_options){ .kubeconfig = path, .deadline_ms = 2000 }, &s->f->err);
    assert_ok(gone, s->f->err);
    assert_non_null(strstr(k8s_server(gone), ":1"));
    return gone;
}

/* An execution that helped, asked of a cluster that does not answer. */
static void cluster_that_is_gone_costs_confidence_and_no_score(void **state)
{
    struct scene *s = *state;
    apply(s, "effect-gone", "well", "64Mi", 1);
    settle(s, "effect-gone", true);
    struct execution e =
        execute(s, ACTION_SCALE_DEPLOYMENT, "Deployment", "effect-gone", "{\"replicas\":2}", false);
    settle(s, "effect-gone", true);
    struct k8s *gone = client_of_nobody(s);
    effectiveness_close(s->service);
    open_service(s, gone);
    struct assessment_record a = assess(s, &e);
    effectiveness_close(STEAL(s->service));
    k8s_close(gone);
    assert_true(a.score > 0.99);
    assert_true(fabs(a.confidence - 0.55) < 1e-6);
    assert_non_null(strstr(a.criteria, "\"resource_stabilized\":null"));
    assert_non_null(strstr(a.notes, "how Deployment shop/effect-gone is doing"));
    assert_null(a.cost);
}

/* An undo that the cluster does not answer to is not spent: it comes back. */
static void undo_waits_for_a_cluster_that_is_away(void **state)
{
    struct scene *s = *state;
    apply(s, "effect-away", "unready", "64Mi", 1);
    settle(s, "effect-away", false);
    struct execution e =
        execute(s, ACTION_SCALE_DEPLOYMENT, "Deployment", "effect-away", "{\"replicas\":2}", true);
    struct k8s *gone = client_of_nobody(s);
    effectiveness_close(s->service);
    open_service(s, gone);
    assess(s, &e);
    tend(s);
    assert_int_equal(scene_count(s->f, "SELECT count(*) FROM jobs WHERE kind = 'auto_undo'"), 1);
    effectiveness_close(s->service);
    k8s_close(gone);
    open_service(s, s->k8s);
    for (int64_t until = clock_mono_ms() + WAIT_MS; !undos_of(s, &e) && clock_mono_ms() < until;) {
        tend(s);
        clock_sleep_ms(100);
    }
    assert_int_equal(undos_of(s, &e), 1);
    assert_int_equal(replicas_of(s, "effect-away"), 1);
}

static int stop_cluster(void **state)
{
    (void)state;
    cluster_stop();
    return 0;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(healthy_workload_is_assessed_high_with_its_cost),
        TEST(scale_that_did_not_help_is_undone_once),
        TEST(rollback_to_what_is_worse_is_undone),
        TEST(what_somebody_else_changed_since_is_left_alone),
        TEST(what_policy_keeps_for_a_person_is_not_undone),
        TEST(evicted_pod_leads_to_its_workload),
        TEST(cluster_that_is_gone_costs_confidence_and_no_score),
        TEST(undo_waits_for_a_cluster_that_is_away),
    };
    return cmocka_run_group_tests(tests, NULL, stop_cluster);
}
