#include "tests/test.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "slm/lexical.h"
#include "slm/prior.h"

/* Three rules for each of two situations, told apart by their words. */
static void make_scenarios(struct arena *arena, struct scenario_list *list)
{
    static const struct {
        const char *summary;
        enum action best, unsafe;
    } rows[] = {
        { "volume {} is almost full", ACTION_EXPAND_PVC, ACTION_DRAIN_NODE },
        { "node {} is not ready", ACTION_DRAIN_NODE, ACTION_EXPAND_PVC },
    };
    static const char *const names[] = { "north", "south", "east", "west" };
    for (size_t i = 0; i < 8; i++) {
        char *json = arena_printf(
            arena, "{\"labels\":{\"alertname\":\"%s%zu\"},\"annotations\":{\"summary\":\"%.*s%s%s\"}}",
            names[i / 2], i, (int)(strchr(rows[i % 2].summary, '{') - rows[i % 2].summary),
            rows[i % 2].summary, names[i / 2], strchr(rows[i % 2].summary, '}') + 1);
        struct alert_payload payload;
        struct error *err = NULL;
        assert_ok(alert_parse(arena, str_of(json), &payload, &err), err);
        list->items[list->count++] = (struct scenario){ .rule = str_of(arena_printf(arena, "rule%zu", i)),
                                                        .alert = payload.alerts[0],
                                                        .labelled = true,
                                                        .best = rows[i % 2].best,
                                                        .acceptable = BIT(rows[i % 2].best),
                                                        .unsafe = BIT(rows[i % 2].unsafe) };
    }
}

static void unseen_rule_is_recognised_by_its_words(void **state)
{
    (void)state;
    AUTO(arena) struct arena *arena = arena_new(4096);
    struct scenario items[8];
    struct scenario_list list = { items, 0, 8 };
    make_scenarios(arena, &list);
    const uint8_t use[8] = { 1, 1, 1, 1, 1, 1, 0, 0 };
    AUTO(layer) struct layer *prior = prior_fit(&list, use);
    for (int i = 6; i < 8; i++) {
        struct feature_list features = features_of_alert(arena, &items[i].alert);
        double log_p[ACTION_COUNT], sum = 0;
        prior_log_probabilities(prior, &features, log_p);
        for (int a = 0; a < ACTION_COUNT; a++)
            sum += exp(log_p[a]);
        assert_true(fabs(sum - 1) < 1e-9);
        for (int a = 0; a < ACTION_COUNT; a++)
            assert_true(a == (int)items[i].best || log_p[a] < log_p[items[i].best]);
        struct prior_word words[3];
        assert_int_equal(prior_explain(prior, &features, items[i].best, words, 3), 3);
        assert_true(words[0].weight >= words[1].weight && words[1].weight > 0);
    }
}

static void saved_prior_is_the_same_and_a_damaged_one_is_refused(void **state)
{
    (void)state;
    AUTO(arena) struct arena *arena = arena_new(4096);
    struct scenario items[8];
    struct scenario_list list = { items, 0, 8 };
    make_scenarios(arena, &list);
    struct error *err = NULL;
    char path[] = "/tmp/prior_test.XXXXXX";
    close(mkstemp(path));
    AUTO(layer) struct layer *prior = prior_fit(&list, NULL);
    assert_ok(layer_save(prior, path, &err), err);
    AUTO(layer) struct layer *back = layer_open(path, &err);
    assert_ok(back, err);
    assert_string_equal(back->sha256, prior->sha256);
    struct feature_list features = features_of_alert(arena, &items[0].alert);
    double a[ACTION_COUNT], b[ACTION_COUNT];
    prior_log_probabilities(prior, &features, a);
    prior_log_probabilities(back, &features, b);
    assert_memory_equal(a, b, sizeof a);

    AUTO(strbuf) struct strbuf file = { 0 };
    assert_ok(file_read(path, 1 << 20, &file, &err), err);
    for (size_t len = 0; len < file.len; len += 1 + file.len / 50) {
        assert_ok(file_replace(path, str_slice(strbuf_str(&file), 0, len), 0600, &err), err);
        assert_null(layer_open(path, &err));
        assert_non_null(strstr(error_message(err), path));
        error_clear(&err);
    }
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unseen_rule_is_recognised_by_its_words),
        cmocka_unit_test(saved_prior_is_the_same_and_a_damaged_one_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
