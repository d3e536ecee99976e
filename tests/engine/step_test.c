/* The promise of engine.h, checked with memcmp: what a sequence gives depends on its tokens alone. */
#include "engine/engine.h"

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/test.h"

enum { LEN = 75 }; /* more than four pages, and not whole ones */

static const char *const models[] = { "tiny-bpe", "tiny-f16", "tiny-granite", "tiny-granitemoe" };
static int32_t text[LEN];

static struct engine *open_model(const char *name, const struct engine_options *options)
{
    struct error *err = NULL;
    AUTO(text) char *path = xasprintf("%s/%s.gguf", getenv("TEST_MODELS"), name);
    struct engine *engine = engine_open(path, options, &err);
    assert_ok(engine, err);
    return engine;
}

static int set_up(void **state)
{
    (void)state;
    for (int i = 0; i < LEN; i++)
        text[i] = (i * 37 + i * i * 11) % 300 + 3;
    return 0;
}

/* Append text[from..to) and give the logits of all of it. */
static float *append(struct engine *engine, struct engine_sequence *sequence, size_t from, size_t to)
{
    struct error *err = NULL;
    float *logits = xcalloc((to - from) * engine_info(engine)->vocab, sizeof *logits);
    struct engine_item item = {
        .sequence = sequence, .tokens = text + from, .count = to - from, .logits = logits
    };
    assert_ok(engine_step(engine, &item, 1, &err), err);
    return logits;
}

static float *logits_of(const char *model, const struct engine_options *options, size_t *bytes)
{
    AUTO(engine) struct engine *engine = open_model(model, options);
    AUTO(engine_sequence) struct engine_sequence *sequence = engine_sequence_new(engine, NULL);
    *bytes = LEN * engine_info(engine)->vocab * sizeof(float);
    return append(engine, sequence, 0, LEN);
}

static void assert_same_logits(const char *model, const struct engine_options *options, const float *expected)
{
    size_t bytes;
    float *logits = logits_of(model, options, &bytes);
    assert_memory_equal(logits, expected, bytes);
    free(logits);
}

static void logits_are_the_same_bits_on_every_instruction_set(void **state)
{
    static const char *const isas[] = { "avx512vnni", "avx2", "neon" };
    (void)state;
    for (size_t m = 0; m < ARRAY_LEN(models); m++) {
        size_t bytes;
        float *expected =
            logits_of(models[m], &(struct engine_options){ .isa = "scalar", .threads = 1 }, &bytes);
        for (size_t i = 0; i < ARRAY_LEN(isas); i++) {
            struct error *err = NULL;
            AUTO(text) char *path = xasprintf("%s/%s.gguf", getenv("TEST_MODELS"), models[m]);
            struct engine *engine = engine_open(path, &(struct engine_options){ .isa = isas[i] }, &err);
            engine_close(engine);
            if (engine)
                assert_same_logits(models[m], &(struct engine_options){ .isa = isas[i], .threads = 2 },
                                   expected);
            else
                assert_int_equal(error_code(err), ERROR_UNSUPPORTED);
            error_clear(&err);
        }
        free(expected);
    }
}

static void logits_are_the_same_bits_for_any_threads_and_batch(void **state)
{
    static const struct engine_options options[] = {
        { .threads = 2, .batch = 7 },
        { .threads = 3, .batch = 64 },
        { .threads = 1, .batch = 1 },
        { .threads = 5 },
    };
    (void)state;
    for (size_t m = 0; m < ARRAY_LEN(models); m++) {
        size_t bytes;
        float *expected = logits_of(models[m], &(struct engine_options){ .threads = 1 }, &bytes);
        for (size_t i = 0; i < ARRAY_LEN(options); i++)
            assert_same_logits(models[m], &options[i], expected);
        free(expected);
    }
}

