#include "engine/constrain.h"

#include <math.h>
#include <stdlib.h>
#include <yyjson.h>

#include "tests/test.h"

struct fixture {
    struct engine *engine;
    struct engine_sequence *prompt;
    size_t vocab;
};

static int open_engine(void **state)
{
    struct fixture *f = xcalloc(1, sizeof *f);
    struct error *err = NULL;
    char *path = xasprintf("%s/tiny-bpe.gguf", getenv("TEST_MODELS"));
    f->engine = engine_open(
        path, &(struct engine_options){ .context = 512, .cache_tokens = 4096, .threads = 1 }, &err);
    free(path);
    AUTO(engine_tokens) struct engine_tokens tokens = { 0 };
    if (f->engine && engine_tokenize(f->engine, STR("the alert in the night "), 0, &tokens, &err))
        f->prompt = engine_sequence_new(f->engine, &err);
    struct engine_item item = { .sequence = f->prompt, .tokens = tokens.ids, .count = tokens.len };
    *state = f;
    if (f->prompt && engine_step(f->engine, &item, 1, &err)) {
        f->vocab = engine_info(f->engine)->vocab;
        return 0;
    }
    print_error("%s\n", error_message(err));
    return -1;
}

static int close_engine(void **state)
{
    struct fixture *f = *state;
    engine_sequence_free(f->prompt);
    engine_close(f->engine);
    free(f);
    return 0;
}

static struct engine_completion complete(const struct fixture *f,
                                         const struct engine_complete_options *options)
{
    struct error *err = NULL;
    struct engine_completion done;
    AUTO(engine_sequence) struct engine_sequence *sequence = engine_sequence_fork(f->prompt, &err);
    assert_non_null(sequence);
    assert_ok(engine_complete(f->engine, sequence, options, &done, &err), err);
    return done;
}

static void greedy_takes_the_likeliest_token_each_time(void **state)
{
    const struct fixture *f = *state;
    AUTO(engine_completion)
    struct engine_completion done = complete(f, &(struct engine_complete_options){ .max_tokens = 20 });
    AUTO(engine_sequence) struct engine_sequence *sequence = engine_sequence_fork(f->prompt, NULL);
    float *logits = xmalloc(f->vocab * sizeof *logits);
    double *log_p = xmalloc(f->vocab * sizeof *log_p);
    for (size_t i = 0; i < done.tokens.len; i++) {
        assert_true(engine_sequence_logits(f->engine, sequence, logits, NULL, NULL));
        engine_log_softmax(logits, f->vocab, log_p);
        for (size_t k = 0; k < f->vocab; k++)
            assert_true(logits[k] <= logits[done.tokens.ids[i]]);
        if (log_p[done.tokens.ids[i]] != done.log_probabilities[i])
            fail_msg("token %zu: %.12g, stepwise %.12g", i, done.log_probabilities[i],
                     log_p[done.tokens.ids[i]]);
        struct engine_item item = { .sequence = sequence, .tokens = &done.tokens.ids[i], .count = 1 };
        assert_true(engine_step(f->engine, &item, 1, NULL));
    }
    free(logits), free(log_p);
}

static void the_same_seed_gives_the_same_text(void **state)
{
    struct engine_complete_options options = {
        .max_tokens = 30, .temperature = 1.5, .top_k = 50, .top_p = 0.95, .seed = 7
    };
    AUTO(engine_completion)
    struct engine_completion a = complete(*state, &options), b = complete(*state, &options);
    options.seed = 8;
    AUTO(engine_completion) struct engine_completion c = complete(*state, &options);
    assert_str_equal(strbuf_str(&a.text), strbuf_str(&b.text));
    assert_false(str_eq(strbuf_str(&a.text), strbuf_str(&c.text)));
}

