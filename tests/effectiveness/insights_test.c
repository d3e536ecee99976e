#include "effectiveness/insights.h"

#include <math.h>

#include "effectiveness/fit.h"
#include "tests/history/scene.h"
#include "tests/test.h"

enum { POINTS = 144, STEP_S = 1800 };

static void make(struct rng *rng, double level, double per_day, double rhythm, double noise,
                 double times[POINTS], double values[POINTS])
{
    for (int i = 0; i < POINTS; i++) {
        times[i] = 1.7e9 + i * STEP_S;
        double days = (double)(i - POINTS + 1) * STEP_S / 86400;
        values[i] = level + per_day * days + rhythm * sin(2 * M_PI * times[i] / 86400) +
                    noise * (rng_unit(rng) + rng_unit(rng) - 1) * 2.4;
    }
}

static void a_trend_under_a_daily_rhythm_is_found_with_its_interval(void **state)
{
    (void)state;
    struct rng rng = { 5 };
    double times[POINTS], values[POINTS];
    int within = 0;
    for (int round = 0; round < 200; round++) {
        struct trend trend;
        make(&rng, 0.8, 0.05, 0.1, 0.02, times, values);
        assert_true(trend_fit(times, values, POINTS, &trend));
        assert_true(trend.seasonal);
        assert_true(fabs(trend.slope * 86400 - 0.05) < 0.02);
        struct crossing crossing = trend_crossing(&trend, 1); /* truly in four days */
        within += crossing.soonest <= 4 * 86400 && 4 * 86400 <= crossing.latest;
    }
    assert_true(within >= 150); /* of 200; the interval is to hold at least four in five, less chance */
}

static void without_a_trend_nothing_is_reached(void **state)
{
    (void)state;
    double times[POINTS], values[POINTS];
    struct trend trend;
    for (int i = 0; i < POINTS; i++) {
        times[i] = i * STEP_S;
        values[i] = 0.5;
    }
    assert_true(trend_fit(times, values, POINTS, &trend));
    assert_true(isinf(trend_crossing(&trend, 1).likely));
    assert_false(trend_fit(times, values, 3, &trend));
    for (int i = 0; i < POINTS; i++)
        times[i] = 7;
    assert_false(trend_fit(times, values, POINTS, &trend));
}

static void an_alert_that_comes_more_often_than_usual_is_told_of(void **state)
{
    struct fixture *f = *state;
    struct insights found;
    int64_t now = clock_utc_ms(), hour = 3600 * 1000;
    for (int h = 1; h < 120; h++)
        for (int i = 0; i < 2; i++) {
            scene_incident(
                f, &(struct scene_incident){ .alert_name = "Steady", .at = now - h * hour - hour / 2 + i });
            scene_incident(
                f, &(struct scene_incident){ .alert_name = "Storm", .at = now - h * hour - hour / 2 + i });
        }
    for (int i = 0; i < 2; i++)
        scene_incident(f, &(struct scene_incident){ .alert_name = "Steady", .at = now - 1000 - i });
    for (int i = 0; i < 15; i++)
        scene_incident(f, &(struct scene_incident){ .alert_name = "Storm", .at = now - 1000 - i });
    for (int i = 0; i < 15; i++)
        scene_incident(f, &(struct scene_incident){ .alert_name = "New", .at = now - 1000 - i });
    assert_ok(insights_find(f->store, f->arena, scene_config(f), &found, &f->err), f->err);
    assert_int_equal(found.count, 1);
    assert_string_equal(found.items[0].name, "Storm");
    assert_true(fabs(found.items[0].expected - 2) < 0.3);
    assert_non_null(strstr(found.missing, "prometheus.url"));
    assert_non_null(strstr(insights_context(f->arena, &found, "shop", "web", "Storm"), "15 times"));
    assert_string_equal(insights_context(f->arena, &found, "shop", "web", "Steady"), "");
    AUTO(strbuf) struct strbuf out = { 0 };
    insights_write(&found, &out);
    assert_non_null(
        strstr(out.ptr, "\"kind\":\"alert_rate\",\"namespace\":\"\",\"name\":\"Storm\",\"count\":15"));
}

static int end(void **state)
{
    scene_end();
    return fixture_teardown(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_trend_under_a_daily_rhythm_is_found_with_its_interval),
        cmocka_unit_test(without_a_trend_nothing_is_reached),
        cmocka_unit_test_setup_teardown(an_alert_that_comes_more_often_than_usual_is_told_of, fixture_setup,
                                        end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