static void tokens_one_by_one_give_the_bits_of_all_at_once(void **state)
{
    (void)state;
    for (size_t m = 0; m < ARRAY_LEN(models); m++) {
        AUTO(engine) struct engine *engine = open_model(models[m], NULL);
        AUTO(engine_sequence) struct engine_sequence *whole = engine_sequence_new(engine, NULL);
        AUTO(engine_sequence) struct engine_sequence *single = engine_sequence_new(engine, NULL);
        size_t vocab = engine_info(engine)->vocab;
        float *expected = append(engine, whole, 0, LEN);
        for (size_t i = 0; i < LEN; i++) {
            float *logits = append(engine, single, i, i + 1);
            assert_memory_equal(logits, expected + i * vocab, vocab * sizeof *logits);
            free(logits);
        }
        free(expected);
    }
}

static void companions_in_a_step_change_nothing(void **state)
{
    (void)state;
    AUTO(engine) struct engine *engine = open_model("tiny-granitemoe", NULL);
    enum { N = 20 };
    struct engine_sequence *sequences[N];
    struct engine_item items[N];
    size_t vocab = engine_info(engine)->vocab;
    float *expected[N], *logits = xcalloc(N * vocab, sizeof *logits);
    for (int i = 0; i < N; i++) {
        AUTO(engine_sequence) struct engine_sequence *alone = engine_sequence_new(engine, NULL);
        free(append(engine, alone, 0, 3 * i + 1));
        expected[i] = append(engine, alone, 3 * i + 1, 3 * i + 4);
        sequences[i] = engine_sequence_new(engine, NULL);
        free(append(engine, sequences[i], 0, 3 * i + 1));
        items[i] = (struct engine_item){ .sequence = sequences[i],
                                         .tokens = text + 3 * i + 1,
                                         .count = 3,
                                         .logits = logits + i * vocab,
                                         .logits_from = 2 };
    }
    assert_true(engine_step(engine, items, N, NULL));
    for (int i = 0; i < N; i++) {
        assert_memory_equal(logits + i * vocab, expected[i] + 2 * vocab, vocab * sizeof *logits);
        engine_sequence_free(sequences[i]);
        free(expected[i]);
    }
    free(logits);
}

static void fork_gives_the_bits_of_a_fresh_sequence_and_leaves_its_origin_alone(void **state)
{
    (void)state;
    AUTO(engine) struct engine *engine = open_model("tiny-bpe", NULL);
    size_t bytes = 20 * engine_info(engine)->vocab * sizeof(float);
    for (size_t at = 30; at < 34; at++) { /* before, at and after the end of a page */
        AUTO(engine_sequence) struct engine_sequence *fresh = engine_sequence_new(engine, NULL);
        AUTO(engine_sequence) struct engine_sequence *origin = engine_sequence_new(engine, NULL);
        free(append(engine, fresh, 0, at));
        free(append(engine, origin, 0, at));
        AUTO(engine_sequence) struct engine_sequence *fork = engine_sequence_fork(origin, NULL);
        float *expected = append(engine, fresh, at, at + 20), *other = append(engine, fork, 0, 20);
        float *logits = append(engine, origin, at, at + 20);
        assert_memory_equal(logits, expected, bytes);
        engine_sequence_truncate(fork, at);
        float *again = append(engine, fork, at, at + 20);
        assert_memory_equal(again, expected, bytes);
        free(expected);
        free(other);
        free(logits);
        free(again);
    }
}

/* Eight choices that share beginnings, one that is the beginning of another, one of a single token, one there twice. */
static size_t make_choices(struct engine_choice *choices)
{
    static const int32_t tokens[][24] = {
        { 5, 6, 7 },  { 5, 6, 8, 9 },
        { 5, 6 },     { 10 },
        { 5, 11, 7 }, { 12, 6, 7 },
        { 5, 6, 7 },  { 9, 8, 7, 6, 5, 4, 3, 4, 5, 6, 7, 8, 9, 8, 7, 6, 5, 4, 3, 4, 5, 6, 7, 8 }
    };
    static const size_t counts[] = { 3, 4, 2, 1, 3, 3, 3, 24 };
    for (size_t i = 0; i < ARRAY_LEN(counts); i++)
        choices[i] = (struct engine_choice){ tokens[i], counts[i], 0 };
    return ARRAY_LEN(counts);
}

