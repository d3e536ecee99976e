#include "history/oscillation.h"

#include <math.h>
#include <stdlib.h>

#include "tests/test.h"

enum { MIN_MS = 60 * 1000, PAST_MAX = 16, ALERTS_MAX = 16 };
#define NOW INT64_C(1795000000000)

struct fixture {
    struct arena *arena;
    struct config *config;
};

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof *f);
    struct error *err = NULL;
    static char *const none[] = { NULL };
    f->arena = arena_new(64 * 1024);
    f->config = config_load(&(struct config_options){ .path = "/dev/null", .environment = none }, &err);
    assert_ok(f->config, err);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    config_free(f->config);
    arena_free(f->arena);
    free(f);
    return 0;
}

/* One history a row: "minutes-ago action replicas score", oldest first; then the expected finding. */
struct row {
    int minutes_ago;
    enum action action;
    int replicas, before;
    double score;
    bool autoscaled;
};
struct alert_row {
    int minutes_ago;
    const char *name;
};
struct expected {
    const char *what;
    struct row past[PAST_MAX];
    struct alert_row alerts[ALERTS_MAX];
    enum pattern pattern;
    enum pattern_severity severity;
    enum prevention prevention;
};

#define SCALE(ago, n, score_) { (ago), ACTION_SCALE_DEPLOYMENT, (n), -1, (score_), false }
#define DO(ago, action_, score_) { (ago), ACTION_##action_, -1, -1, (score_), false }
#define FIGHT(ago, from, to) { (ago), ACTION_SCALE_DEPLOYMENT, (to), (from), NAN, true }
#define NONE PATTERN_SEVERITY_NONE
#define LOW PATTERN_SEVERITY_LOW
#define MEDIUM PATTERN_SEVERITY_MEDIUM
#define HIGH PATTERN_SEVERITY_HIGH
#define CRITICAL PATTERN_SEVERITY_CRITICAL

