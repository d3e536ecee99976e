#include "effectiveness/effectiveness.h"

#include <math.h>

#include "tests/test.h"

static struct effectiveness score(double resolved, double metric, double quiet, double stable,
                                  double harmless)
{
    return effectiveness_score(
        &(struct effect_evidence){ .criteria = { resolved, metric, quiet, stable, harmless } });
}

static void everything_good_is_one_and_everything_bad_is_nought(void **state)
{
    (void)state;
    struct effectiveness best = score(1, 1, 1, 1, 1), worst = score(0, 0, 0, 0, 0);
    assert_true(fabs(best.score - 1) < 1e-9 && fabs(best.confidence - 1) < 1e-9);
    assert_true(worst.score == 0 && fabs(worst.confidence - 1) < 1e-9);
}

static void a_missed_purpose_is_not_made_good_by_doing_no_harm(void **state)
{
    (void)state;
    assert_true(score(0, NAN, 1, 1, 1).score < 0.01);
    assert_true(score(1, 1, 0, 0, 0).score > 0.5);
}

static void a_failed_execution_did_not_help(void **state)
{
    (void)state;
    struct effect_evidence evidence = { .criteria = { 1, 1, 1, 1, 1 }, .failed = true };
    assert_true(fabs(effectiveness_score(&evidence).score - 0.1) < 1e-9);
}

static void nothing_known_is_no_score(void **state)
{
    (void)state;
    struct effectiveness none = score(NAN, NAN, NAN, NAN, NAN);
    assert_true(isnan(none.score) && none.confidence == 0);
}

/* For random evidence: to forget a criterion never gives less than to say that it went badly, and always less trust. */
static void what_is_not_known_lowers_the_confidence_never_the_score(void **state)
{
    (void)state;
    struct rng rng = { 7 };
    for (int round = 0; round < 20000; round++) {
        struct effect_evidence evidence = { 0 };
        for (int i = 0; i < CRITERION_COUNT; i++)
            evidence.criteria[i] = rng_below(&rng, 3) ? rng_unit(&rng) : NAN;
        int forgotten = (int)rng_below(&rng, CRITERION_COUNT);
        evidence.criteria[forgotten] = 0;
        struct effectiveness bad = effectiveness_score(&evidence);
        evidence.criteria[forgotten] = NAN;
        struct effectiveness unknown = effectiveness_score(&evidence);
        assert_true(unknown.confidence < bad.confidence);
        assert_true(isnan(unknown.score) || unknown.score >= bad.score - 1e-12);
        assert_true(isnan(unknown.score) || (unknown.score >= 0 && unknown.score <= 1 + 1e-12));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_good_is_one_and_everything_bad_is_nought),
        cmocka_unit_test(a_missed_purpose_is_not_made_good_by_doing_no_harm),
        cmocka_unit_test(a_failed_execution_did_not_help),
        cmocka_unit_test(nothing_known_is_no_score),
        cmocka_unit_test(what_is_not_known_lowers_the_confidence_never_the_score),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