static double step_by_step(struct engine *engine, const struct engine_sequence *from,
                           const struct engine_choice *choice)
{
    size_t vocab = engine_info(engine)->vocab;
    float *logits = xcalloc(vocab, sizeof *logits);
    double *log_p = xcalloc(vocab, sizeof *log_p), sum = 0;
    AUTO(engine_sequence) struct engine_sequence *fork = engine_sequence_fork(from, NULL);
    for (size_t i = 0; i < choice->count; i++) {
        assert_true(engine_sequence_logits(engine, fork, logits, NULL, NULL));
        engine_log_softmax(logits, vocab, log_p);
        sum += log_p[choice->tokens[i]];
        struct engine_item item = { .sequence = fork, .tokens = &choice->tokens[i], .count = 1 };
        assert_true(engine_step(engine, &item, 1, NULL));
    }
    free(logits);
    free(log_p);
    return sum;
}

static void choices_have_the_bits_of_their_tokens_one_by_one(void **state)
{
    (void)state;
    for (size_t m = 0; m < ARRAY_LEN(models); m++) {
        for (unsigned batch = 256; batch >= 4;
             batch /= 8) { /* 4: several passes, and one choice that is too long */
            AUTO(engine)
            struct engine *engine = open_model(models[m], &(struct engine_options){ .batch = batch });
            AUTO(engine_sequence) struct engine_sequence *sequence = engine_sequence_new(engine, NULL);
            struct engine_choice choices[8];
            struct error *err = NULL;
            size_t n = make_choices(choices);
            free(append(engine, sequence, 0, 27));
            assert_ok(engine_choose(engine, sequence, choices, n, &err), err);
            for (size_t i = 0; i < n; i++)
                assert_true(choices[i].log_probability == step_by_step(engine, sequence, &choices[i]));
            assert_int_equal(engine_sequence_len(sequence), 27);
        }
    }
}

static void choosing_after_a_truncation_reads_the_last_token_again(void **state)
{
    (void)state;
    AUTO(engine) struct engine *engine = open_model("tiny-bpe", NULL);
    AUTO(engine_sequence) struct engine_sequence *fresh = engine_sequence_new(engine, NULL);
    AUTO(engine_sequence) struct engine_sequence *cut = engine_sequence_new(engine, NULL);
    struct engine_choice a[8], b[8];
    size_t n = make_choices(a);
    make_choices(b);
    free(append(engine, fresh, 0, 32));
    free(append(engine, cut, 0, 60));
    engine_sequence_truncate(cut, 32);
    assert_true(engine_choose(engine, fresh, a, n, NULL) && engine_choose(engine, cut, b, n, NULL));
    for (size_t i = 0; i < n; i++)
        assert_true(a[i].log_probability == b[i].log_probability);
}

static void mean_is_that_of_the_hidden_states(void **state)
{
    (void)state;
    AUTO(engine) struct engine *engine = open_model("tiny-granite", &(struct engine_options){ .batch = 16 });
    AUTO(engine_sequence) struct engine_sequence *sequence = engine_sequence_new(engine, NULL);
    size_t dim = engine_info(engine)->dim;
    float *hidden = xcalloc(LEN * dim, sizeof *hidden), *mean = xcalloc(dim, sizeof *mean);
    struct engine_item item = { .sequence = sequence,
                                .tokens = text,
                                .count = LEN,
                                .hidden = hidden,
                                .hidden_mean = mean,
                                .mean_from = 10 };
    assert_true(engine_step(engine, &item, 1, NULL));
    for (size_t k = 0; k < dim; k++) {
        double sum = 0;
        for (size_t i = 10; i < LEN; i++)
            sum += (double)hidden[i * dim + k];
        assert_true(mean[k] == (float)(sum / (LEN - 10)));
    }
    free(hidden);
    free(mean);
}

static char *make_folder(void)
{
    char *folder = xstrdup("/tmp/engine-step-test-XXXXXX");
    assert_non_null(mkdtemp(folder));
    return folder;
}

static void remove_folder(char *folder)
{
    DIR *directory = opendir(folder);
    for (struct dirent *entry; (entry = readdir(directory));) {
        AUTO(text) char *path = xasprintf("%s/%s", folder, entry->d_name);
        unlink(path);
    }
    closedir(directory);
    rmdir(folder);
    free(folder);
}

