/* What is made of a workload's object and its pods. */
#include "effectiveness/cluster.h"

#include <math.h>

#include "k8s/k8s.h"
#include "tests/test.h"

#define MI 1048576.0
#define WEB                                                                                                  \
    "{\"metadata\":{\"name\":\"web\"},\"spec\":{\"replicas\":4,\"template\":{\"spec\":{\"containers\":["     \
    "{\"name\":\"web\",\"resources\":{\"requests\":{\"cpu\":\"250m\"},\"limits\":{\"memory\":\"256Mi\"}}},"  \
    "{\"name\":\"proxy\",\"resources\":{\"limits\":{\"memory\":\"64Mi\"}}}]}}}}"

static struct cost_evidence cost_of(const char *kind, const char *json, const char *state_before)
{
    struct error *err = NULL;
    AUTO(arena) struct arena *arena = arena_new(4096);
    AUTO(k8s_object) struct k8s_object *object = k8s_object_parse(str_of(json), &err);
    struct cost_evidence cost;
    assert_ok(object, err);
    cluster_cost(arena, kind, object->root, state_before, &cost);
    return cost;
}

static void expect(double value, double wanted)
{
    if (isnan(wanted) ? !isnan(value) : !(fabs(value - wanted) < 1e-6))
        fail_msg("%g, not %g", value, wanted);
}

static void cost_before_is_what_the_execution_changed_put_back(void **state)
{
    static const struct {
        const char *recorded;
        double cpu, memory; /* before */
    } cases[] = {
        { "[{\"kind\":\"Deployment\",\"name\":\"web\",\"fields\":{\"/spec/replicas\":2}}]", 0.5, 640 * MI },
        { "[{\"kind\":\"Deployment\",\"name\":\"web\",\"fields\":{\"/spec/template/spec/containers[name=web]"
          "/resources\":{\"limits\":{\"memory\":\"128Mi\"}}}}]",
          NAN, 768 * MI },
        { "[{\"kind\":\"Deployment\",\"name\":\"web\",\"fields\":{\"/spec/template\":{\"spec\":{\"containers\":"
          "[{\"name\":\"web\",\"resources\":{\"requests\":{\"cpu\":1,\"memory\":\"1Gi\"}}}]}}}}]",
          4, 4096 * MI },
        { "[{\"kind\":\"Pod\",\"name\":\"web\",\"fields\":{\"/spec/replicas\":2}}]", 1, 1280 * MI },
        { "[{\"kind\":\"HorizontalPodAutoscaler\",\"name\":\"web\",\"fields\":{\"/spec/maxReplicas\":2}}]",
          NAN, NAN },
        { NULL, NAN, NAN },
        { "no JSON", NAN, NAN },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct cost_evidence cost = cost_of("Deployment", WEB, cases[i].recorded);
        expect(cost.cpu_after, 1);
        expect(cost.memory_after, 1280 * MI);
        expect(cost.cpu_before, cases[i].cpu);
        expect(cost.memory_before, cases[i].memory);
    }
}

static void what_nobody_asks_for_is_not_known(void **state)
{
    (void)state;
    struct cost_evidence cost =
        cost_of("Pod", "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"containers\":[{\"name\":\"a\"}]}}", "[]");
    expect(cost.cpu_after, NAN);
    expect(cost.memory_before, NAN);
    cost = cost_of(
        "DaemonSet",
        "{\"metadata\":{\"name\":\"d\"},\"status\":{\"desiredNumberScheduled\":3},\"spec\":{"
        "\"template\":{\"spec\":{\"containers\":[{\"name\":\"a\",\"resources\":{\"requests\":{\"cpu\":"
        "\"0.1\"}}}]}}}}",
        "[]");
    expect(cost.cpu_before, 0.3);
}

static struct workload_evidence restarts_of(const char *json, int64_t began, int64_t now)
{
    struct error *err = NULL;
    AUTO(k8s_object) struct k8s_object *pod = k8s_object_parse(str_of(json), &err);
    struct workload_evidence evidence = { 0 };
    assert_ok(pod, err);
    cluster_restarts(&pod->root, 1, began, now, &evidence);
    return evidence;
}

#define POD(created, count, ended)                                                                           \
    "{\"metadata\":{\"name\":\"p\",\"creationTimestamp\":\"" created                                         \
    "\"},\"status\":{\"containerStatuses\":["                                                                \
    "{\"restartCount\":" count ",\"lastState\":{\"terminated\":{\"finishedAt\":\"" ended "\"}}}]}}"

static void restarts_count_from_the_execution_on(void **state)
{
    int64_t began, now;
    (void)state;
    assert_true(clock_parse(STR("2026-11-28T10:00:00Z"), &began) &&
                clock_parse(STR("2026-11-28T10:10:00Z"), &now));
    struct workload_evidence e =
        restarts_of(POD("2026-11-28T09:00:00Z", "14", "2026-11-28T09:30:00Z"), began, now);
    assert_int_equal(e.restarts, 0); /* all of them were before */
    assert_int_equal(e.stable_for_ms, 40 * 60000);
    e = restarts_of(POD("2026-11-28T09:00:00Z", "14", "2026-11-28T10:08:00Z"), began, now);
    assert_int_equal(e.restarts, 1); /* the last one, and perhaps more */
    assert_int_equal(e.stable_for_ms, 2 * 60000);
    e = restarts_of(POD("2026-11-28T10:01:00Z", "5", "2026-11-28T10:09:00Z"), began, now);
    assert_int_equal(e.restarts, 5); /* it did not live before */
    e = restarts_of("{\"metadata\":{\"name\":\"p\"}}", began, now);
    assert_int_equal(e.restarts, 0);
    assert_int_equal(e.stable_for_ms, 10 * 60000);
}

static void without_a_cluster_there_are_no_sources(void **state)
{
    struct cluster_source source = { 0 };
    (void)state;
    struct effectiveness_sources sources = cluster_sources(&source);
    assert_true(!sources.workload && !sources.cost && !sources.undo && !sources.may_undo);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cost_before_is_what_the_execution_changed_put_back),
        cmocka_unit_test(what_nobody_asks_for_is_not_known),
        cmocka_unit_test(restarts_count_from_the_execution_on),
        cmocka_unit_test(without_a_cluster_there_are_no_sources),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