static const struct expected table[] = {
    { "one change is none",
      { SCALE(90, 2, .1), SCALE(60, 4, .1), SCALE(30, 2, .1) },
      {},
      PATTERN_SCALE,
      NONE,
      PREVENTION_NONE },
    { "two changes are medium",
      { SCALE(90, 2, .9), SCALE(60, 4, .9), SCALE(30, 2, .9), SCALE(10, 4, .9) },
      {},
      PATTERN_SCALE,
      MEDIUM,
      PREVENTION_ALTERNATIVE },
    { "a scaling to the same number between breaks a change",
      { SCALE(90, 2, .1), SCALE(60, 4, .1), SCALE(50, 4, .1), SCALE(30, 2, .1), SCALE(20, 2, .1),
        SCALE(10, 4, .1) },
      {},
      PATTERN_SCALE,
      NONE,
      PREVENTION_NONE },
    { "three changes in 120 min with scores under .7 are high",
      { SCALE(170, 2, .69), SCALE(150, 4, .69), SCALE(130, 2, .69), SCALE(70, 4, .69), SCALE(10, 2, .69) },
      {},
      PATTERN_SCALE,
      HIGH,
      PREVENTION_COOLING },
    { "at .7 they are medium",
      { SCALE(170, 2, .7), SCALE(150, 4, .7), SCALE(130, 2, .7), SCALE(70, 4, .7), SCALE(10, 2, .7) },
      {},
      PATTERN_SCALE,
      MEDIUM,
      PREVENTION_ALTERNATIVE },
    { "over 120 min they are medium",
      { SCALE(170, 2, .6), SCALE(150, 4, .6), SCALE(131, 2, .6), SCALE(70, 4, .6), SCALE(10, 2, .6) },
      {},
      PATTERN_SCALE,
      MEDIUM,
      PREVENTION_ALTERNATIVE },
    { "four changes in 60 min with scores under .5 are critical",
      { SCALE(100, 2, .49), SCALE(90, 4, .49), SCALE(70, 2, .49), SCALE(50, 4, .49), SCALE(30, 2, .49),
        SCALE(10, 4, .49) },
      {},
      PATTERN_SCALE,
      CRITICAL,
      PREVENTION_BLOCK },
    { "at .5 they are high",
      { SCALE(100, 2, .5), SCALE(90, 4, .5), SCALE(70, 2, .5), SCALE(50, 4, .5), SCALE(30, 2, .5),
        SCALE(10, 4, .5) },
      {},
      PATTERN_SCALE,
      HIGH,
      PREVENTION_COOLING },
    { "in 61 min they are high",
      { SCALE(100, 2, .4), SCALE(90, 4, .4), SCALE(71, 2, .4), SCALE(50, 4, .4), SCALE(30, 2, .4),
        SCALE(10, 4, .4) },
      {},
      PATTERN_SCALE,
      HIGH,
      PREVENTION_COOLING },
    { "unknown scores are unknown, not 0: medium",
      { SCALE(100, 2, NAN), SCALE(90, 4, NAN), SCALE(70, 2, NAN), SCALE(50, 4, NAN), SCALE(30, 2, NAN),
        SCALE(10, 4, NAN) },
      {},
      PATTERN_SCALE,
      MEDIUM,
      PREVENTION_ALTERNATIVE },

    { "a gap of 45 min is no transition",
      { DO(60, INCREASE_RESOURCES, .1), SCALE(15, 3, .1) },
      {},
      PATTERN_THRASHING,
      NONE,
      PREVENTION_NONE },
    { "one transition at a gap of 44 min is low",
      { DO(60, INCREASE_RESOURCES, .1), SCALE(16, 3, .1) },
      {},
      PATTERN_THRASHING,
      LOW,
      PREVENTION_NONE },
    { "at a gap of 15 min it is low",
      { DO(30, INCREASE_RESOURCES, .1), SCALE(15, 3, .1) },
      {},
      PATTERN_THRASHING,
      LOW,
      PREVENTION_NONE },
    { "at a gap of 14 min it is medium",
      { DO(30, INCREASE_RESOURCES, .1), SCALE(16, 3, .1) },
      {},
      PATTERN_THRASHING,
      MEDIUM,
      PREVENTION_ALTERNATIVE },
    { "two transitions under .7 are high",
      { DO(90, INCREASE_RESOURCES, .6), SCALE(60, 3, .6), DO(30, INCREASE_RESOURCES, .6) },
      {},
      PATTERN_THRASHING,
      HIGH,
      PREVENTION_COOLING },
    { "at .7 they are low",
      { DO(90, INCREASE_RESOURCES, .7), SCALE(60, 3, .7), DO(30, INCREASE_RESOURCES, .7) },
      {},
      PATTERN_THRASHING,
      LOW,
      PREVENTION_NONE },
    { "three transitions under .6 are critical",
      { DO(100, INCREASE_RESOURCES, .59), SCALE(70, 3, .59), DO(40, INCREASE_RESOURCES, .59),
        SCALE(10, 3, .59) },
      {},
      PATTERN_THRASHING,
      CRITICAL,
      PREVENTION_BLOCK },
    { "at .6 they are high",
      { DO(100, INCREASE_RESOURCES, .6), SCALE(70, 3, .6), DO(40, INCREASE_RESOURCES, .6), SCALE(10, 3, .6) },
      {},
      PATTERN_THRASHING,
      HIGH,
      PREVENTION_COOLING },

    { "one repetition is none",
      { DO(90, COLLECT_DIAGNOSTICS, 0) },
      {},
      PATTERN_INEFFECTIVE,
      NONE,
      PREVENTION_NONE },
    { "two under .4 are low",
      { DO(90, DRAIN_NODE, .39), DO(60, DRAIN_NODE, .39) },
      {},
      PATTERN_INEFFECTIVE,
      LOW,
      PREVENTION_NONE },
    { "two at .4 are none",
      { DO(90, DRAIN_NODE, .4), DO(60, DRAIN_NODE, .4) },
      {},
      PATTERN_INEFFECTIVE,
      NONE,
      PREVENTION_NONE },
    { "three under .6 are medium",
      { DO(90, DRAIN_NODE, .59), DO(60, DRAIN_NODE, .59), DO(30, DRAIN_NODE, .59) },
      {},
      PATTERN_INEFFECTIVE,
      MEDIUM,
      PREVENTION_ALTERNATIVE },
    { "three at .6 are none",
      { DO(90, DRAIN_NODE, .6), DO(60, DRAIN_NODE, .6), DO(30, DRAIN_NODE, .6) },
      {},
      PATTERN_INEFFECTIVE,
      NONE,
      PREVENTION_NONE },
    { "four under .5 are high",
      { DO(90, DRAIN_NODE, .49), DO(60, DRAIN_NODE, .49), DO(30, DRAIN_NODE, .49), DO(10, DRAIN_NODE, .49) },
      {},
      PATTERN_INEFFECTIVE,
      HIGH,
      PREVENTION_COOLING },
    { "four at .5 are medium",
      { DO(90, DRAIN_NODE, .5), DO(60, DRAIN_NODE, .5), DO(30, DRAIN_NODE, .5), DO(10, DRAIN_NODE, .5) },
      {},
      PATTERN_INEFFECTIVE,
      MEDIUM,
      PREVENTION_ALTERNATIVE },
    { "five under .3 are critical",
      { DO(90, DRAIN_NODE, .29), DO(60, DRAIN_NODE, .29), DO(30, DRAIN_NODE, .29), DO(10, DRAIN_NODE, .29),
        DO(5, DRAIN_NODE, .29) },
      {},
      PATTERN_INEFFECTIVE,
      CRITICAL,
      PREVENTION_BLOCK },
    { "five at .3 are high",
      { DO(90, DRAIN_NODE, .3), DO(60, DRAIN_NODE, .3), DO(30, DRAIN_NODE, .3), DO(10, DRAIN_NODE, .3),
        DO(5, DRAIN_NODE, .3) },
      {},
      PATTERN_INEFFECTIVE,
      HIGH,
      PREVENTION_COOLING },
    { "five of unknown effect are none",
      { DO(90, DRAIN_NODE, NAN), DO(60, DRAIN_NODE, NAN), DO(30, DRAIN_NODE, NAN), DO(10, DRAIN_NODE, NAN),
        DO(5, DRAIN_NODE, NAN) },
      {},
      PATTERN_INEFFECTIVE,
      NONE,
      PREVENTION_NONE },
    { "one known score speaks for all",
      { DO(90, DRAIN_NODE, NAN), DO(60, DRAIN_NODE, .2), DO(30, DRAIN_NODE, NAN) },
      {},
      PATTERN_INEFFECTIVE,
      MEDIUM,
      PREVENTION_ALTERNATIVE },
    { "telling people again is no loop",
      { DO(90, NOTIFY_ONLY, 0), DO(60, NOTIFY_ONLY, 0), DO(30, NOTIFY_ONLY, 0), DO(10, NOTIFY_ONLY, 0) },
      {},
      PATTERN_INEFFECTIVE,
      NONE,
      PREVENTION_NONE },

    { "no new alert, no cascade",
      { DO(60, EXPAND_PVC, NAN) },
      { { 50, "Own" } },
      PATTERN_CASCADE,
      NONE,
      PREVENTION_NONE },
    { "one new alert is low",
      { DO(60, EXPAND_PVC, NAN) },
      { { 30, "A" } },
      PATTERN_CASCADE,
      LOW,
      PREVENTION_NONE },
    { "the same name twice is one",
      { DO(60, EXPAND_PVC, NAN) },
      { { 50, "A" }, { 40, "A" } },
      PATTERN_CASCADE,
      LOW,
      PREVENTION_NONE },
    { "after 31 min it is not put down to the execution",
      { DO(60, EXPAND_PVC, NAN) },
      { { 29, "A" } },
      PATTERN_CASCADE,
      NONE,
      PREVENTION_NONE },
    { "two new alerts on average are high",
      { DO(60, EXPAND_PVC, NAN) },
      { { 50, "A" }, { 45, "B" } },
      PATTERN_CASCADE,
      HIGH,
      PREVENTION_COOLING },
    { "1.5 on average are medium",
      { DO(90, EXPAND_PVC, NAN), DO(50, EXPAND_PVC, NAN) },
      { { 80, "A" }, { 45, "B" }, { 40, "C" } },
      PATTERN_CASCADE,
      MEDIUM,
      PREVENTION_ALTERNATIVE },
    { "more than two and its own again are critical",
      { DO(60, EXPAND_PVC, NAN) },
      { { 50, "A" }, { 45, "B" }, { 40, "C" }, { 20, "Own" } },
      PATTERN_CASCADE,
      CRITICAL,
      PREVENTION_BLOCK },
    { "more than two alone are high",
      { DO(60, EXPAND_PVC, NAN) },
      { { 50, "A" }, { 45, "B" }, { 40, "C" } },
      PATTERN_CASCADE,
      HIGH,
      PREVENTION_COOLING },

    { "two restarts are none",
      { DO(50, RESTART_POD, .9), DO(30, RESTART_POD, .9) },
      {},
      PATTERN_RESTART,
      NONE,
      PREVENTION_NONE },
    { "three restarts in an hour are medium",
      { DO(65, RESTART_POD, .9), DO(30, RESTART_POD, .9), DO(5, RESTART_POD, .9) },
      {},
      PATTERN_RESTART,
      MEDIUM,
      PREVENTION_ALTERNATIVE },
    { "three in 61 min with good scores are none",
      { DO(66, RESTART_POD, .9), DO(30, RESTART_POD, .9), DO(5, RESTART_POD, .9) },
      {},
      PATTERN_RESTART,
      NONE,
      PREVENTION_NONE },
    { "four under .7 are high",
      { DO(50, RESTART_POD, .69), DO(30, RESTART_POD, .69), DO(15, RESTART_POD, .69),
        DO(5, RESTART_POD, .69) },
      {},
      PATTERN_RESTART,
      HIGH,
      PREVENTION_COOLING },

    { "a scaling that nobody undoes is no fight",
      { FIGHT(60, 2, 4), FIGHT(40, 4, 6) },
      {},
      PATTERN_HPA_FIGHT,
      NONE,
      PREVENTION_NONE },
    { "one undone is low",
      { FIGHT(60, 2, 4), FIGHT(40, 2, 4) },
      {},
      PATTERN_HPA_FIGHT,
      LOW,
      PREVENTION_NONE },
    { "undone after more than 30 min is none",
      { FIGHT(71, 2, 4), FIGHT(40, 2, 4) },
      {},
      PATTERN_HPA_FIGHT,
      NONE,
      PREVENTION_NONE },
    { "two undone are medium",
      { FIGHT(60, 2, 4), FIGHT(40, 2, 4), FIGHT(20, 2, 4) },
      {},
      PATTERN_HPA_FIGHT,
      MEDIUM,
      PREVENTION_ALTERNATIVE },
    { "three undone are high",
      { FIGHT(70, 2, 4), FIGHT(50, 2, 4), FIGHT(30, 2, 4), FIGHT(10, 2, 4) },
      {},
      PATTERN_HPA_FIGHT,
      HIGH,
      PREVENTION_COOLING },
};

