/* Two ways in: a whole GGUF file with its vocabulary (input that begins with "GGUF"), and text for a fixed vocabulary. */
#include <stdlib.h>

#include "engine/tokenizer.h"
#include "tests/engine/gguf_maker.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void tokenize(const struct tokenizer *tokenizer, struct str text)
{
    AUTO(engine_tokens) struct engine_tokens tokens = { 0 };
    AUTO(strbuf) struct strbuf out = { 0 };
    struct engine_text pieces = { 0 };
    if (!tokenizer_encode(tokenizer, text, ENGINE_PARSE_SPECIAL | ENGINE_ADD_SPECIAL, &tokens, NULL))
        return;
    for (size_t i = 0; i < tokens.len; i++)
        engine_text_add(&pieces, tokenizer_bytes(tokenizer, tokens.ids[i]), &out);
    engine_text_end(&pieces, &out);
    if (!utf8_is_valid(strbuf_str(&out)))
        abort();
}

static void with_foreign_vocabulary(struct str file)
{
    AUTO(gguf) struct gguf *gguf = gguf_open_bytes(file.ptr, file.len, NULL);
    AUTO(tokenizer) struct tokenizer *tokenizer = gguf ? tokenizer_open(gguf, NULL) : NULL;
    if (tokenizer)
        tokenize(tokenizer, STR("the <0x41> <|im_end|> aab\xc3\xa9\xff 123  \n"));
}

static struct tokenizer *small_vocabulary(const char *model)
{
    static const char *const tokens[] = { "<unk>",
                                          "<s>",
                                          "</s>",
                                          "a",
                                          "b",
                                          "ab",
                                          "\xc4\xa0",
                                          "\xe2\x96\x81",
                                          "aba",
                                          "1",
                                          "<0x41>",
                                          "\xc4\xa0"
                                          "a",
                                          "abab" };
    static const char *const merges[] = { "a b", "ab a", "\xc4\xa0 a", "ab ab", "q q" };
    static float scores[ARRAY_LEN(tokens)] = { 0, 0, 0, -1, -2, -3, -4, -5, -6, -7, -8, -9, -10 };
    static int32_t kinds[ARRAY_LEN(tokens)] = { 2, 3, 3, 1, 1, 1, 1, 1, 4, 1, 6, 1, 1 };
    struct gguf_maker maker = { 0 };
    add_str(&maker, "tokenizer.ggml.model", model);
    add_str(&maker, "tokenizer.ggml.pre", "llama-bpe");
    add_strings(&maker, "tokenizer.ggml.tokens", tokens, ARRAY_LEN(tokens));
    add_strings(&maker, "tokenizer.ggml.merges", merges, ARRAY_LEN(merges));
    add_numbers(&maker, "tokenizer.ggml.scores", GGUF_F32, scores, ARRAY_LEN(tokens));
    add_numbers(&maker, "tokenizer.ggml.token_type", GGUF_I32, kinds, ARRAY_LEN(tokens));
    static struct strbuf files[3]; /* kept, and their maps: the tokenizers live as long as the process */
    static struct gguf *open[3];
    static size_t n;
    files[n] = gguf_made(&maker);
    open[n] = gguf_open_bytes(files[n].ptr, files[n].len, NULL);
    return tokenizer_open(open[n++], NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tokenizer *tokenizers[3];
    static const char *const models[] = { "gpt2", "llama", "t5" };
    struct str input = { (const char *)data, size };
    if (size >= 4 && memcmp(data, "GGUF", 4) == 0)
        return with_foreign_vocabulary(input), 0;
    for (size_t i = 0; i < ARRAY_LEN(models); i++) {
        if (!tokenizers[i])
            tokenizers[i] = small_vocabulary(models[i]);
        tokenize(tokenizers[i], input);
    }
    return 0;
}
