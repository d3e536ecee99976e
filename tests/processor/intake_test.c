/* Deliveries → alerts: one open alert a fingerprint, whatever order they come in. */
#include "tests/processor/fixture.h"

#define LABELS "\"alertname\":\"A\",\"namespace\":\"shop\",\"deployment\":\"web\",\"severity\":\"warning\""
static const struct alert_query every = { 0 };
static const struct alert_query open_ones = { .status = "firing" };

static void a_firing_alert_becomes_an_alert_and_an_incident(void **state)
{
    struct pipeline *p = *state;
    pipeline_alert(p, LABELS, 10, 0);
    struct alert_records alerts = pipeline_alerts(p, &every);
    struct incidents incidents = pipeline_incidents(p, &(struct incident_query){ 0 });
    assert_int_equal(alerts.count, 1);
    assert_int_equal(incidents.count, 1);
    assert_string_equal(alerts.items[0].incident_id, incidents.items[0].id);
    assert_string_equal(incidents.items[0].root_alert_id, alerts.items[0].id);
    assert_str_equal(incidents.items[0].target.kind, STR("Deployment"));
    assert_str_equal(incidents.items[0].title, STR("A"));
    assert_str_equal(incidents.items[0].work, STR("waiting"));
    assert_int_equal(incidents.items[0].firing, 1);
    assert_string_equal(incidents.items[0].trace_id, "0123456789abcdef0123456789abcdef");
    assert_int_equal(inbox_waiting(p->store->store), 0);
}

static void repeats_and_duplicates_update_it_and_keep_the_earliest_start(void **state)
{
    struct pipeline *p = *state;
    pipeline_alert(p, LABELS, 10, 0);
    fixture_advance(p->store, 5000);
    pipeline_alert(p, LABELS, 4, 0);
    pipeline_alert(p, LABELS, 12, 0);
    struct alert_records alerts = pipeline_alerts(p, &every);
    assert_int_equal(alerts.count, 1);
    assert_int_equal(alerts.items[0].deliveries, 3);
    assert_int_equal(alerts.items[0].alert.starts_at, INT64_C(1795000000000) - 3600 * 1000 + 4000);
    assert_int_equal(alerts.items[0].last_seen_at - alerts.items[0].received_at, 5000);
    assert_int_equal(pipeline_incidents(p, &(struct incident_query){ 0 }).items[0].firing, 1);
}

static void resolved_closes_it_and_its_incident(void **state)
{
    struct pipeline *p = *state;
    pipeline_alert(p, LABELS, 10, 0);
    pipeline_alert(p, LABELS, 10, 20);
    assert_int_equal(pipeline_alerts(p, &open_ones).count, 0);
    struct incident incident = pipeline_incidents(p, &(struct incident_query){ 0 }).items[0];
    assert_int_equal(incident.status, INCIDENT_RESOLVED);
    assert_int_equal(incident.firing, 0);
    assert_true(incident.resolved_at > 0);
}

static void an_alert_keeps_the_trace_of_its_first_delivery_to_the_end(void **state)
{
    static const char first[] = "11111111111111111111111111111111",
                      later[] = "22222222222222222222222222222222";
    struct pipeline *p = *state;
    p->trace_id = first;
    pipeline_alert(p, LABELS, 10, 0);
    p->trace_id = later;
    pipeline_alert(p, LABELS, 8, 0);
    pipeline_alert(p, LABELS, 8, 20);
    assert_string_equal(pipeline_alerts(p, &every).items[0].trace_id, first);
    assert_string_equal(pipeline_incidents(p, &(struct incident_query){ 0 }).items[0].trace_id, first);
    pipeline_alert(p, LABELS, 8, 0); /* back again, as the same alert */
    assert_string_equal(pipeline_alerts(p, &every).items[0].trace_id, first);
    pipeline_alert(p, LABELS, 8, 30);
    pipeline_alert(p, LABELS, 100, 0); /* another one, which begins with this delivery */
    struct alert_records alerts = pipeline_alerts(p, &open_ones);
    assert_int_equal(alerts.count, 1);
    assert_string_equal(alerts.items[0].trace_id, later);
}

