/* Any bytes as a model file: an error, or a model whose shapes hold, whose tokenizer answers and which runs.
 * With libFuzzer: clang -fsanitize=fuzzer,address; without it this program reads the files it is given. */
#include "engine/gguf.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"
#include "engine/model.h"
#include "engine/tokenizer.h"

/* Ask for every value in every way; what is of another kind says so. */
static void ask(const struct gguf *file)
{
    for (size_t i = 0; i < gguf_value_count(file); i++) {
        const struct gguf_value *value = gguf_value_at(file, i);
        AUTO(text) char *key = xstrndup(value->key.ptr, value->key.len);
        struct str text;
        int64_t integer;
        float number;
        size_t count;
        gguf_get_str(file, key, &text);
        gguf_get_i64(file, key, &integer);
        gguf_get_f32(file, key, &number);
        free(gguf_get_strings(file, key, &count));
        free(gguf_get_ints(file, key, &count));
        free(gguf_get_floats(file, key, &count));
    }
}

/* Laying out reads every byte of every tensor that the model wants. */
static void lay_out(struct model *model)
{
    if (model->packed_bytes > 64 * 1024 * 1024)
        return;
    unsigned char *packed = aligned_alloc(4096, (model->packed_bytes + 8191) / 4096 * 4096);
    if (!packed)
        return;
    model_place(model, packed);
    model_pack(model, 0, model_group_count(model));
    free(packed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(gguf) struct gguf *file = gguf_open_bytes(data, size, NULL);
    if (!file)
        return 0;
    ask(file);
    AUTO(tokenizer) struct tokenizer *tokenizer = tokenizer_open(file, NULL);
    struct engine_tokens tokens = { 0 };
    if (tokenizer)
        tokenizer_encode(tokenizer, STR("Hello, w\xc3\xb6rld <|im_end|>"), ENGINE_PARSE_SPECIAL, &tokens,
                         NULL);
    engine_tokens_free(&tokens);
    AUTO(model) struct model *model = model_new(file, NULL);
    if (model)
        lay_out(model);
    return 0;
}

#ifndef FUZZER
int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        AUTO(strbuf) struct strbuf text = { 0 };
        if (!file_read(argv[i], 64 * 1024 * 1024, &text, NULL)) {
            fprintf(stderr, "%s cannot be read\n", argv[i]);
            return 1;
        }
        LLVMFuzzerTestOneInput((const uint8_t *)text.ptr, text.len);
    }
    return 0;
}
#endif
