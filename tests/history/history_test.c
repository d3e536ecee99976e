#include "history/history.h"

#include <math.h>

#include "store/decisions.h"
#include "store/memory.h"
#include "store/outcomes.h"
#include "tests/history/scene.h"
#include "tests/test.h"

enum { MIN_MS = 60 * 1000, HOUR_MS = 60 * MIN_MS };
static const struct history_target web = { "", "shop", "Deployment", "web" };

static void learn(struct fixture *f, enum action action, const char *namespace, double score, int64_t at)
{
    struct outcome outcome = { .action = action,
                               .alert_name = "HighMemory",
                               .kind = "Deployment",
                               .namespace = namespace,
                               .score = score,
                               .weight = 1,
                               .at = at,
                               .half_life_ms = scene_config(f)->learning.half_life_ms };
    AUTO(tx) struct tx *tx = tx_begin(f->store, TX_WRITE, &f->err);
    assert_ok(tx && rates_add(tx, &outcome, &f->err) && tx_commit(STEAL(tx), &f->err), f->err);
}

static struct history_context context_of(struct fixture *f, const char *alert)
{
    struct history_context context;
    struct history_question question = { .target = web, .alert_name = alert };
    assert_ok(history_context(f->store, f->arena, scene_config(f), &question, &context, &f->err), f->err);
    return context;
}

static void an_empty_past_gives_what_is_usual(void **state)
{
    struct fixture *f = *state;
    struct history_context context = context_of(f, "HighMemory");
    assert_int_equal(context.past_count, 0);
    assert_int_equal(context.oscillation.severity, PATTERN_SEVERITY_NONE);
    assert_true(fabs(context.success[ACTION_INCREASE_RESOURCES].rate - 0.8) < 1e-9);
    assert_true(context.success[ACTION_INCREASE_RESOURCES].samples == 0);
}

static void the_newest_executions_come_first_and_dry_runs_not_at_all(void **state)
{
    struct fixture *f = *state;
    int64_t now = clock_utc_ms();
    scene_execution(f, &(struct scene_execution){ .at = now - 3 * MIN_MS, .score = 0.5 });
    scene_execution(f, &(struct scene_execution){ .at = now - 2 * MIN_MS,
                                                  .score = -1,
                                                  .action = "scale_deployment",
                                                  .parameters = "{\"replicas\":7}",
                                                  .state_before = "[{\"kind\":\"Deployment\",\"fields\":{\"/spec/replicas\":4}}]" });
    scene_execution(f, &(struct scene_execution){ .at = now - MIN_MS, .dry_run = "server", .score = -1 });
    scene_execution(f, &(struct scene_execution){ .at = now - MIN_MS, .name = "other", .score = -1 });
    struct history_context context = context_of(f, NULL);
    assert_int_equal(context.past_count, 2);
    assert_int_equal(context.past[0].action, ACTION_SCALE_DEPLOYMENT);
    assert_int_equal(context.past[0].replicas, 7);
    assert_int_equal(context.past[0].replicas_before, 4);
    assert_true(isnan(context.past[0].score));
    assert_true(context.past[1].score == 0.5);
}

static void what_was_done_to_its_pods_is_part_of_a_workloads_past(void **state)
{
    struct fixture *f = *state;
    const char *incident = scene_incident(f, &(struct scene_incident){ .alert_name = "PodCrash" });
    for (int i = 0; i < 3; i++)
        scene_execution(f, &(struct scene_execution){ .at = clock_utc_ms() - (3 - i) * 10 * MIN_MS,
                                                      .score = 0.1,
                                                      .kind = "Pod",
                                                      .name = i % 2 ? "web-a" : "web-b",
                                                      .incident_id = incident,
                                                      .alert_name = "PodCrash" });
    struct history_context context = context_of(f, "PodCrash");
    assert_int_equal(context.past_count, 3);
    assert_true(context.oscillation.severity >= PATTERN_SEVERITY_MEDIUM);
    assert_true(context.oscillation.held_back & BIT(ACTION_RESTART_POD));
}

