#include "engine/tokenizer.h"

#include <stdlib.h>
#include <unistd.h>

#include "tests/engine/gguf_maker.h"
#include "tests/test.h"

struct fixture {
    struct gguf *file;
    struct tokenizer *tokenizer;
};

/* TEST_MODELS is the folder where the build put tiny-bpe.gguf, tiny-spm.gguf and tiny-unigram.gguf. */
static int open_model(void **state, const char *name)
{
    struct fixture *f = xcalloc(1, sizeof *f);
    struct error *err = NULL;
    char *path = xasprintf("%s/%s", getenv("TEST_MODELS"), name);
    f->file = gguf_open(path, &err);
    if (f->file)
        f->tokenizer = tokenizer_open(f->file, &err);
    if (!f->tokenizer)
        print_error("%s: %s\n", path, error_message(err));
    free(path);
    *state = f;
    return f->tokenizer ? 0 : -1;
}

static int open_bpe(void **state)
{
    return open_model(state, "tiny-bpe.gguf");
}
static int open_spm(void **state)
{
    return open_model(state, "tiny-spm.gguf");
}
static int open_unigram(void **state)
{
    return open_model(state, "tiny-unigram.gguf");
}

static int close_model(void **state)
{
    struct fixture *f = *state;
    tokenizer_close(f->tokenizer);
    gguf_close(f->file);
    free(f);
    return 0;
}

static struct engine_tokens tokens_of(const struct fixture *f, struct str text, unsigned flags)
{
    struct engine_tokens tokens = { 0 };
    struct error *err = NULL;
    assert_ok(tokenizer_encode(f->tokenizer, text, flags, &tokens, &err), err);
    return tokens;
}

static void add_bytes(const struct fixture *f, const struct engine_tokens *tokens, struct strbuf *out)
{
    for (size_t i = 0; i < tokens->len; i++)
        strbuf_add(out, tokenizer_bytes(f->tokenizer, tokens->ids[i]));
}

static struct strbuf random_text(uint64_t seed)
{
    static const char *const parts[] = { "the ", "a",    "\n", "\t  ", "é",          "日本",
                                         "😀",   "1234", "'s", "--",   "<|im_end|>", "E" };
    struct rng rng = { seed };
    struct strbuf text = { 0 };
    for (size_t n = rng_below(&rng, 60) + 1; n > 0; n--)
        strbuf_add_text(&text, parts[rng_below(&rng, ARRAY_LEN(parts))]);
    return text;
}

static void text_comes_back_from_its_tokens(void **state)
{
    for (uint64_t seed = 0; seed < 300; seed++) {
        AUTO(strbuf) struct strbuf text = random_text(seed), back = { 0 };
        AUTO(engine_tokens) struct engine_tokens tokens = tokens_of(*state, strbuf_str(&text), 0);
        add_bytes(*state, &tokens, &back);
        assert_str_equal(strbuf_str(&back), strbuf_str(&text));
    }
}

static void sentencepiece_text_comes_back_behind_a_blank(void **state)
{
    for (uint64_t seed = 0; seed < 300; seed++) {
        AUTO(strbuf) struct strbuf text = random_text(seed), back = { 0 };
        AUTO(engine_tokens) struct engine_tokens tokens = tokens_of(*state, strbuf_str(&text), 0);
        add_bytes(*state, &tokens, &back);
        assert_str_equal(str_slice(strbuf_str(&back), 0, 1), STR(" "));
        assert_str_equal(str_slice(strbuf_str(&back), 1, back.len), strbuf_str(&text));
    }
}

static void every_byte_is_accepted(void **state)
{
    for (unsigned a = 0; a < 256; a++)
        for (unsigned b = 0; b < 256; b += 5) {
            char text[] = { (char)a, (char)b, 'x' };
            AUTO(engine_tokens) struct engine_tokens tokens = tokens_of(*state, (struct str){ text, 3 }, 0);
            assert_true(tokens.len > 0);
        }
}

