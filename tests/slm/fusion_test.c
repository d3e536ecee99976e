#include "tests/test.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "slm/fusion.h"

enum { COUNT = 300 };

/* Alerts whose right answer the prior mostly knows; the trie knows a little, beneath one thing that it always says. */
struct fixture {
    double evidence[COUNT][FUSED_SOURCES][ACTION_COUNT], target[COUNT][ACTION_COUNT];
    uint32_t acceptable[COUNT], unsafe[COUNT];
};

static void fill(double row[ACTION_COUNT], int action, double p)
{
    for (int a = 0; a < ACTION_COUNT; a++)
        row[a] = log(a == action ? p : (1 - p) / (ACTION_COUNT - 1));
}

static void make(struct fixture *f)
{
    struct rng rng = { 5 };
    memset(f, 0, sizeof *f);
    for (size_t i = 0; i < COUNT; i++) {
        int right = (int)rng_below(&rng, ACTION_COUNT);
        int said = rng_unit(&rng) < 0.9 ? right : (int)rng_below(&rng, ACTION_COUNT);
        for (int s = 0; s < FUSED_SOURCES; s++)
            f->evidence[i][s][0] = NAN;
        fill(f->evidence[i][EVIDENCE_PRIOR], said, 0.6);
        fill(f->evidence[i][EVIDENCE_TRIE], ACTION_SCALE_DEPLOYMENT, 0.9);
        f->evidence[i][EVIDENCE_TRIE][right] += 1;
        f->target[i][right] = 1;
        f->acceptable[i] = BIT(right);
    }
}

static struct fusion *fit(const struct fixture *f)
{
    return fusion_fit(&(struct fusion_data){ .count = COUNT,
                                             .evidence = (double(*)[FUSED_SOURCES][ACTION_COUNT])f->evidence,
                                             .target = f->target,
                                             .acceptable = f->acceptable,
                                             .unsafe = f->unsafe },
                      "a model");
}

static void source_that_knows_earns_more_weight(void **state)
{
    (void)state;
    struct fixture *f = xcalloc(1, sizeof *f);
    make(f);
    AUTO(fusion) struct fusion *fusion = fit(f);
    unsigned both = BIT(EVIDENCE_PRIOR) | BIT(EVIDENCE_TRIE);
    assert_true(fusion->weights[both][EVIDENCE_PRIOR] > 0.5);
    assert_true(fusion->bias != BIAS_NONE); /* what is always said is the model's bias, and is taken away */
    double p[ACTION_COUNT], sum = 0;
    enum action first = fusion_apply(fusion, f->evidence[0], NULL, ACTION_SET_ALL, p);
    assert_true(f->evidence[0][EVIDENCE_PRIOR][first] > -1);
    for (int a = 0; a < ACTION_COUNT; a++)
        sum += p[a];
    assert_true(fabs(sum - 1) < 1e-9);
    double confidence = fusion_calibrate(fusion, p[first]);
    assert_true(confidence > 0.8 && confidence < 1);
    free(f);
}

static void nothing_outside_the_feasible_set_is_chosen(void **state)
{
    (void)state;
    struct fixture *f = xcalloc(1, sizeof *f);
    make(f);
    AUTO(fusion) struct fusion *fusion = fit(f);
    for (size_t i = 0; i < COUNT; i++) {
        double p[ACTION_COUNT];
        uint32_t set = BIT(ACTION_NOTIFY_ONLY) | BIT(i % ACTION_COUNT);
        enum action first = fusion_apply(fusion, f->evidence[i], NULL, set, p);
        assert_true(set & BIT(first));
        for (int a = 0; a < ACTION_COUNT; a++)
            assert_true(set & BIT(a) || p[a] == 0);
    }
    free(f);
}

static void unmeasured_source_has_no_say(void **state)
{
    (void)state;
    struct fixture *f = xcalloc(1, sizeof *f);
    make(f);
    AUTO(fusion) struct fusion *fusion = fit(f);
    double with[ACTION_COUNT], without[ACTION_COUNT], evidence[FUSED_SOURCES][ACTION_COUNT];
    memcpy(evidence, f->evidence[0], sizeof evidence);
    fusion_apply(fusion, (const double(*)[ACTION_COUNT])evidence, NULL, ACTION_SET_ALL, without);
    fill(evidence[EVIDENCE_RUNBOOK], ACTION_DRAIN_NODE, 0.99);
    fusion_apply(fusion, (const double(*)[ACTION_COUNT])evidence, NULL, ACTION_SET_ALL, with);
    assert_memory_equal(with, without, sizeof with);
    free(f);
}

static void saved_fusion_gives_the_same_bits(void **state)
{
    (void)state;
    struct error *err = NULL;
    struct fixture *f = xcalloc(1, sizeof *f);
    make(f);
    char path[] = "/tmp/fusion_test.XXXXXX";
    close(mkstemp(path));
    AUTO(fusion) struct fusion *fusion = fit(f);
    assert_ok(fusion_save(fusion, path, &err), err);
    AUTO(fusion) struct fusion *back = fusion_open(path, &err);
    assert_ok(back, err);
    assert_string_equal(back->sha256, fusion->sha256);
    double a[ACTION_COUNT], b[ACTION_COUNT];
    fusion_apply(fusion, f->evidence[7], NULL, ACTION_SET_ALL, a);
    fusion_apply(back, f->evidence[7], NULL, ACTION_SET_ALL, b);
    assert_memory_equal(a, b, sizeof a);
    unlink(path);
    free(f);
}

static void damaged_file_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = { "", "[]", "{\"version\":1}", "{\"version\":2}",
                                       "{\"version\":1,\"bias_correction\":\"none\",\"weights\":[]}" };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct error *err = NULL;
        assert_null(fusion_parse(str_of(bad[i]), &err));
        assert_non_null(err);
        error_clear(&err);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(source_that_knows_earns_more_weight),
        cmocka_unit_test(nothing_outside_the_feasible_set_is_chosen),
        cmocka_unit_test(unmeasured_source_has_no_say),
        cmocka_unit_test(saved_fusion_gives_the_same_bits),
        cmocka_unit_test(damaged_file_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
