#include "policy/policy.h"

#include <math.h>
#include <stdio.h>

#include "tests/test.h"

#define POLICY(text) ("version: 1\n" text)

static struct policy_verdict judge(struct arena *arena, const char *yaml,
                                   const struct policy_question *question)
{
    AUTO(error) struct error *err = NULL;
    AUTO(policy) struct policy *policy = policy_parse("p.yaml", str_of(yaml), &err);
    struct policy_verdict verdict = { .rule = "" };
    assert_ok(policy != NULL, err);
    policy_judge(policy, arena, question, &verdict);
    return verdict;
}

static void without_rules_risk_and_confidence_decide(void **state)
{
    static const struct {
        enum action action;
        double confidence;
        enum verdict verdict;
    } cases[] = {
        { ACTION_RESTART_POD, 0.1, VERDICT_ALLOW },
        { ACTION_SCALE_DEPLOYMENT, 0.8, VERDICT_ALLOW },
        { ACTION_SCALE_DEPLOYMENT, 0.79, VERDICT_REQUIRE_APPROVAL },
        { ACTION_DRAIN_NODE, 1, VERDICT_REQUIRE_APPROVAL },
        { ACTION_QUARANTINE_POD, 1, VERDICT_REQUIRE_APPROVAL },
    };
    AUTO(arena) struct arena *arena = arena_new(1024);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct policy_question q = { .action = cases[i].action, .confidence = cases[i].confidence };
        struct policy_verdict verdict = judge(arena, "", &q);
        assert_int_equal(verdict.verdict, cases[i].verdict);
        assert_string_equal(verdict.rule, "default");
    }
    struct policy_question unknown = { .action = ACTION_SCALE_DEPLOYMENT, .confidence = NAN };
    assert_int_equal(judge(arena, "", &unknown).verdict, VERDICT_REQUIRE_APPROVAL);
    (void)state;
}

static void the_first_rule_that_matches_decides_and_is_named(void **state)
{
    static const char yaml[] = POLICY(
        "rules:\n"
        "- { name: prod-scaling, when: { action: 'scale_*', namespace: ['prod-*', live] }, then: allow }\n"
        "- { name: prod-rest, when: { namespace: 'prod-*' }, then: deny, reason: hands off }\n");
    AUTO(arena) struct arena *arena = arena_new(1024);
    struct policy_question q = { .action = ACTION_SCALE_DEPLOYMENT,
                                 .namespace = "prod-eu",
                                 .confidence = 0.1 };
    struct policy_verdict verdict = judge(arena, yaml, &q);
    assert_int_equal(verdict.verdict, VERDICT_ALLOW);
    assert_string_equal(verdict.rule, "prod-scaling");
    q.action = ACTION_RESTART_POD;
    verdict = judge(arena, yaml, &q);
    assert_int_equal(verdict.verdict, VERDICT_DENY);
    assert_string_equal(verdict.rule, "prod-rest");
    assert_string_equal(verdict.reason, "hands off");
    q.namespace = "test";
    assert_string_equal(judge(arena, yaml, &q).rule, "default");
    (void)state;
}

static void every_condition_of_a_rule_must_hold(void **state)
{
    static const char yaml[] =
        POLICY("rules:\n"
               "- name: narrow\n"
               "  when: { risk: medium, severity: critical, kind: Deployment, labels: { team: 'pay*' },\n"
               "          confidence: '0.5..0.7' }\n"
               "  then: deny\n");
    struct label items[] = { { STR("team"), STR("payments") } };
    struct label_list labels = { items, 1 };
    struct policy_question all = { .action = ACTION_SCALE_DEPLOYMENT,
                                   .severity = "critical",
                                   .kind = "Deployment",
                                   .labels = &labels,
                                   .confidence = 0.7 };
    AUTO(arena) struct arena *arena = arena_new(1024);
    assert_string_equal(judge(arena, yaml, &all).rule, "narrow");
    struct policy_question other[] = { all, all, all, all, all };
    other[0].action = ACTION_RESTART_POD;
    other[1].severity = "warning";
    other[2].kind = "StatefulSet";
    other[3].labels = NULL;
    other[4].confidence = 0.71;
    for (size_t i = 0; i < ARRAY_LEN(other); i++)
        assert_string_equal(judge(arena, yaml, &other[i]).rule, "default");
    (void)state;
}

static int64_t at(const char *text)
{
    int64_t ms = 0;
    assert_true(clock_parse(str_of(text), &ms));
    return ms;
}