static void resolved_closes_only_what_had_started_by_its_end(void **state)
{
    struct pipeline *p = *state;
    pipeline_alert(p, LABELS, 100, 0);
    pipeline_alert(p, LABELS, 10, 50); /* of an earlier episode, delivered late */
    struct alert_records alerts = pipeline_alerts(p, &every);
    assert_int_equal(alerts.count, 1);
    assert_int_equal(alerts.items[0].alert.status, ALERT_FIRING);
    assert_int_equal(alerts.items[0].alert.starts_at, INT64_C(1795000000000) - 3600 * 1000 + 100 * 1000);
}

static void a_start_in_the_future_does_not_outlive_the_end(void **state)
{
    struct pipeline *p = *state;
    pipeline_alert(p, LABELS, 2 * 3600, 0);
    pipeline_alert(p, LABELS, 3600, 3610);
    assert_int_equal(pipeline_alerts(p, &every).count, 1);
    assert_int_equal(pipeline_alerts(p, &open_ones).count, 0);
}

static void a_start_after_the_end_is_a_new_alert_and_a_new_incident(void **state)
{
    struct pipeline *p = *state;
    pipeline_alert(p, LABELS, 10, 0);
    pipeline_alert(p, LABELS, 10, 20);
    pipeline_alert(p, LABELS, 21, 0);
    struct alert_records alerts = pipeline_alerts(p, &every);
    assert_int_equal(alerts.count, 2);
    assert_true(alerts.items[0].current && !alerts.items[1].current);
    assert_int_equal(pipeline_incidents(p, &(struct incident_query){ 0 }).count, 2);
}

static void a_late_firing_reopens_but_works_only_after_the_grace(void **state)
{
    struct pipeline *p = *state;
    static int steps_run;
    pipeline_alert(p, LABELS, 10, 0);
    while (pipeline_work(p))
        steps_run++;
    pipeline_alert(p, LABELS, 10, 20);
    fixture_advance(p->store, 60 * 1000);
    pipeline_alert(p, LABELS, 10, 0);
    assert_int_equal(pipeline_alerts(p, &every).count, 1);
    assert_int_equal(pipeline_alerts(p, &open_ones).count, 1);
    assert_int_equal(pipeline_incidents(p, &(struct incident_query){ .status = "open" }).count, 1);
    assert_false(pipeline_work(p));
    fixture_advance(p->store, 4 * 60 * 1000 + 1);
    assert_true(pipeline_work(p));
}

static void an_end_without_a_beginning_is_kept_and_starts_nothing(void **state)
{
    struct pipeline *p = *state;
    pipeline_alert(p, LABELS, 10, 20);
    assert_int_equal(pipeline_alerts(p, &every).count, 1);
    assert_int_equal(pipeline_incidents(p, &(struct incident_query){ 0 }).count, 0);
    pipeline_alert(p, LABELS, 10, 0); /* its firing, delivered late */
    assert_int_equal(pipeline_alerts(p, &every).count, 1);
    assert_int_equal(pipeline_incidents(p, &(struct incident_query){ 0 }).count, 1);
}

static void flapping_is_marked_and_starts_no_work_until_it_has_calmed_down(void **state)
{
    struct pipeline *p = *state;
    pipeline_configure(p, "intake: { flap_changes: 4, flap_window: 10m }\n", NULL);
    for (int i = 0; i < 3; i++) {
        pipeline_alert(p, LABELS, 10 + 20 * i, 0);
        while (pipeline_work(p))
            ;
        pipeline_alert(p, LABELS, 10 + 20 * i, 20 + 20 * i);
        fixture_advance(p->store, 1000);
    }
    pipeline_alert(p, LABELS, 100, 0);
    struct alert_records alerts = pipeline_alerts(p, &open_ones);
    assert_int_equal(alerts.count, 1);
    assert_true(alerts.items[0].flapping);
    assert_false(pipeline_work(p));
    fixture_advance(p->store, 10 * 60 * 1000);
    assert_true(pipeline_work(p));
}