static struct oscillation_input input_of(struct arena *arena, const struct expected *row)
{
    struct past *past = ARENA_ARRAY(arena, struct past, PAST_MAX);
    struct past_alert *alerts = ARENA_ARRAY(arena, struct past_alert, ALERTS_MAX);
    struct oscillation_input input = { .past = past, .alerts = alerts, .now = NOW };
    for (; input.past_count < PAST_MAX && row->past[input.past_count].minutes_ago; input.past_count++) {
        const struct row *from = &row->past[input.past_count];
        struct past *to = &past[input.past_count];
        *to = (struct past){ .action = from->action,
                             .alert_name = "Own",
                             .score = from->score,
                             .at = NOW - (int64_t)from->minutes_ago * MIN_MS,
                             .replicas = from->replicas,
                             .replicas_before = from->before,
                             .autoscaled = from->autoscaled };
        snprintf(to->id, sizeof to->id, "run-%02zu", input.past_count);
    }
    for (; input.alert_count < ALERTS_MAX && row->alerts[input.alert_count].name; input.alert_count++)
        alerts[input.alert_count] =
            (struct past_alert){ row->alerts[input.alert_count].name,
                                 NOW - (int64_t)row->alerts[input.alert_count].minutes_ago * MIN_MS };
    return input;
}