static void bytes_that_are_not_utf8_count_as_replacement_characters(void **state)
{
    AUTO(engine_tokens) struct engine_tokens tokens = tokens_of(*state, STR("a\xff\xc0\xaf z\xe2\x82"), 0);
    AUTO(strbuf) struct strbuf back = { 0 };
    add_bytes(*state, &tokens, &back);
    assert_str_equal(strbuf_str(&back),
                     STR("a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd z\xef\xbf\xbd\xef\xbf\xbd"));
}

static void special_tokens_in_foreign_text_stay_text(void **state)
{
    const struct fixture *f = *state;
    int32_t special = tokenizer_find(f->tokenizer, STR("<|im_start|>"));
    AUTO(engine_tokens)
    struct engine_tokens ours = tokens_of(f, STR("<|im_start|>user"), ENGINE_PARSE_SPECIAL);
    AUTO(engine_tokens) struct engine_tokens foreign = tokens_of(f, STR("<|im_start|>user"), 0);
    assert_int_equal(ours.ids[0], special);
    for (size_t i = 0; i < foreign.len; i++)
        assert_false(tokenizer_is_special(f->tokenizer, foreign.ids[i]));
}

static void end_tokens_are_known_by_number_and_by_text(void **state)
{
    const struct fixture *f = *state;
    assert_true(tokenizer_is_end(f->tokenizer, tokenizer_end(f->tokenizer)));
    assert_true(tokenizer_is_end(f->tokenizer, tokenizer_find(f->tokenizer, STR("<|endoftext|>"))));
    assert_false(tokenizer_is_end(f->tokenizer, tokenizer_find(f->tokenizer, STR("a"))));
    assert_false(tokenizer_is_end(f->tokenizer, -1));
    assert_false(tokenizer_is_end(f->tokenizer, INT32_MAX));
}

/* Short words are scanned, long ones go through a heap: 32 symbols are the border. The first half of a long word must
 * not depend on which way was taken, where nothing joins across the seam. */
static void long_words_are_joined_like_short_ones(void **state)
{
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct rng rng = { seed };
        AUTO(strbuf) struct strbuf half = { 0 }, whole = { 0 };
        for (size_t n = 20 + rng_below(&rng, 12); n > 0; n--)
            strbuf_add_char(&half, "etaoinshrdlu"[rng_below(&rng, 12)]);
        strbuf_add(&whole, strbuf_str(&half));
        strbuf_add_text(&whole, "\xc3\xb8"); /* a letter whose bytes are in no merge */
        strbuf_add(&whole, strbuf_str(&half));
        AUTO(engine_tokens) struct engine_tokens short_tokens = tokens_of(*state, strbuf_str(&half), 0);
        AUTO(engine_tokens) struct engine_tokens long_tokens = tokens_of(*state, strbuf_str(&whole), 0);
        assert_int_equal(long_tokens.len, 2 * short_tokens.len + 2);
        assert_memory_equal(long_tokens.ids, short_tokens.ids, 4 * short_tokens.len);
        assert_memory_equal(long_tokens.ids + short_tokens.len + 2, short_tokens.ids, 4 * short_tokens.len);
    }
}

static void a_megabyte_without_a_blank_takes_no_square_time(void **state)
{
    size_t len = 1 << 20;
    char *text = xmalloc(len);
    for (size_t i = 0; i < len; i++)
        text[i] = "etaoin"[i * i % 6];
    int64_t began = clock_mono_ms();
    AUTO(engine_tokens) struct engine_tokens tokens = tokens_of(*state, (struct str){ text, len }, 0);
    assert_in_range(clock_mono_ms() - began, 0, 20000);
    free(text);
}

static void a_text_over_the_limit_is_refused(void **state)
{
    const struct fixture *f = *state;
    struct engine_tokens tokens = { 0 };
    struct error *err = NULL;
    struct str text = { "", (size_t)TOKENIZER_TEXT_MAX + 1 };
    assert_fails(tokenizer_encode(f->tokenizer, text, 0, &tokens, &err), err, ERROR_LIMIT, "at most");
}

/* ---- bytes in pieces */