static void silence_ends_an_alert(void **state)
{
    struct pipeline *p = *state;
    bool more;
    pipeline_alert(p, LABELS, 10, 0);
    fixture_advance(p->store, INT64_C(4) * 3600 * 1000);
    assert_ok(expire_once(p->processor, p->store->arena, clock_utc_ms(), &more, &p->err), p->err);
    assert_int_equal(pipeline_alerts(p, &open_ones).count, 1);
    fixture_advance(p->store, 16 * 60 * 1000);
    assert_ok(expire_once(p->processor, p->store->arena, clock_utc_ms(), &more, &p->err), p->err);
    assert_int_equal(pipeline_alerts(p, &open_ones).count, 0);
    assert_int_equal(pipeline_incidents(p, &(struct incident_query){ .status = "open" }).count, 0);
}

static void filtered_alerts_are_kept_but_not_worked_on(void **state)
{
    struct pipeline *p = *state;
    pipeline_configure(p, "filters:\n  - name: prod\n    conditions: { namespace: ['prod*'] }\n", NULL);
    pipeline_alert(p, LABELS, 10, 0);
    assert_true(pipeline_alerts(p, &every).items[0].filtered);
    assert_int_equal(pipeline_incidents(p, &(struct incident_query){ 0 }).count, 0);
    pipeline_configure(p, NULL, NULL); /* the filter is taken away; the next repeat passes */
    pipeline_alert(p, LABELS, 10, 0);
    assert_false(pipeline_alerts(p, &every).items[0].filtered);
    assert_int_equal(pipeline_incidents(p, &(struct incident_query){ 0 }).count, 1);
    pipeline_alert(p, LABELS, 10, 20);
    assert_int_equal(pipeline_incidents(p, &(struct incident_query){ 0 }).items[0].firing, 0);
}

static void a_payload_larger_than_a_transaction_is_worked_in_whole(void **state)
{
    struct pipeline *p = *state;
    AUTO(strbuf) struct strbuf alerts = { 0 };
    for (int i = 0; i < 700; i++)
        strbuf_addf(&alerts,
                    "%s{\"labels\":{\"alertname\":\"A\",\"namespace\":\"n\",\"deployment\":\"d%d\"}}",
                    i ? "," : "", i);
    pipeline_deliver(p, alerts.ptr);
    assert_int_equal(pipeline_alerts(p, &every).count, 700);
    assert_int_equal(pipeline_incidents(p, &(struct incident_query){ 0 }).count, 700);
}

static void a_payload_that_cannot_be_read_is_kept_aside_and_holds_nobody_up(void **state)
{
    struct pipeline *p = *state;
    struct inbox_item item = { .payload = STR("{\"version\":\"4\"}"), .alerts = 1, .trace_id = "t" };
    assert_ok(inbox_append(p->store->store, &item, &p->err), p->err);
    pipeline_alert(p, LABELS, 10, 0);
    assert_int_equal(pipeline_alerts(p, &every).count, 1);
    assert_int_equal(inbox_waiting(p->store->store), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, pipeline_setup, pipeline_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_firing_alert_becomes_an_alert_and_an_incident),
        TEST(repeats_and_duplicates_update_it_and_keep_the_earliest_start),
        TEST(resolved_closes_it_and_its_incident),
        TEST(an_alert_keeps_the_trace_of_its_first_delivery_to_the_end),
        TEST(resolved_closes_only_what_had_started_by_its_end),
        TEST(a_start_in_the_future_does_not_outlive_the_end),
        TEST(a_start_after_the_end_is_a_new_alert_and_a_new_incident),
        TEST(a_late_firing_reopens_but_works_only_after_the_grace),
        TEST(an_end_without_a_beginning_is_kept_and_starts_nothing),
        TEST(flapping_is_marked_and_starts_no_work_until_it_has_calmed_down),
        TEST(silence_ends_an_alert),
        TEST(filtered_alerts_are_kept_but_not_worked_on),
        TEST(a_payload_larger_than_a_transaction_is_worked_in_whole),
        TEST(a_payload_that_cannot_be_read_is_kept_aside_and_holds_nobody_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