static const struct finding *finding_of(const struct oscillation *result, enum pattern pattern)
{
    for (size_t i = 0; i < result->count; i++)
        if (result->findings[i].pattern == pattern)
            return &result->findings[i];
    return NULL;
}

static void every_history_of_the_table_gives_its_finding(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct oscillation_input input = input_of(f->arena, &table[i]);
        struct oscillation result;
        oscillation_analyse(f->arena, &f->config->oscillation, &input, &result);
        const struct finding *finding = finding_of(&result, table[i].pattern);
        enum pattern_severity severity = finding ? finding->severity : NONE;
        if (severity != table[i].severity)
            fail_msg("%s: %s is %s, expected %s", table[i].what, pattern_names[table[i].pattern],
                     pattern_severity_names[severity], pattern_severity_names[table[i].severity]);
        if (result.severity == severity && result.count == 1 && result.prevention != table[i].prevention)
            fail_msg("%s: prevention is %s, expected %s", table[i].what, prevention_names[result.prevention],
                     prevention_names[table[i].prevention]);
    }
}

/* A random history of one resource. */
static struct oscillation_input random_input(struct arena *arena, struct rng *rng)
{
    static const char *const names[] = { "Own", "A", "B", "C" };
    static const enum action some[] = { ACTION_SCALE_DEPLOYMENT, ACTION_INCREASE_RESOURCES,
                                        ACTION_RESTART_POD, ACTION_ROLLBACK_DEPLOYMENT, ACTION_NOTIFY_ONLY };
    struct past *past = ARENA_ARRAY(arena, struct past, PAST_MAX);
    struct past_alert *alerts = ARENA_ARRAY(arena, struct past_alert, ALERTS_MAX);
    struct oscillation_input input = { .past = past,
                                       .alerts = alerts,
                                       .now = NOW,
                                       .past_count = rng_below(rng, PAST_MAX + 1),
                                       .alert_count = rng_below(rng, ALERTS_MAX + 1) };
    for (size_t i = 0; i < input.past_count; i++) {
        past[i] = (struct past){ .action = some[rng_below(rng, ARRAY_LEN(some))],
                                 .alert_name = names[rng_below(rng, 2)],
                                 .at = NOW - (int64_t)rng_below(rng, 240) * MIN_MS,
                                 .replicas = -1,
                                 .replicas_before = (int64_t)rng_below(rng, 5) - 1,
                                 .autoscaled = rng_below(rng, 2),
                                 .score = rng_below(rng, 3) ? rng_unit(rng) : NAN };
        if (past[i].action == ACTION_SCALE_DEPLOYMENT)
            past[i].replicas = (int64_t)rng_below(rng, 5);
        snprintf(past[i].id, sizeof past[i].id, "run-%02zu", i);
    }
    for (size_t i = 0; i < input.alert_count; i++)
        alerts[i] =
            (struct past_alert){ names[rng_below(rng, 4)], NOW - (int64_t)rng_below(rng, 240) * MIN_MS };
    return input;
}