static void a_window_over_midnight_belongs_to_the_day_it_began_on(void **state)
{
    static const char yaml[] =
        POLICY("windows: { night: { days: [fri], from: '22:00', to: '06:00', utc_offset: '+02:00' } }\n"
               "rules: [ { name: quiet, when: { window: night }, then: deny } ]\n");
    static const struct {
        const char *at;
        bool inside;
    } cases[] = {
        { "2026-11-20T19:59:59Z", false }, { "2026-11-20T20:00:00Z", true },
        { "2026-11-21T03:59:59Z", true },  { "2026-11-21T04:00:00Z", false },
        { "2026-11-21T21:00:00Z", false },
    };
    AUTO(arena) struct arena *arena = arena_new(1024);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct policy_question q = { .action = ACTION_RESTART_POD, .at = at(cases[i].at) };
        assert_int_equal(judge(arena, yaml, &q).verdict, cases[i].inside ? VERDICT_DENY : VERDICT_ALLOW);
    }
    (void)state;
}

static void a_freeze_denies_what_writes_and_lets_exceptions_and_looking_through(void **state)
{
    static const char yaml[] = POLICY(
        "freeze: [ { name: year-end, starts: 2026-12-24T00:00:00Z, ends: 2027-01-02T00:00:00Z, except: restart_pod } ]\n"
        "rules: [ { name: all, then: allow } ]\n");
    AUTO(arena) struct arena *arena = arena_new(1024);
    struct policy_question q = { .action = ACTION_SCALE_DEPLOYMENT, .at = at("2026-12-25T00:00:00Z") };
    struct policy_verdict verdict = judge(arena, yaml, &q);
    assert_int_equal(verdict.verdict, VERDICT_DENY);
    assert_string_equal(verdict.rule, "freeze year-end");
    q.action = ACTION_RESTART_POD;
    assert_int_equal(judge(arena, yaml, &q).verdict, VERDICT_ALLOW);
    q.action = ACTION_COLLECT_DIAGNOSTICS;
    assert_int_equal(judge(arena, yaml, &q).verdict, VERDICT_ALLOW);
    q.action = ACTION_SCALE_DEPLOYMENT;
    q.at = at("2027-01-02T00:00:00Z");
    assert_int_equal(judge(arena, yaml, &q).verdict, VERDICT_ALLOW);
    (void)state;
}

static void a_rule_about_changes_does_not_silence_the_notification(void **state)
{
    static const struct {
        const char *rule;
        bool denied, other_denied; /* notify_only; restart_pod */
    } cases[] = {
        { "{ name: r, then: deny }", false, true },
        { "{ name: r, when: { namespace: ledger }, then: deny }", false, true },
        { "{ name: r, when: { namespace: ledger, risk: low, category: core }, then: deny }", false, true },
        { "{ name: r, when: { namespace: ledger, action: '*' }, then: deny }", false, true },
        { "{ name: r, when: { action: notify_only }, then: deny }", true, false },
        { "{ name: r, when: { action: 'notify*' }, then: deny }", true, false },
        { "{ name: r, when: { action: [restart_pod, notify_only], namespace: ledger }, then: deny }", true,
          true },
        { "{ name: r, then: require_approval }", false, true },
    };
    AUTO(arena) struct arena *arena = arena_new(1024);
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *yaml = arena_printf(arena, POLICY("rules: [ %s ]\n"), cases[i].rule);
        struct policy_question tell = { .action = ACTION_NOTIFY_ONLY, .namespace = "ledger" };
        struct policy_question change = { .action = ACTION_RESTART_POD, .namespace = "ledger" };
        if ((judge(arena, yaml, &tell).verdict != VERDICT_ALLOW) != cases[i].denied ||
            (judge(arena, yaml, &change).verdict != VERDICT_ALLOW) != cases[i].other_denied)
            fail_msg("%s", cases[i].rule);
    }
}