static void what_is_sampled_follows_the_distribution(void **state)
{
    const struct fixture *f = *state;
    enum { N = 3000 };
    float *logits = xmalloc(f->vocab * sizeof *logits);
    double *log_p = xmalloc(f->vocab * sizeof *log_p);
    unsigned *count = xcalloc(f->vocab, sizeof *count);
    assert_true(engine_sequence_logits(f->engine, f->prompt, logits, NULL, NULL));
    engine_log_softmax(logits, f->vocab, log_p);
    for (uint64_t seed = 0; seed < N; seed++) {
        AUTO(engine_completion)
        struct engine_completion one =
            complete(f, &(struct engine_complete_options){ .max_tokens = 1, .temperature = 1, .seed = seed });
        if (one.tokens.len)
            count[one.tokens.ids[0]]++;
    }
    for (size_t i = 0; i < f->vocab; i++) {
        double p = exp(log_p[i]), deviation = sqrt(p * (1 - p) / N);
        if (!engine_token_is_end(f->engine, (int32_t)i))
            assert_true(fabs(count[i] / (double)N - p) <= 5 * deviation + 1e-3);
    }
    free(logits), free(log_p), free(count);
}

static const char schema[] =
    "{\"type\":\"object\",\"required\":[\"action\",\"replicas\"],\"properties\":{\"action\":{\"enum\":[\"restart_pod\","
    "\"scale_deployment\",\"notify_only\"]},\"replicas\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":20},\"reason\":"
    "{\"type\":\"string\",\"maxLength\":10}}}";

static void a_constrained_answer_satisfies_its_schema(void **state)
{
    const struct fixture *f = *state;
    struct error *err = NULL;
    AUTO(engine_constraint)
    struct engine_constraint *constraint = engine_constraint_json(f->engine, STR(schema), &err);
    assert_ok(constraint, err);
    for (uint64_t seed = 0; seed < 60; seed++) {
        AUTO(engine_completion)
        struct engine_completion done = complete(
            f, &(struct engine_complete_options){
                   .constraint = constraint, .temperature = seed ? 1 : 0, .seed = seed, .max_tokens = 400 });
        if (!engine_constraint_matches(constraint, strbuf_str(&done.text)))
            fail_msg("%s", done.text.ptr);
        yyjson_doc *doc = yyjson_read(done.text.ptr, done.text.len, 0);
        assert_non_null(doc);
        yyjson_doc_free(doc);
        assert_true(done.n_forced > 0);
        assert_int_equal(done.end, ENGINE_ENDED_BY_CONSTRAINT);
    }
}

/* The token by token way: each token on its own, its mask looked up, is what forcing must not change. */
static void forced_tokens_are_those_that_decoding_allows(void **state)
{
    const struct fixture *f = *state;
    AUTO(engine_constraint)
    struct engine_constraint *constraint = engine_constraint_json(f->engine, STR(schema), NULL);
    AUTO(engine_completion)
    struct engine_completion done =
        complete(f, &(struct engine_complete_options){ .constraint = constraint });
    uint32_t at = AUTOMATON_START;
    for (size_t i = 0; i < done.tokens.len; i++) {
        int32_t token = done.tokens.ids[i];
        const uint64_t *mask = constraint_mask(constraint, at, NULL);
        assert_true(mask[token / 64] >> token % 64 & 1);
        at = automaton_walk(constraint_automaton(constraint), at, engine_token_bytes(f->engine, token));
    }
}

static void a_mask_allows_just_the_tokens_that_keep_the_text_alive(void **state)
{
    const struct fixture *f = *state;
    AUTO(engine_constraint)
    struct engine_constraint *constraint =
        engine_constraint_regex(f->engine, STR("(the|a|in)*( [a-z]{1,3})?"), NULL);
    const struct automaton *automaton = constraint_automaton(constraint);
    for (uint32_t at = AUTOMATON_START; at < automaton->n_states; at++) {
        const uint64_t *mask = constraint_mask(constraint, at, NULL);
        for (size_t i = 0; i < f->vocab; i++) {
            struct str bytes = engine_token_bytes(f->engine, (int32_t)i);
            bool alive = bytes.len && automaton_walk(automaton, at, bytes) != AUTOMATON_DEAD;
            if (engine_token_is_end(f->engine, (int32_t)i))
                alive = automaton->accepts[at];
            assert_int_equal(mask[i / 64] >> i % 64 & 1, alive);
        }
    }
}