static void a_narrow_rate_leans_on_the_wider_one_until_it_has_cases_of_its_own(void **state)
{
    struct fixture *f = *state;
    int64_t now = clock_utc_ms();
    for (int i = 0; i < 20; i++)
        learn(f, ACTION_RESTART_POD, "elsewhere", 0, now);
    double elsewhere = context_of(f, "HighMemory").success[ACTION_RESTART_POD].rate;
    assert_true(elsewhere < 0.2);
    for (int i = 0; i < 3; i++)
        learn(f, ACTION_RESTART_POD, "shop", 1, now);
    double few = context_of(f, "HighMemory").success[ACTION_RESTART_POD].rate;
    for (int i = 0; i < 30; i++)
        learn(f, ACTION_RESTART_POD, "shop", 1, now);
    struct prediction many = context_of(f, "HighMemory").success[ACTION_RESTART_POD];
    assert_true(elsewhere < few && few < many.rate && many.rate > 0.85);
    assert_true(many.low < many.rate && many.rate < many.high);
    assert_int_equal(many.cases, 33);
    /* Another alert knows only what the action is worth as such. */
    double other = context_of(f, "DiskFull").success[ACTION_RESTART_POD].rate;
    assert_true(other > elsewhere && other < many.rate);
}

static void outcomes_are_worth_half_after_a_half_life_in_whatever_order_they_come(void **state)
{
    struct fixture *f = *state;
    int64_t now = clock_utc_ms(), half = scene_config(f)->learning.half_life_ms;
    learn(f, ACTION_RESTART_POD, "a", 1, now);
    learn(f, ACTION_RESTART_POD, "a", 0, now - half);
    learn(f, ACTION_RESTART_POD, "b", 0, now - half);
    learn(f, ACTION_RESTART_POD, "b", 1, now);
    struct rates a, b;
    AUTO(tx) struct tx *tx = tx_begin(f->store, TX_READ, &f->err);
    assert_ok(rates_get(tx, "HighMemory", "Deployment", "a", &a, &f->err), f->err);
    assert_ok(rates_get(tx, "HighMemory", "Deployment", "b", &b, &f->err), f->err);
    struct rate x = a.at[RATE_NAMESPACE][ACTION_RESTART_POD], y = b.at[RATE_NAMESPACE][ACTION_RESTART_POD];
    assert_true(fabs(x.tried - 1.5) < 1e-9 && fabs(x.helped - 1) < 1e-9);
    assert_true(fabs(y.tried - 1.5) < 1e-9 && fabs(y.helped - 1) < 1e-9);
    assert_true(fabs(a.at[RATE_ANY][ACTION_RESTART_POD].tried - 3) < 1e-9);
}

static void a_decision_can_name_the_cases_it_learned_from(void **state)
{
    struct fixture *f = *state;
    const char *id =
        scene_execution(f, &(struct scene_execution){ .alert_name = "HighMemory", .score = 0.9 });
    learn(f, ACTION_RESTART_POD, "shop", 0.9, clock_utc_ms());
    struct history_context context = context_of(f, "HighMemory");
    assert_int_equal(context.learned_from_count, 1);
    assert_string_equal(context.learned_from[0], id);
}

static void scale_circle(struct fixture *f)
{
    static const char *const replicas[] = { "{\"replicas\":2}", "{\"replicas\":4}", "{\"replicas\":2}" };
    for (int i = 0; i < 3; i++)
        scene_execution(f, &(struct scene_execution){ .at = clock_utc_ms() - (3 - i) * 10 * MIN_MS,
                                                      .score = 0.9,
                                                      .action = "scale_deployment",
                                                      .parameters = replicas[i] });
}

static void a_circle_is_broken_before_its_next_turn_and_the_row_says_so(void **state)
{
    struct fixture *f = *state;
    enum prevention prevention;
    struct oscillation found;
    scale_circle(f);
    struct history_proposal proposal = { .target = web,
                                         .action = ACTION_SCALE_DEPLOYMENT,
                                         .parameters = "{\"replicas\":5}" };
    assert_ok(history_judge(f->store, f->arena, scene_config(f), &proposal, &prevention, &found, &f->err),
              f->err);
    assert_int_equal(prevention, PREVENTION_ALTERNATIVE);
    assert_int_equal(
        scene_count(f, "SELECT count(*) FROM detections WHERE enforced = 1 AND resolved_at IS NULL"), 1);
    proposal.parameters = "{\"replicas\":1}";
    assert_ok(history_judge(f->store, f->arena, scene_config(f), &proposal, &prevention, &found, &f->err),
              f->err);
    assert_int_equal(prevention, PREVENTION_NONE);
}