static void spoil(const char *folder, const char *prefix, bool shorten)
{
    DIR *directory = opendir(folder);
    for (struct dirent *entry; (entry = readdir(directory));) {
        AUTO(text) char *path = xasprintf("%s/%s", folder, entry->d_name);
        if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
            continue;
        if (shorten)
            assert_int_equal(truncate(path, 5000), 0);
        FILE *file = fopen(path, "r+");
        fseek(file, 4500, SEEK_SET);
        fputc(0x55, file);
        fputc(0xaa, file);
        fclose(file);
    }
    closedir(directory);
}

static void saved_prefix_has_the_bits_of_a_computed_one(void **state)
{
    (void)state;
    char *folder = make_folder();
    size_t bytes;
    float *expected = logits_of("tiny-bpe", NULL, &bytes);
    for (int turn = 0; turn < 5; turn++) {
        AUTO(engine)
        struct engine *engine = open_model("tiny-bpe", &(struct engine_options){ .cache_dir = folder });
        struct error *err = NULL;
        bool was_cached;
        struct engine_sequence *prefix = engine_prefix_open(engine, text, 40, &was_cached, &err);
        assert_ok(prefix, err);
        assert_int_equal(was_cached, turn == 1 || turn == 3);
        AUTO(engine_sequence) struct engine_sequence *fork = engine_sequence_fork(prefix, NULL);
        for (int i = 0; i < 2; i++) {
            size_t vocab = engine_info(engine)->vocab;
            float *logits = append(engine, i ? prefix : fork, 40, LEN);
            assert_memory_equal(logits, expected + 40 * vocab, (LEN - 40) * vocab * sizeof *logits);
            free(logits);
        }
        engine_sequence_free(prefix);
        if (turn == 1 || turn == 3)
            spoil(folder, "prefix-", turn == 3);
    }
    free(expected);
    remove_folder(folder);
}

static void prepared_weights_are_mapped_and_give_the_same_bits(void **state)
{
    (void)state;
    for (size_t m = 0; m < ARRAY_LEN(models); m++) {
        char *folder = make_folder();
        size_t bytes;
        struct error *err = NULL;
        float *expected = logits_of(models[m], NULL, &bytes);
        AUTO(text) char *path = xasprintf("%s/%s.gguf", getenv("TEST_MODELS"), models[m]);
        assert_ok(engine_prepare(path, folder, &err) && engine_prepare(path, folder, &err), err);
        AUTO(engine)
        struct engine *engine = open_model(models[m], &(struct engine_options){ .cache_dir = folder });
        assert_true(engine_info(engine)->prepared);
        assert_same_logits(models[m], &(struct engine_options){ .cache_dir = folder }, expected);
        free(expected);
        remove_folder(folder);
    }
}

/* ---- failures ---- */

static void step_that_fails_leaves_the_sequence_as_it_was(void **state)
{
    (void)state;
    AUTO(engine)
    struct engine *engine =
        open_model("tiny-bpe", &(struct engine_options){ .context = 64, .cache_tokens = 64 });
    AUTO(engine_sequence) struct engine_sequence *a = engine_sequence_new(engine, NULL);
    AUTO(engine_sequence) struct engine_sequence *b = engine_sequence_new(engine, NULL);
    struct error *err = NULL;
    atomic_bool cancel = true;
    int32_t wrong = (int32_t)engine_info(engine)->vocab;
    struct engine_item item = { .sequence = a, .tokens = text, .count = 65 };
    assert_fails(engine_step(engine, &item, 1, &err), err, ERROR_LIMIT, "the context holds 64");
    item = (struct engine_item){ .sequence = a, .tokens = &wrong, .count = 1 };
    assert_fails(engine_step(engine, &item, 1, &err), err, ERROR_INVALID, "the vocabulary has");
    item = (struct engine_item){ .sequence = a, .tokens = text, .count = 5, .cancel = &cancel };
    assert_fails(engine_step(engine, &item, 1, &err), err, ERROR_CANCELLED, "cancelled");
    struct engine_item twice[2] = { { .sequence = a, .tokens = text, .count = 1 },
                                    { .sequence = a, .tokens = text, .count = 1 } };
    assert_fails(engine_step(engine, twice, 2, &err), err, ERROR_INVALID, "same sequence");
    assert_int_equal(engine_sequence_len(a), 0);
    free(append(engine, a, 0, 64));
    item = (struct engine_item){ .sequence = b, .tokens = text, .count = 48 };
    assert_fails(engine_step(engine, &item, 1, &err), err, ERROR_NO_MEMORY, "cache positions are in use");
    engine_sequence_truncate(a, 0);
    free(append(engine, b, 0, 64));
}

