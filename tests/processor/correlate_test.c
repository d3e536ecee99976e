#include "tests/processor/fixture.h"

static const struct incident_query every = { 0 };

static void alert(struct pipeline *p, const char *name, const char *labels)
{
    AUTO(text) char *all = xasprintf("\"alertname\":\"%s\",\"namespace\":\"shop\",%s", name, labels);
    pipeline_alert(p, all, 10, 0);
}

static void pods_of_one_owner_and_the_owner_are_one_incident(void **state)
{
    struct pipeline *p = *state;
    alert(p, "Crash", "\"pod\":\"web-5d4f7c9b8d-x2x4z\"");
    alert(p, "Crash", "\"pod\":\"web-5d4f7c9b8d-bbbbb\"");
    alert(p, "Replicas", "\"deployment\":\"web\",\"severity\":\"critical\"");
    struct incidents incidents = pipeline_incidents(p, &every);
    assert_int_equal(incidents.count, 1);
    assert_int_equal(incidents.items[0].alerts, 3);
    assert_str_equal(incidents.items[0].target.kind, STR("Deployment"));
    assert_str_equal(incidents.items[0].title, STR("Replicas")); /* the most urgent is the root candidate */
    assert_int_equal(incidents.items[0].severity_rank, SEVERITY_CRITICAL);
}

static void three_hundred_deployments_in_one_group_are_as_many_incidents(void **state)
{
    struct pipeline *p = *state;
    AUTO(strbuf) struct strbuf alerts = { 0 };
    for (int i = 0; i < 300; i++)
        strbuf_addf(&alerts,
                    "%s{\"labels\":{\"alertname\":\"Crash\",\"namespace\":\"n\",\"deployment\":\"d%d\"}}",
                    i ? "," : "", i);
    pipeline_deliver(p, alerts.ptr);
    assert_int_equal(pipeline_incidents(p, &every).count, 300);
}

static void what_happens_on_a_node_in_trouble_belongs_to_the_node(void **state)
{
    struct pipeline *p = *state;
    alert(p, "NotReady", "\"node\":\"n1\"");
    alert(p, "Crash", "\"pod\":\"web-0\",\"node\":\"n1\"");
    alert(p, "Crash", "\"pod\":\"web-1\",\"node\":\"n2\"");
    struct incidents incidents = pipeline_incidents(p, &every);
    assert_int_equal(incidents.count, 2);
    struct incident node = pipeline_incidents(p, &(struct incident_query){ .kind = "node" }).items[0];
    assert_int_equal(node.alerts, 2);
    assert_str_equal(node.title, STR("NotReady"));
    assert_string_equal(node.rule, "node");
}

static void a_node_that_is_told_of_later_adopts_what_was_seen_on_it(void **state)
{
    struct pipeline *p = *state;
    alert(p, "Crash", "\"pod\":\"web-0\",\"node\":\"n1\"");
    alert(p, "NotReady", "\"node\":\"n1\"");
    struct incident node = pipeline_incidents(p, &(struct incident_query){ .kind = "Node" }).items[0];
    struct incidents children = pipeline_incidents(p, &(struct incident_query){ .parent_id = node.id });
    assert_int_equal(children.count, 1);
    assert_true(pipeline_work(p) && pipeline_work(p));
    struct incident child = pipeline_incidents(p, &(struct incident_query){ .parent_id = node.id }).items[0];
    assert_str_equal(child.work, STR("parent")); /* it waits for the node */
    pipeline_alert(p, "\"alertname\":\"NotReady\",\"namespace\":\"shop\",\"node\":\"n1\"", 10, 20);
    assert_false(pipeline_work(p));
    fixture_advance(p->store, 5 * 60 * 1000 + 1);
    assert_true(pipeline_work(p)); /* and still fires when the node is well again */
}

static void a_claim_named_after_a_pod_joins_it_within_a_group(void **state)
{
    struct pipeline *p = *state;
    alert(p, "Crash", "\"pod\":\"db-0\"");
    alert(p, "VolumeFull", "\"persistentvolumeclaim\":\"data-db-0\"");
    struct incidents incidents = pipeline_incidents(p, &every);
    assert_int_equal(incidents.count, 1);
    assert_string_equal(incidents.items[0].rule, "volume");
    assert_str_equal(incidents.items[0].title, STR("VolumeFull")); /* a volume explains its pod */
}

static void alerts_that_name_nothing_stay_alone(void **state)
{
    struct pipeline *p = *state;
    pipeline_alert(p, "\"alertname\":\"A\"", 10, 0);
    pipeline_alert(p, "\"alertname\":\"B\"", 10, 0);
    alert(p, "C", "\"x\":\"1\""); /* a namespace only */
    alert(p, "D", "\"x\":\"1\"");
    assert_int_equal(pipeline_incidents(p, &every).count, 4);
}

static void rules_of_the_configuration_join_what_agrees_in_their_labels(void **state)
{
    struct pipeline *p = *state;
    pipeline_configure(p,
                       "correlation:\n  rules:\n    - name: zone\n      match: { alertname: ['Zone*'] }\n"
                       "      same: [zone]\n      window: 10m\n",
                       NULL);
    alert(p, "ZoneDown", "\"deployment\":\"a\",\"zone\":\"z1\"");
    alert(p, "ZoneSlow", "\"deployment\":\"b\",\"zone\":\"z1\"");
    alert(p, "ZoneSlow", "\"deployment\":\"c\",\"zone\":\"z2\"");
    alert(p, "Other", "\"deployment\":\"d\",\"zone\":\"z1\"");
    assert_int_equal(pipeline_incidents(p, &every).count, 3);
    assert_string_equal(pipeline_incidents(p, &(struct incident_query){ .name = "a" }).items[0].rule, "zone");
    fixture_advance(p->store, 11 * 60 * 1000);
    alert(p, "ZoneSlow", "\"deployment\":\"e\",\"zone\":\"z1\"");
    assert_int_equal(pipeline_incidents(p, &every).count, 4);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, pipeline_setup, pipeline_teardown)
    const struct CMUnitTest tests[] = {
        TEST(pods_of_one_owner_and_the_owner_are_one_incident),
        TEST(three_hundred_deployments_in_one_group_are_as_many_incidents),
        TEST(what_happens_on_a_node_in_trouble_belongs_to_the_node),
        TEST(a_node_that_is_told_of_later_adopts_what_was_seen_on_it),
        TEST(a_claim_named_after_a_pod_joins_it_within_a_group),
        TEST(alerts_that_name_nothing_stay_alone),
        TEST(rules_of_the_configuration_join_what_agrees_in_their_labels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