static void errors_name_file_line_and_column(void **state)
{
    static const struct {
        const char *yaml, *message;
    } cases[] = {
        { "version: 2\n", "p.yaml:1:10: this program reads policy version 1" },
        { "rules: []\n", "p.yaml:1:1: `version` is missing" },
        { POLICY("rule: []\n"), "p.yaml:2:1: a policy has no `rule`: did you mean `rules`?" },
        { POLICY("rules:\n- name: a\n  then: perhaps\n"),
          "p.yaml:4:9: `then` is allow, deny or require_approval" },
        { POLICY("rules:\n- { name: a, then: deny, when: { action: scale } }\n"),
          "there is no action `scale`" },
        { POLICY("rules:\n- { name: a, then: deny, when: { confidence: 80% } }\n"), "`confidence` is like" },
        { POLICY("rules:\n- { name: a, then: deny, when: { window: night } }\n"),
          "there is no window `night`" },
        { POLICY("rules:\n- { name: a, then: deny }\n- { name: a, then: deny }\n"),
          "p.yaml:4:11: a rule named `a`" },
        { POLICY("windows: { w: { from: '25:00' } }\n"), "time of day" },
        { POLICY("bounds: { scale_deployment: { replicas: { min: 9, max: 3 } } }\n"), "nothing is left" },
        { POLICY("bounds: { scale_deployment: { replica: { min: 1 } } }\n"), "no parameter `replica`" },
        { POLICY("limits: [ { name: a, within: 1h } ]\n"), "`executions`, `replicas` or both" },
        { POLICY("limits: [ { name: a, executions: 3, within: soon } ]\n"), "`within` is a duration" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error *err = NULL;
        assert_fails(policy_parse("p.yaml", str_of(cases[i].yaml), &err) != NULL, err, ERROR_INVALID,
                     cases[i].message);
    }
    (void)state;
}

static void examples_beside_the_rules_are_run_and_a_failure_is_shown(void **state)
{
    static const char yaml[] = POLICY(
        "rules: [ { name: no-drains, when: { action: drain_node }, then: deny } ]\n"
        "tests:\n"
        "- { name: drains are denied, given: { action: drain_node }, expect: deny, rule: no-drains }\n"
        "- { name: labels are seen, given: { action: restart_pod, labels: { b: x, a: y } }, expect: deny }\n");
    AUTO(policy) struct policy *policy = policy_parse("p.yaml", STR(yaml), NULL);
    AUTO(strbuf) struct strbuf report = { 0 };
    size_t passed, failed;
    assert_non_null(policy);
    assert_false(policy_run_tests(policy, &report, &passed, &failed));
    assert_int_equal(passed, 1);
    assert_int_equal(failed, 1);
    assert_non_null(strstr(report.ptr, "passed  drains are denied"));
    assert_non_null(
        strstr(report.ptr, "FAILED  labels are seen\n        p.yaml:5: expected deny, got allow by default"));
    (void)state;
}

static void bounds_narrow_the_catalogue(void **state)
{
    AUTO(policy)
    struct policy *policy = policy_parse(
        "p.yaml",
        STR(POLICY(
            "bounds: { scale_deployment: { replicas: { min: 2, max: 9 } }, expand_pvc: { new_size: { max: 50Gi } } }\n")),
        NULL);
    assert_non_null(policy);
    const struct action_bounds *bounds = policy_bounds(policy, ACTION_SCALE_DEPLOYMENT);
    assert_int_equal(bounds->bounds[0].minimum, 2);
    assert_int_equal(bounds->bounds[0].maximum, 9);
    assert_null(policy_bounds(policy, ACTION_RESTART_POD));
    (void)state;
}

static void an_annotation_opts_out_of_all_or_of_some(void **state)
{
    static const struct {
        const char *json;
        bool out;
    } cases[] = {
        { "{\"prometheus-alerts-slm.io/opt-out\":\"true\"}", true },
        { "{\"prometheus-alerts-slm.io/opt-out\":\"drain_node, restart_pod\"}", true },
        { "{\"prometheus-alerts-slm.io/opt-out\":\"drain_node\"}", false },
        { "{\"prometheus-alerts-slm.io/opt-out\":\"false\"}", false },
        { "{}", false },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        yyjson_doc *doc = yyjson_read(cases[i].json, strlen(cases[i].json), 0);
        assert_int_equal(policy_opts_out(yyjson_doc_get_root(doc), ACTION_RESTART_POD), cases[i].out);
        yyjson_doc_free(doc);
    }
    assert_false(policy_opts_out(NULL, ACTION_RESTART_POD));
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_rules_risk_and_confidence_decide),
        cmocka_unit_test(the_first_rule_that_matches_decides_and_is_named),
        cmocka_unit_test(every_condition_of_a_rule_must_hold),
        cmocka_unit_test(a_window_over_midnight_belongs_to_the_day_it_began_on),
        cmocka_unit_test(a_freeze_denies_what_writes_and_lets_exceptions_and_looking_through),
        cmocka_unit_test(a_rule_about_changes_does_not_silence_the_notification),
        cmocka_unit_test(errors_name_file_line_and_column),
        cmocka_unit_test(examples_beside_the_rules_are_run_and_a_failure_is_shown),
        cmocka_unit_test(bounds_narrow_the_catalogue),
        cmocka_unit_test(an_annotation_opts_out_of_all_or_of_some),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