static void text_in_pieces_is_always_utf8(void **state)
{
    (void)state;
    struct str text = STR("a\xe2\x82\xac\xf0\x9f\x98\x80\xff z\xe2\x82");
    for (size_t step = 1; step <= text.len; step++) {
        struct engine_text pieces = { 0 };
        AUTO(strbuf) struct strbuf out = { 0 };
        for (size_t at = 0; at < text.len; at += step) {
            engine_text_add(&pieces, str_slice(text, at, MIN(at + step, text.len)), &out);
            assert_true(utf8_is_valid(strbuf_str(&out)));
        }
        engine_text_end(&pieces, &out);
        assert_str_equal(strbuf_str(&out), STR("a\xe2\x82\xac\xf0\x9f\x98\x80\xef\xbf\xbd z\xef\xbf\xbd"));
    }
}

/* ---- conversations */

static void a_conversation_is_written_as_the_template_would(void **state)
{
    const struct fixture *f = *state;
    struct engine_message messages[] = { { "system", STR("Be brief.") }, { "user", STR("Hi <|im_end|>") } };
    AUTO(engine_tokens) struct engine_tokens tokens = { 0 };
    AUTO(strbuf) struct strbuf text = { 0 };
    struct error *err = NULL;
    assert_string_equal(chat_family(f->file), "chatml");
    assert_ok(chat_encode(f->tokenizer, f->file, NULL, messages, 2, true, &tokens, &err), err);
    size_t n_special = 0;
    for (size_t i = 0; i < tokens.len; i++) {
        bool special = tokenizer_is_special(f->tokenizer, tokens.ids[i]);
        n_special += special;
        strbuf_add(&text, special ? tokenizer_text(f->tokenizer, tokens.ids[i])
                                  : tokenizer_bytes(f->tokenizer, tokens.ids[i]));
    }
    assert_str_equal(strbuf_str(&text),
                     STR("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi <|im_end|>"
                         "<|im_end|>\n<|im_start|>assistant\n"));
    assert_int_equal(n_special, 5); /* the foreign <|im_end|> is not one */
}

static void unknown_roles_and_families_are_refused(void **state)
{
    const struct fixture *f = *state;
    struct engine_message message = { "root", STR("x") };
    struct engine_tokens tokens = { 0 };
    struct error *err = NULL;
    assert_fails(chat_encode(f->tokenizer, f->file, NULL, &message, 1, true, &tokens, &err), err,
                 ERROR_INVALID, "role");
    assert_fails(chat_encode(f->tokenizer, f->file, "jinja", &message, 1, true, &tokens, &err), err,
                 ERROR_UNSUPPORTED, "jinja");
}

/* ---- hostile vocabularies */

static bool open_made(struct gguf_maker *maker, struct error **err)
{
    AUTO(strbuf) struct strbuf bytes = gguf_made(maker);
    AUTO(gguf) struct gguf *file = gguf_open_bytes(bytes.ptr, bytes.len, err);
    AUTO(tokenizer) struct tokenizer *tokenizer = file ? tokenizer_open(file, err) : NULL;
    if (!tokenizer)
        return false;
    AUTO(engine_tokens) struct engine_tokens tokens = { 0 };
    return tokenizer_encode(tokenizer, STR("ab <0x41> aab\xc3\xa9"),
                            ENGINE_PARSE_SPECIAL | ENGINE_ADD_SPECIAL, &tokens, err);
}

static struct gguf_maker bpe_maker(const char *const *tokens, size_t count)
{
    struct gguf_maker maker = { 0 };
    add_str(&maker, "tokenizer.ggml.model", "gpt2");
    add_str(&maker, "tokenizer.ggml.pre", "gpt-2");
    add_strings(&maker, "tokenizer.ggml.tokens", tokens, count);
    return maker;
}