static void a_pattern_is_one_row_until_it_ends(void **state)
{
    struct fixture *f = *state;
    struct history_finding_of of = { .target = web };
    scale_circle(f);
    scene_execution(f, &(struct scene_execution){
                           .action = "scale_deployment", .parameters = "{\"replicas\":4}", .score = 0.9 });
    for (int i = 0; i < 3; i++) {
        struct history_context context = context_of(f, NULL);
        AUTO(tx) struct tx *tx = tx_begin(f->store, TX_WRITE, &f->err);
        assert_ok(tx && history_record_detections(tx, f->arena, &of, &context.oscillation, &f->err) &&
                      tx_commit(STEAL(tx), &f->err),
                  f->err);
    }
    assert_int_equal(scene_count(f, "SELECT count(*) FROM detections"), 1);
    assert_int_equal(scene_count(f, "SELECT action_count FROM oscillation_detections"), 3);
    fixture_advance(f, 4 * HOUR_MS);
    int64_t resolved;
    assert_ok(history_resolve_detections(f->store, scene_config(f), &resolved, &f->err), f->err);
    assert_int_equal(resolved, 1);
    assert_int_equal(
        scene_count(f, "SELECT count(*) FROM oscillation_detections WHERE resolution_method = 'timeout'"), 1);
}

static void a_pattern_that_is_gone_is_resolved_by_the_next_look(void **state)
{
    struct fixture *f = *state;
    struct history_finding_of of = { .target = web };
    scale_circle(f);
    scene_execution(f, &(struct scene_execution){
                           .action = "scale_deployment", .parameters = "{\"replicas\":4}", .score = 0.9 });
    for (int i = 0; i < 2; i++) {
        struct history_context context = context_of(f, NULL);
        AUTO(tx) struct tx *tx = tx_begin(f->store, TX_WRITE, &f->err);
        assert_ok(tx && history_record_detections(tx, f->arena, &of, &context.oscillation, &f->err) &&
                      tx_commit(STEAL(tx), &f->err),
                  f->err);
        fixture_advance(f, scene_config(f)->oscillation.window_ms + MIN_MS);
    }
    assert_int_equal(scene_count(f, "SELECT count(*) FROM detections WHERE resolution = 'automatic'"), 1);
}

static void answers_are_json_for_people_and_scripts(void **state)
{
    struct fixture *f = *state;
    AUTO(strbuf) struct strbuf out = { 0 };
    struct history_target target;
    struct history_filter filter = { .namespace = "shop" };
    const char *incident = scene_incident(f, &(struct scene_incident){ .alert_name = "HighMemory" });
    scene_execution(
        f, &(struct scene_execution){ .alert_name = "HighMemory", .score = 0.2, .incident_id = incident });
    scene_execution(f, &(struct scene_execution){ .alert_name = "HighMemory",
                                                  .score = 0.8,
                                                  .incident_id = incident,
                                                  .action = "increase_resources" });
    for (int i = 0; i < 3; i++)
        learn(f, ACTION_RESTART_POD, "shop", 0, clock_utc_ms());

    assert_ok(history_target_parse(f->arena, "shop/deploy/web", &target, &f->err), f->err);
    assert_string_equal(target.kind, "Deployment");
    assert_ok(history_show(f->store, scene_config(f), &target, 0, &out, &f->err), f->err);
    assert_non_null(strstr(out.ptr, "\"action\":\"increase_resources\",\"state\":\"completed\""));
    assert_non_null(strstr(out.ptr, "\"detections\":[]"));

    strbuf_clear(&out);
    assert_ok(history_effectiveness(f->store, &filter, &out, &f->err), f->err);
    assert_non_null(strstr(out.ptr, "{\"action\":\"restart_pod\",\"executions\":1,\"completed_share\":1"));
    assert_non_null(strstr(out.ptr, "\"average_score\":0.2"));

    strbuf_clear(&out);
    assert_ok(history_patterns(f->store, scene_config(f), &filter, &out, &f->err), f->err);
    assert_non_null(strstr(out.ptr, "\"action\":\"restart_pod\",\"finding\":\"never helps\""));
    assert_non_null(strstr(out.ptr, "{\"first\":\"restart_pod\",\"then\":\"increase_resources\",\"count\":1,"
                                    "\"average_score\":0.8}"));
    assert_non_null(strstr(out.ptr, "\"hours\":[{\"hour\":"));

    strbuf_clear(&out);
    filter =
        (struct history_filter){ .action = "restart_pod", .alert_name = "HighMemory", .kind = "Deployment" };
    assert_ok(history_predict(f->store, scene_config(f), &filter, &out, &f->err), f->err);
    assert_non_null(strstr(out.ptr, "{\"predictions\":[{\"action\":\"restart_pod\",\"rate\":0."));
    filter.action = "restart_world";
    assert_fails(history_predict(f->store, scene_config(f), &filter, &out, &f->err), f->err, ERROR_INVALID,
                 "there is no action");
    assert_fails(history_target_parse(f->arena, "web", &target, &f->err), f->err, ERROR_INVALID,
                 "is no resource");
}