static void shuffle(struct rng *rng, void *items, size_t count, size_t size)
{
    char *bytes = items, spare[256];
    for (size_t i = count; i > 1; i--) {
        size_t j = rng_below(rng, i);
        memcpy(spare, bytes + (i - 1) * size, size);
        memcpy(bytes + (i - 1) * size, bytes + j * size, size);
        memcpy(bytes + j * size, spare, size);
    }
}

static char *text_of(const struct oscillation *result)
{
    struct strbuf out = { 0 };
    strbuf_addf(&out, "%s %.9g %s %x ", pattern_severity_names[result->severity], result->confidence,
                prevention_names[result->prevention], result->held_back);
    for (size_t i = 0; i < result->count; i++)
        finding_write(&out, &result->findings[i]);
    return strbuf_take(&out);
}

static void the_order_of_insertion_does_not_matter(void **state)
{
    struct fixture *f = *state;
    struct rng rng = { 1 };
    for (int round = 0; round < 2000; round++) {
        struct oscillation_input input = random_input(f->arena, &rng);
        struct oscillation one, two;
        oscillation_analyse(f->arena, &f->config->oscillation, &input, &one);
        AUTO(text) char *before = text_of(&one);
        shuffle(&rng, (void *)(uintptr_t)input.past, input.past_count, sizeof *input.past);
        shuffle(&rng, (void *)(uintptr_t)input.alerts, input.alert_count, sizeof *input.alerts);
        oscillation_analyse(f->arena, &f->config->oscillation, &input, &two);
        AUTO(text) char *after = text_of(&two);
        assert_string_equal(before, after);
        arena_reset(f->arena);
    }
}

