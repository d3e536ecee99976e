/* The prompt's fixed part is tokenized once: what that gives are the tokens of the whole conversation. With the 135M
 * model, over every scenario; skipped where the model is not there. */
#include "slm/embedded.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "slm/prompt.h"
#include "slm/scenario.h"
#include "tests/test.h"

static const char *model_path;
static struct engine_options options = { .threads = 2 };

static struct slm_question question_of(const struct scenario *scenario)
{
    return (struct slm_question){ .alert = &scenario->alert, .alerts = 1, .feasible = ACTION_SET_ALL };
}

static void tokenize_whole(struct engine *engine, struct str user, struct engine_tokens *tokens)
{
    struct engine_message messages[] = { { "system", prompt_system() }, { "user", user } };
    struct error *err = NULL;
    tokens->len = 0;
    assert_ok(engine_chat(engine, NULL, messages, 2, true, tokens, &err), err);
}

static void tokenize_added(struct engine *engine, const struct engine_tokens *system, struct str user,
                           struct engine_tokens *tokens)
{
    struct engine_message message = { "user", user };
    struct error *err = NULL;
    tokens->len = 0;
    for (size_t i = 0; i < system->len; i++)
        engine_tokens_add(tokens, system->ids[i]);
    assert_ok(engine_chat_add(engine, NULL, &message, true, tokens, &err), err);
}

static void assert_same_tokens(const struct engine_tokens *got, const struct engine_tokens *expected)
{
    assert_int_equal(got->len, expected->len);
    assert_memory_equal(got->ids, expected->ids, expected->len * sizeof *expected->ids);
}

static void added_message_has_the_tokens_of_the_whole(void **state)
{
    (void)state;
    struct error *err = NULL;
    AUTO(engine) struct engine *engine = engine_open(model_path, &options, &err);
    assert_ok(engine, err);
    assert_true(engine_chat_can_add(engine, NULL));
    AUTO(arena) struct arena *arena = arena_new(1024 * 1024);
    struct scenario_list list = { 0 };
    assert_ok(scenarios_read(arena, SCENARIOS, &list, &err), err);
    assert_true(list.count > 300);
    AUTO(engine_tokens) struct engine_tokens system = { 0 }, whole = { 0 }, added = { 0 };
    struct engine_message message = { "system", prompt_system() };
    assert_ok(engine_chat(engine, NULL, &message, 1, false, &system, &err), err);
    int64_t whole_us = 0, added_us = 0;
    for (size_t i = 0; i < list.count; i++) {
        struct slm_question question = question_of(&list.items[i]);
        struct str user = prompt_user(arena, &question, ~0u);
        int64_t start = clock_mono_us();
        tokenize_whole(engine, user, &whole);
        int64_t between = clock_mono_us();
        tokenize_added(engine, &system, user, &added);
        whole_us += between - start, added_us += clock_mono_us() - between;
        assert_same_tokens(&added, &whole);
    }
    print_message("%zu prompts: %.3f ms each as a whole, %.3f ms each with the fixed part given\n",
                  list.count, whole_us / 1e3 / list.count, added_us / 1e3 / list.count);
    free(list.items);
}

/* Texts that want to be joined with what is before them, or to be special tokens themselves. */
static void foreign_text_moves_no_boundary(void **state)
{
    (void)state;
    static const char *const texts[] = { "",         "\n",          "\n\n",
                                         " ",        "  x",         "s",
                                         "er",       "<|im_end|>",  "<|im_start|>user\n",
                                         "\xff\xfe", "|im_start|>", "\xc3\xa9" };
    struct error *err = NULL;
    AUTO(engine) struct engine *engine = engine_open(model_path, &options, &err);
    assert_ok(engine, err);
    AUTO(engine_tokens) struct engine_tokens system = { 0 }, whole = { 0 }, added = { 0 };
    struct engine_message message = { "system", prompt_system() };
    assert_ok(engine_chat(engine, NULL, &message, 1, false, &system, &err), err);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        tokenize_whole(engine, str_of(texts[i]), &whole);
        tokenize_added(engine, &system, str_of(texts[i]), &added);
        assert_same_tokens(&added, &whole);
    }
    assert_false(engine_chat_can_add(engine, "gemma"));
    assert_false(engine_chat_can_add(engine, "zephyr"));
    assert_fails(engine_chat_add(engine, "gemma", &message, true, &added, &err), err, ERROR_UNSUPPORTED,
                 "write the whole conversation");
}

/* What is asked of the model is the whole conversation and the answer's beginning. */
static void question_is_asked_with_the_tokens_of_the_whole(void **state)
{
    (void)state;
    struct error *err = NULL;
    AUTO(embedded) struct embedded *embedded = embedded_open(model_path, &options, &err);
    assert_ok(embedded, err);
    AUTO(arena) struct arena *arena = arena_new(1024 * 1024);
    struct scenario_list list = { 0 };
    assert_ok(scenarios_read(arena, SCENARIOS, &list, &err), err);
    AUTO(engine_tokens) struct engine_tokens whole = { 0 };
    for (size_t i = 0; i < 2; i++) {
        struct slm_question question = question_of(&list.items[i * 100]);
        struct embedded_evidence evidence;
        assert_ok(embedded_ask(embedded, arena, &question, &evidence, &err), err);
        tokenize_whole(embedded_engine(embedded), prompt_user(arena, &question, ~0u), &whole);
        assert_ok(engine_tokenize(embedded_engine(embedded), STR("{\"action\":\""), 0, &whole, &err), err);
        assert_int_equal(evidence.token_count, whole.len);
        assert_memory_equal(evidence.tokens, whole.ids, whole.len * sizeof *whole.ids);
        engine_sequence_free(evidence.sequence);
    }
    free(list.items);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(added_message_has_the_tokens_of_the_whole),
        cmocka_unit_test(foreign_text_moves_no_boundary),
        cmocka_unit_test(question_is_asked_with_the_tokens_of_the_whole),
    };
    model_path = argc > 1 ? argv[1] : "";
    if (access(model_path, R_OK) != 0) {
        printf("\"%s\" is not there (make model): skipped\n", model_path);
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