struct heard {
    struct strbuf text;
    size_t calls, leave_after;
};

static bool hear(void *context, struct str text)
{
    struct heard *heard = context;
    strbuf_add(&heard->text, text);
    assert_true(utf8_is_valid(text));
    return ++heard->calls != heard->leave_after;
}

static void a_stop_text_ends_the_answer_and_is_not_part_of_it(void **state)
{
    const struct fixture *f = *state;
    struct engine_complete_options options = { .max_tokens = 60, .temperature = 1, .seed = 3 };
    AUTO(engine_completion) struct engine_completion whole = complete(f, &options);
    assert_true(whole.text.len > 12);
    struct str stop = str_slice(strbuf_str(&whole.text), 8, 11);
    while (stop.len && ((unsigned char)stop.ptr[0] & 0xc0) == 0x80)
        stop = str_slice(stop, 1, stop.len);
    struct heard heard = { 0 };
    options.stops = &stop, options.n_stops = 1, options.on_text = hear, options.context = &heard;
    AUTO(engine_completion) struct engine_completion done = complete(f, &options);
    size_t at;
    assert_int_equal(done.end, ENGINE_ENDED_BY_STOP);
    assert_false(str_find(strbuf_str(&done.text), stop, &at));
    assert_true(str_starts_with(strbuf_str(&whole.text), strbuf_str(&done.text)));
    assert_str_equal(strbuf_str(&heard.text), strbuf_str(&done.text));
    strbuf_free(&heard.text);
}

static void the_caller_can_end_it_and_length_does(void **state)
{
    struct heard heard = { .leave_after = 2 };
    struct engine_complete_options options = {
        .max_tokens = 40, .temperature = 1, .on_text = hear, .context = &heard
    };
    AUTO(engine_completion) struct engine_completion left = complete(*state, &options);
    assert_int_equal(left.end, ENGINE_ENDED_BY_CALLER);
    assert_int_equal(heard.calls, 2);
    strbuf_free(&heard.text);
    AUTO(engine_completion)
    struct engine_completion full = complete(*state, &(struct engine_complete_options){ .max_tokens = 3 });
    assert_int_equal(full.end, ENGINE_ENDED_BY_LENGTH);
    assert_int_equal(full.tokens.len, 3);
    AUTO(engine_completion)
    struct engine_completion context =
        complete(*state, &(struct engine_complete_options){ .max_tokens = 100000 });
    assert_true(context.end == ENGINE_ENDED_BY_LENGTH || context.end == ENGINE_ENDED_BY_MODEL);
}

static void nonsense_is_refused(void **state)
{
    const struct fixture *f = *state;
    struct error *err = NULL;
    struct engine_completion done;
    AUTO(engine_sequence) struct engine_sequence *empty = engine_sequence_new(f->engine, NULL);
    assert_fails(engine_complete(f->engine, empty, NULL, &done, &err), err, ERROR_INVALID, "empty");
    struct engine_complete_options options = { .temperature = NAN };
    assert_fails(engine_complete(f->engine, f->prompt, &options, &done, &err), err, ERROR_INVALID,
                 "temperature");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(greedy_takes_the_likeliest_token_each_time),
        cmocka_unit_test(the_same_seed_gives_the_same_text),
        cmocka_unit_test(what_is_sampled_follows_the_distribution),
        cmocka_unit_test(a_constrained_answer_satisfies_its_schema),
        cmocka_unit_test(forced_tokens_are_those_that_decoding_allows),
        cmocka_unit_test(a_mask_allows_just_the_tokens_that_keep_the_text_alive),
        cmocka_unit_test(a_stop_text_ends_the_answer_and_is_not_part_of_it),
        cmocka_unit_test(the_caller_can_end_it_and_length_does),
        cmocka_unit_test(nonsense_is_refused),
    };
    return cmocka_run_group_tests(tests, open_engine, close_engine);
}