static void no_finding_is_without_the_executions_that_make_it(void **state)
{
    struct fixture *f = *state;
    struct rng rng = { 2 };
    for (int round = 0; round < 2000; round++) {
        struct oscillation_input input = random_input(f->arena, &rng);
        struct oscillation result;
        oscillation_analyse(f->arena, &f->config->oscillation, &input, &result);
        assert_true(result.confidence >= 0 && result.confidence <= 1);
        for (size_t i = 0; i < result.count; i++) {
            const struct finding *finding = &result.findings[i];
            assert_true(finding->member_count > 0);
            for (size_t m = 0; m < finding->member_count; m++) {
                assert_true(pattern_actions(finding->pattern) & BIT(finding->members[m]->action));
                assert_true(finding->members[m]->at > NOW - f->config->oscillation.window_ms);
            }
        }
        if (input.past_count == 0)
            assert_int_equal(result.count, 0);
        arena_reset(f->arena);
    }
}

static void the_next_turn_of_a_circle_is_held_back_before_it_is_made(void **state)
{
    struct fixture *f = *state;
    static const struct expected history = { "", { SCALE(60, 2, .9), SCALE(40, 4, .9), SCALE(20, 2, .9) } };
    struct oscillation_input input = input_of(f->arena, &history);
    struct oscillation result;
    struct past up = {
        .action = ACTION_SCALE_DEPLOYMENT, .replicas = 4, .replicas_before = -1, .alert_name = "Own"
    };
    assert_int_equal(oscillation_judge(f->arena, &f->config->oscillation, &input, &up, &result),
                     PREVENTION_ALTERNATIVE);
    struct past further_down = up;
    further_down.replicas = 1;
    assert_int_equal(oscillation_judge(f->arena, &f->config->oscillation, &input, &further_down, &result),
                     PREVENTION_NONE);
    struct past other = { .action = ACTION_ROLLBACK_DEPLOYMENT, .replicas = -1, .replicas_before = -1 };
    assert_int_equal(oscillation_judge(f->arena, &f->config->oscillation, &input, &other, &result),
                     PREVENTION_NONE);
}

static void a_rest_ends_when_its_time_is_over(void **state)
{
    struct fixture *f = *state;
    static const struct expected history = {
        "", { DO(90, DRAIN_NODE, .4), DO(80, DRAIN_NODE, .4), DO(70, DRAIN_NODE, .4), DO(20, DRAIN_NODE, .4) }
    };
    struct oscillation_input input = input_of(f->arena, &history);
    struct oscillation result;
    oscillation_analyse(f->arena, &f->config->oscillation, &input, &result);
    assert_int_equal(result.held_back, BIT(ACTION_DRAIN_NODE));
    assert_int_equal(result.until, NOW + 10 * MIN_MS);
    input.now = NOW + 10 * MIN_MS;
    oscillation_analyse(f->arena, &f->config->oscillation, &input, &result);
    assert_int_equal(result.held_back, 0);
}

static void absurd_thresholds_are_refused_with_the_reason(void **state)
{
    (void)state;
    static char *const none[] = { NULL };
    static const char *const bad[][3] = {
        { "oscillation.scale.critical.at_least=1", NULL, "a severer band needs no fewer" },
        { "oscillation.scale.low.at_least=0", NULL, "out of bounds" },
        { "oscillation.ineffective.high.score_below=7", NULL, "out of bounds" },
        { "oscillation.cascade.high.new_alerts=9", NULL, "must not rise" },
        { "oscillation.window=0s", NULL, "out of bounds" },
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct error *err = NULL;
        struct config_options options = { .path = "/dev/null", .environment = none, .set = bad[i] };
        assert_fails(config_load(&options, &err), err, ERROR_INVALID, bad[i][2]);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(every_history_of_the_table_gives_its_finding),
        TEST(the_order_of_insertion_does_not_matter),
        TEST(no_finding_is_without_the_executions_that_make_it),
        TEST(the_next_turn_of_a_circle_is_held_back_before_it_is_made),
        TEST(a_rest_ends_when_its_time_is_over),
        TEST(absurd_thresholds_are_refused_with_the_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