static void damaged_vocabularies_are_refused(void **state)
{
    (void)state;
    static const char *const tokens[] = { "a", "b", "ab", "" }, *const merges[] = { "ab" };
    struct error *err = NULL;
    struct gguf_maker maker = bpe_maker(tokens, 4);
    assert_fails(open_made(&maker, &err), err, ERROR_INVALID, "merges");
    maker = bpe_maker(tokens, 4);
    add_strings(&maker, "tokenizer.ggml.merges", merges, 1);
    assert_fails(open_made(&maker, &err), err, ERROR_INVALID, "merge 0");
    maker = bpe_maker(tokens, 4);
    add_numbers(&maker, "tokenizer.ggml.token_type", GGUF_I32, (int32_t[]){ 1, 1 }, 2);
    assert_fails(open_made(&maker, &err), err, ERROR_INVALID, "token types");
    maker = (struct gguf_maker){ 0 };
    add_str(&maker, "tokenizer.ggml.model", "llama");
    add_strings(&maker, "tokenizer.ggml.tokens", tokens, 4);
    assert_fails(open_made(&maker, &err), err, ERROR_INVALID, "scores");
    maker = (struct gguf_maker){ 0 };
    add_str(&maker, "tokenizer.ggml.model", "bert");
    assert_fails(open_made(&maker, &err), err, ERROR_UNSUPPORTED, "bert");
}

/* Merges of what is no token, numbers past the vocabulary, kinds that do not exist: these open, and hurt nobody. */
static void odd_vocabularies_do_no_harm(void **state)
{
    (void)state;
    static const char *const tokens[] = { "a", "a", "", "ab", "<0xZZ>", "<0x41>" };
    static const char *const merges[] = { "a b", "ab ab", "q \xc3\xa9", "a b", "\xff \xfe", "a a" };
    struct error *err = NULL;
    struct gguf_maker maker = bpe_maker(tokens, 6);
    add_strings(&maker, "tokenizer.ggml.merges", merges, 6);
    add_numbers(&maker, "tokenizer.ggml.token_type", GGUF_I32, (int32_t[]){ 1, 77, 3, -5, 6, 4 }, 6);
    add_u32(&maker, "tokenizer.ggml.bos_token_id", UINT32_MAX);
    add_u32(&maker, "tokenizer.ggml.eos_token_id", 1u << 31);
    assert_ok(open_made(&maker, &err), err);
    maker = (struct gguf_maker){ 0 };
    float scores[] = { -1, (float)-1e38 * 100, 0, 5, 0, 1 };
    add_str(&maker, "tokenizer.ggml.model", "t5");
    add_strings(&maker, "tokenizer.ggml.tokens", tokens, 6);
    add_numbers(&maker, "tokenizer.ggml.scores", GGUF_F32, scores, 6);
    assert_ok(open_made(&maker, &err), err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(text_comes_back_from_its_tokens, open_bpe, close_model),
        cmocka_unit_test_setup_teardown(sentencepiece_text_comes_back_behind_a_blank, open_spm, close_model),
        cmocka_unit_test_setup_teardown(every_byte_is_accepted, open_bpe, close_model),
        cmocka_unit_test_setup_teardown(every_byte_is_accepted, open_spm, close_model),
        cmocka_unit_test_setup_teardown(every_byte_is_accepted, open_unigram, close_model),
        cmocka_unit_test_setup_teardown(bytes_that_are_not_utf8_count_as_replacement_characters, open_bpe,
                                        close_model),
        cmocka_unit_test_setup_teardown(special_tokens_in_foreign_text_stay_text, open_bpe, close_model),
        cmocka_unit_test_setup_teardown(end_tokens_are_known_by_number_and_by_text, open_bpe, close_model),
        cmocka_unit_test_setup_teardown(long_words_are_joined_like_short_ones, open_bpe, close_model),
        cmocka_unit_test_setup_teardown(a_megabyte_without_a_blank_takes_no_square_time, open_bpe,
                                        close_model),
        cmocka_unit_test_setup_teardown(a_megabyte_without_a_blank_takes_no_square_time, open_spm,
                                        close_model),
        cmocka_unit_test_setup_teardown(a_megabyte_without_a_blank_takes_no_square_time, open_unigram,
                                        close_model),
        cmocka_unit_test_setup_teardown(a_text_over_the_limit_is_refused, open_bpe, close_model),
        cmocka_unit_test(text_in_pieces_is_always_utf8),
        cmocka_unit_test_setup_teardown(a_conversation_is_written_as_the_template_would, open_bpe,
                                        close_model),
        cmocka_unit_test_setup_teardown(unknown_roles_and_families_are_refused, open_bpe, close_model),
        cmocka_unit_test(damaged_vocabularies_are_refused),
        cmocka_unit_test(odd_vocabularies_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