static void model_that_does_not_fit_is_refused_with_its_sizes(void **state)
{
    (void)state;
    struct error *err = NULL;
    AUTO(text) char *path = xasprintf("%s/tiny-bpe.gguf", getenv("TEST_MODELS"));
    struct engine *engine = engine_open(path, &(struct engine_options){ .memory_limit = 1000 }, &err);
    assert_fails(engine, err, ERROR_NO_MEMORY, "needs ");
    engine = engine_open(path, &(struct engine_options){ .isa = "mmx" }, &err);
    assert_fails(engine, err, ERROR_UNSUPPORTED, "mmx");
    struct engine_memory memory;
    assert_ok(engine_estimate(path, NULL, &memory, &err), err);
    assert_true(memory.total == memory.weights + memory.cache + memory.work && memory.total > 0);
}

/* ---- several threads ---- */

struct user {
    struct engine *engine;
    size_t from;
    const float *expected;
    bool same;
    pthread_t thread;
};

static void *use(void *argument)
{
    struct user *user = argument;
    size_t vocab = engine_info(user->engine)->vocab;
    user->same = true;
    for (int turn = 0; turn < 3; turn++) {
        AUTO(engine_sequence) struct engine_sequence *sequence = engine_sequence_new(user->engine, NULL);
        float *logits = xcalloc(vocab, sizeof *logits);
        for (size_t i = 0; i < LEN; i++) {
            struct engine_item item = {
                .sequence = sequence, .tokens = text + i, .count = 1, .logits = logits
            };
            user->same &= engine_step(user->engine, &item, 1, NULL) &&
                          memcmp(logits, user->expected + i * vocab, vocab * sizeof *logits) == 0;
        }
        free(logits);
    }
    return NULL;
}

static void steps_of_many_threads_run_together_and_stay_apart(void **state)
{
    (void)state;
    size_t bytes;
    float *expected = logits_of("tiny-granitemoe", NULL, &bytes);
    AUTO(engine)
    struct engine *engine =
        open_model("tiny-granitemoe", &(struct engine_options){ .threads = 2, .cache_tokens = 1024 });
    struct user users[6];
    for (size_t i = 0; i < ARRAY_LEN(users); i++) {
        users[i] = (struct user){ .engine = engine, .expected = expected };
        assert_int_equal(pthread_create(&users[i].thread, NULL, use, &users[i]), 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(users); i++) {
        pthread_join(users[i].thread, NULL);
        assert_true(users[i].same);
    }
    free(expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logits_are_the_same_bits_on_every_instruction_set),
        cmocka_unit_test(logits_are_the_same_bits_for_any_threads_and_batch),
        cmocka_unit_test(tokens_one_by_one_give_the_bits_of_all_at_once),
        cmocka_unit_test(companions_in_a_step_change_nothing),
        cmocka_unit_test(fork_gives_the_bits_of_a_fresh_sequence_and_leaves_its_origin_alone),
        cmocka_unit_test(choices_have_the_bits_of_their_tokens_one_by_one),
        cmocka_unit_test(choosing_after_a_truncation_reads_the_last_token_again),
        cmocka_unit_test(mean_is_that_of_the_hidden_states),
        cmocka_unit_test(saved_prefix_has_the_bits_of_a_computed_one),
        cmocka_unit_test(prepared_weights_are_mapped_and_give_the_same_bits),
        cmocka_unit_test(step_that_fails_leaves_the_sequence_as_it_was),
        cmocka_unit_test(model_that_does_not_fit_is_refused_with_its_sizes),
        cmocka_unit_test(steps_of_many_threads_run_together_and_stay_apart),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