static void a_decision_is_kept_with_all_that_made_it(void **state)
{
    struct fixture *f = *state;
    struct decision_record made = { .created_at = clock_utc_ms(),
                                    .provider = "embedded",
                                    .model = "smollm2-135m",
                                    .model_sha256 = "ab",
                                    .prompt_sha256 = "cd",
                                    .prompt_tokens = 3,
                                    .prompt_token_ids = "[1,2,3]",
                                    .action = "restart_pod",
                                    .parameters = "{}",
                                    .confidence = 0.75,
                                    .reasoning = "because",
                                    .distribution = "{\"restart_pod\":0.75}",
                                    .factors = "{\"history\":0.4}",
                                    .hashes = "{\"head\":\"ef\"}",
                                    .learned_from = "[\"x\"]",
                                    .duration_ms = 12.5 };
    struct decision_record read;
    bool found;
    ulid_new(made.id);
    AUTO(tx) struct tx *tx = tx_begin(f->store, TX_WRITE, &f->err);
    assert_ok(tx && decision_insert(tx, &made, &f->err), f->err);
    assert_ok(decision_get(tx, f->arena, made.id, &read, &found, &f->err) && found, f->err);
    assert_string_equal(read.prompt_token_ids, "[1,2,3]");
    assert_string_equal(read.hashes, "{\"head\":\"ef\"}");
    assert_true(read.confidence == 0.75 && read.duration_ms == 12.5 && !read.context);
    assert_fails(decision_insert(tx, &made, &f->err), f->err, ERROR_EXISTS, "decisions");
}

static void the_predecessors_names_answer(void **state)
{
    struct fixture *f = *state;
    static const char *const columns =
        "SELECT count(*) FROM (SELECT action_history_id, action_id, correlation_id, action_timestamp, "
        "execution_start_time, execution_end_time, execution_duration_ms, alert_name, alert_severity, alert_labels, "
        "alert_annotations, alert_firing_time, model_used, routing_tier, model_confidence, model_reasoning, "
        "alternative_actions, action_type, action_parameters, resource_state_before, resource_state_after, "
        "execution_status, execution_error, kubernetes_operations, effectiveness_score, effectiveness_criteria, "
        "effectiveness_assessed_at, effectiveness_assessment_method, effectiveness_notes, follow_up_actions "
        "FROM resource_action_traces WHERE execution_status = 'completed' AND effectiveness_score = 0.5) x";
    scene_execution(f, &(struct scene_execution){ .score = 0.5 });
    scene_execution(f, &(struct scene_execution){ .score = -1, .name = "db" });
    assert_ok(history_publish(f->store, scene_config(f), &f->err), f->err);
    assert_int_equal(scene_count(f, columns), 1);
    assert_int_equal(scene_count(f, "SELECT count(*) FROM resource_references"), 2);
    assert_int_equal(scene_count(f, "SELECT count(*) FROM action_histories WHERE max_actions = 1000"), 2);
    assert_int_equal(scene_count(f, "SELECT count(*) FROM oscillation_patterns"), PATTERN_COUNT);
    assert_int_equal(scene_count(f, "SELECT count(*) FROM action_history_summary"), 2);
}

static int end(void **state)
{
    scene_end();
    return fixture_teardown(state);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, end)
    const struct CMUnitTest tests[] = {
        TEST(an_empty_past_gives_what_is_usual),
        TEST(the_newest_executions_come_first_and_dry_runs_not_at_all),
        TEST(what_was_done_to_its_pods_is_part_of_a_workloads_past),
        TEST(a_narrow_rate_leans_on_the_wider_one_until_it_has_cases_of_its_own),
        TEST(outcomes_are_worth_half_after_a_half_life_in_whatever_order_they_come),
        TEST(a_decision_can_name_the_cases_it_learned_from),
        TEST(a_circle_is_broken_before_its_next_turn_and_the_row_says_so),
        TEST(a_pattern_is_one_row_until_it_ends),
        TEST(a_pattern_that_is_gone_is_resolved_by_the_next_look),
        TEST(answers_are_json_for_people_and_scripts),
        TEST(a_decision_is_kept_with_all_that_made_it),
        TEST(the_predecessors_names_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
