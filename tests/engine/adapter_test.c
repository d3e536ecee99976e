/* LoRA: beside the model what merging would make of it, per sequence, and the same bits in any batch. */
#include "engine/engine.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/gguf.h"
#include "tests/test.h"

enum { RANK = 5, LEN = 21, DIM = 64, FFN = 96 };
static int32_t text[LEN];

static float a_of(int i)
{
    return (float)((i * 29) % 17 - 8) / 40;
}
static float b_of(int i)
{
    return (float)((i * 31) % 13 - 6) / 30;
}

/* ---- making an adapter: down of layer 0 and query of layer 1 ---- */

static void put_u32(struct strbuf *out, uint32_t value)
{
    strbuf_add(out, (struct str){ (const char *)&value, 4 });
}
static void put_u64(struct strbuf *out, uint64_t value)
{
    strbuf_add(out, (struct str){ (const char *)&value, 8 });
}
static void put_text(struct strbuf *out, const char *s)
{
    put_u64(out, strlen(s));
    strbuf_add_text(out, s);
}
static void put_value(struct strbuf *out, const char *key, const char *value)
{
    put_text(out, key);
    put_u32(out, GGUF_STRING);
    put_text(out, value);
}
static void put_tensor(struct strbuf *out, const char *name, uint64_t cols, uint64_t rows, uint64_t offset)
{
    put_text(out, name);
    put_u32(out, 2);
    put_u64(out, cols);
    put_u64(out, rows);
    put_u32(out, TENSOR_F32);
    put_u64(out, offset);
}

static char *make_adapter(float alpha, float b_factor, const char *query_name)
{
    AUTO(strbuf) struct strbuf out = { 0 };
    AUTO(text) char *name_a = xasprintf("blk.1.%s.weight.lora_a", query_name);
    AUTO(text) char *name_b = xasprintf("blk.1.%s.weight.lora_b", query_name);
    strbuf_add_text(&out, "GGUF");
    put_u32(&out, 3), put_u64(&out, 4), put_u64(&out, 3);
    put_value(&out, "general.architecture", "llama");
    put_value(&out, "adapter.type", "lora");
    put_text(&out, "adapter.lora.alpha"), put_u32(&out, GGUF_F32),
        strbuf_add(&out, (struct str){ (const char *)&alpha, 4 });
    uint64_t at = 0;
    put_tensor(&out, "blk.0.ffn_down.weight.lora_a", FFN, RANK, at), at += FFN * RANK * 4;
    put_tensor(&out, "blk.0.ffn_down.weight.lora_b", RANK, DIM, at), at += RANK * DIM * 4;
    put_tensor(&out, name_a, DIM, RANK, at), at += DIM * RANK * 4;
    put_tensor(&out, name_b, RANK, DIM, at);
    while (out.len % 32)
        strbuf_add_char(&out, 0);
    const int sizes[] = { FFN * RANK, RANK * DIM, DIM * RANK, RANK * DIM };
    for (int t = 0; t < 4; t++)
        for (int i = 0; i < sizes[t]; i++) {
            float value = t % 2 ? b_of(i) * b_factor : a_of(i);
            strbuf_add(&out, (struct str){ (const char *)&value, 4 });
        }
    char *path = xstrdup("/tmp/engine-adapter-test-XXXXXX");
    close(mkstemp(path));
    assert_true(file_replace(path, strbuf_str(&out), 0600, NULL));
    return path;
}

/* The same model with scale * B A added to its weights. */
static void merge(struct strbuf *file, const char *tensor_name, float scale)
{
    AUTO(gguf) struct gguf *gguf = gguf_open_bytes(file->ptr, file->len, NULL);
    const struct gguf_tensor *tensor = gguf_tensor_find(gguf, tensor_name);
    float *w = (float *)(void *)(file->ptr + tensor->offset);
    int cols = (int)tensor->dims[0], rows = (int)tensor->dims[1];
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < cols; c++)
            for (int k = 0; k < RANK; k++)
                w[r * cols + c] += scale * b_of(r * RANK + k) * a_of(k * cols + c);
}

static char *make_merged(float scale)
{
    AUTO(text) char *path = xasprintf("%s/tiny-f32.gguf", getenv("TEST_MODELS"));
    AUTO(strbuf) struct strbuf file = { 0 };
    assert_true(file_read(path, 64 * 1024 * 1024, &file, NULL));
    merge(&file, "blk.0.ffn_down.weight", scale);
    merge(&file, "blk.1.attn_q.weight", scale);
    char *merged = xstrdup("/tmp/engine-adapter-test-XXXXXX");
    close(mkstemp(merged));
    assert_true(file_replace(merged, strbuf_str(&file), 0600, NULL));
    return merged;
}

static struct engine *open_tiny(void)
{
    struct error *err = NULL;
    AUTO(text) char *path = xasprintf("%s/tiny-f32.gguf", getenv("TEST_MODELS"));
    struct engine *engine = engine_open(path, &(struct engine_options){ .threads = 2 }, &err);
    assert_ok(engine, err);
    return engine;
}

static float *logits_with(struct engine *engine, struct engine_adapter *adapter, float scale, size_t at_once)
{
    struct error *err = NULL;
    size_t vocab = engine_info(engine)->vocab;
    float *logits = xcalloc(LEN * vocab, sizeof *logits);
    AUTO(engine_sequence) struct engine_sequence *sequence = engine_sequence_new(engine, NULL);
    assert_ok(engine_sequence_set_adapter(sequence, adapter, scale, &err), err);
    for (size_t i = 0; i < LEN; i += at_once) {
        struct engine_item item = { .sequence = sequence,
                                    .tokens = text + i,
                                    .count = MIN(at_once, LEN - i),
                                    .logits = logits + i * vocab };
        assert_ok(engine_step(engine, &item, 1, &err), err);
    }
    return logits;
}

static int set_up(void **state)
{
    (void)state;
    for (int i = 0; i < LEN; i++)
        text[i] = (i * 37 + 11) % 300;
    return 0;
}

static void adapter_gives_what_merged_weights_give(void **state)
{
    (void)state;
    AUTO(engine) struct engine *engine = open_tiny();
    AUTO(text) char *path = make_adapter(10, 1, "attn_q"), *merged_path = make_merged(10.0f / RANK * 0.5f);
    struct error *err = NULL;
    AUTO(engine_adapter) struct engine_adapter *adapter = engine_adapter_open(engine, path, &err);
    assert_ok(adapter, err);
    AUTO(engine) struct engine *merged = engine_open(merged_path, NULL, &err);
    assert_ok(merged, err);
    float *got = logits_with(engine, adapter, 0.5f, LEN), *expected = logits_with(merged, NULL, 1, LEN);
    float *plain = logits_with(engine, NULL, 1, LEN);
    double error = 0, change = 0;
    for (size_t i = 0; i < LEN * engine_info(engine)->vocab; i++) {
        error += pow((double)got[i] - (double)expected[i], 2);
        change += pow((double)plain[i] - (double)expected[i], 2);
    }
    assert_true(change > 0 && error < 1e-6 * change);
    unlink(path), unlink(merged_path);
    free(got), free(expected), free(plain);
}

static void adapted_tokens_have_the_same_bits_alone_and_beside_others(void **state)
{
    (void)state;
    AUTO(engine) struct engine *engine = open_tiny();
    AUTO(text) char *path = make_adapter(10, 1, "attn_q");
    AUTO(engine_adapter) struct engine_adapter *adapter = engine_adapter_open(engine, path, NULL);
    assert_non_null(adapter);
    size_t vocab = engine_info(engine)->vocab;
    float *expected = logits_with(engine, adapter, 1, 1), *plain = logits_with(engine, NULL, 1, 1);
    float *together = logits_with(engine, adapter, 1, LEN);
    assert_memory_equal(together, expected, LEN * vocab * sizeof *expected);
    struct engine_item items[6];
    float *logits = xcalloc(ARRAY_LEN(items) * LEN * vocab, sizeof *logits);
    for (size_t i = 0; i < ARRAY_LEN(items); i++) {
        items[i] = (struct engine_item){ .sequence = engine_sequence_new(engine, NULL),
                                         .tokens = text,
                                         .count = LEN,
                                         .logits = logits + i * LEN * vocab };
        assert_true(engine_sequence_set_adapter(items[i].sequence, i % 3 ? adapter : NULL, 1, NULL));
    }
    assert_true(engine_step(engine, items, ARRAY_LEN(items), NULL));
    for (size_t i = 0; i < ARRAY_LEN(items); i++) {
        assert_memory_equal(items[i].logits, i % 3 ? expected : plain, LEN * vocab * sizeof *logits);
        engine_sequence_free(items[i].sequence);
    }
    unlink(path);
    free(expected), free(plain), free(together), free(logits);
}

static void wrong_adapters_are_refused(void **state)
{
    (void)state;
    AUTO(engine) struct engine *engine = open_tiny();
    struct error *err = NULL;
    AUTO(text) char *misnamed = make_adapter(10, 1, "attn_r"), *misshapen = make_adapter(10, 1, "attn_k");
    struct engine_adapter *adapter = engine_adapter_open(engine, misnamed, &err);
    assert_fails(adapter, err, ERROR_UNSUPPORTED, "2 of 4 tensors");
    adapter = engine_adapter_open(engine, misshapen, &err);
    assert_fails(adapter, err, ERROR_INVALID, "beside a matrix of");
    adapter = engine_adapter_open(engine, engine_info(engine)->path, &err);
    assert_fails(adapter, err, ERROR_INVALID, "not a LoRA adapter");
    unlink(misnamed), unlink(misshapen);
}

static void adapter_cannot_change_under_tokens(void **state)
{
    (void)state;
    AUTO(engine) struct engine *engine = open_tiny();
    AUTO(text) char *path = make_adapter(10, 1, "attn_q");
    AUTO(engine_adapter) struct engine_adapter *adapter = engine_adapter_open(engine, path, NULL);
    assert_non_null(adapter);
    AUTO(engine_sequence) struct engine_sequence *sequence = engine_sequence_new(engine, NULL);
    struct error *err = NULL;
    assert_true(engine_step(engine, &(struct engine_item){ .sequence = sequence, .tokens = text, .count = 2 },
                            1, NULL));
    assert_fails(engine_sequence_set_adapter(sequence, adapter, 1, &err), err, ERROR_CONFLICT,
                 "holds 2 tokens");
    engine_sequence_truncate(sequence, 0);
    assert_ok(engine_sequence_set_adapter(sequence, adapter, 1, &err), err);
    unlink(path);
}

/* ---- merged into an open engine ---- */

static struct engine *open_named(const char *name, const char *cache_dir)
{
    struct error *err = NULL;
    AUTO(text) char *path = xasprintf("%s/%s.gguf", getenv("TEST_MODELS"), name);
    struct engine *engine =
        engine_open(path, &(struct engine_options){ .threads = 2, .cache_dir = cache_dir }, &err);
    assert_ok(engine, err);
    return engine;
}

/* The square of the distance between merged and applied, over that between applied and without. */
static double distance_of_merged(const char *name)
{
    struct error *err = NULL;
    AUTO(engine) struct engine *engine = open_named(name, NULL);
    AUTO(text) char *path = make_adapter(10, 1, "attn_q");
    struct engine_adapter *adapter = engine_adapter_open(engine, path, &err);
    assert_ok(adapter, err);
    float *plain = logits_with(engine, NULL, 1, LEN), *applied = logits_with(engine, adapter, 0.5f, LEN);
    assert_ok(engine_merge(engine, adapter, 0.5f, &err), err);
    engine_adapter_close(adapter);
    float *merged = logits_with(engine, NULL, 1, LEN);
    double error = 0, change = 0;
    for (size_t i = 0; i < LEN * engine_info(engine)->vocab; i++) {
        error += pow((double)merged[i] - (double)applied[i], 2);
        change += pow((double)plain[i] - (double)applied[i], 2);
    }
    assert_true(change > 0);
    unlink(path);
    free(plain), free(applied), free(merged);
    print_message("%s: merged differs from applied by %.3g of what the adapter changes\n", name,
                  sqrt(error / change));
    return error / change;
}

static void merged_gives_what_applied_gives(void **state)
{
    (void)state;
    assert_true(distance_of_merged("tiny-f32") < 1e-6); /* a thousandth of the change: rounding of the sums */
    assert_true(distance_of_merged("tiny-f16") <
                1e-4); /* a hundredth: the weights' own rounding comes on top */
}

/* From a prepared file too, with the same bits; the file, and prefixes saved before, are left alone and not used. */
static void merging_leaves_what_is_kept_on_disk_alone(void **state)
{
    (void)state;
    struct error *err = NULL;
    char folder[] = "/tmp/engine-adapter-test-XXXXXX";
    assert_non_null(mkdtemp(folder));
    AUTO(text)
    char *model = xasprintf("%s/tiny-f16.gguf", getenv("TEST_MODELS")), *path = make_adapter(10, 1, "attn_q");
    assert_ok(engine_prepare(model, folder, &err), err);
    struct engine *in_memory = open_named("tiny-f16", NULL), *mapped = open_named("tiny-f16", folder);
    assert_true(engine_info(mapped)->prepared && !engine_info(in_memory)->prepared);
    float *plain = logits_with(mapped, NULL, 1, LEN);
    engine_sequence_free(engine_prefix_open(mapped, text, LEN, NULL, &err));
    struct engine *engines[] = { in_memory, mapped };
    for (int i = 0; i < 2; i++) {
        AUTO(engine_adapter) struct engine_adapter *adapter = engine_adapter_open(engines[i], path, &err);
        assert_ok(adapter && engine_merge(engines[i], adapter, 1, &err), err);
    }
    float *expected = logits_with(in_memory, NULL, 1, LEN), *got = logits_with(mapped, NULL, 1, LEN);
    size_t bytes = LEN * engine_info(mapped)->vocab * sizeof *got;
    assert_memory_equal(got, expected, bytes);
    assert_memory_not_equal(got, plain, bytes);
    bool was_cached = true;
    engine_sequence_free(engine_prefix_open(mapped, text, LEN, &was_cached, &err));
    assert_false(was_cached);
    engine_close(in_memory), engine_close(mapped);
    AUTO(engine) struct engine *again = open_named("tiny-f16", folder);
    float *unmerged = logits_with(again, NULL, 1, LEN);
    assert_true(engine_info(again)->prepared);
    assert_memory_equal(unmerged, plain, bytes);
    engine_sequence_free(engine_prefix_open(again, text, LEN, &was_cached, &err));
    assert_true(was_cached);
    unlink(path);
    free(plain), free(expected), free(got), free(unmerged);
    AUTO(text) char *remove = xasprintf("rm -r %s", folder);
    assert_int_equal(system(remove), 0);
}

/* Refused, and the bits are those of before. */
static void assert_not_merged(struct engine *engine, const char *path, float scale, enum error_code code,
                              const char *text_of_error)
{
    struct error *err = NULL;
    AUTO(engine_adapter) struct engine_adapter *adapter = engine_adapter_open(engine, path, &err);
    assert_ok(adapter, err);
    size_t bytes = LEN * engine_info(engine)->vocab * sizeof(float);
    float *before = logits_with(engine, NULL, 1, LEN);
    assert_fails(engine_merge(engine, adapter, scale, &err), err, code, text_of_error);
    float *after = logits_with(engine, NULL, 1, LEN);
    assert_memory_equal(after, before, bytes);
    free(before), free(after);
}

static void what_cannot_be_merged_is_refused(void **state)
{
    (void)state;
    AUTO(text) char *path = make_adapter(10, 1, "attn_q");
    AUTO(engine)
    struct engine *quantised = open_named("tiny-bpe", NULL), *half = open_named("tiny-f16", NULL);
    assert_not_merged(quantised, path, 1, ERROR_UNSUPPORTED, "blk.0.ffn_down is Q8_0");
    assert_not_merged(half, path, 1e6f, ERROR_INVALID, "not a finite number");
    struct error *err = NULL;
    AUTO(engine_adapter) struct engine_adapter *adapter = engine_adapter_open(half, path, &err);
    assert_fails(engine_merge(quantised, adapter, 1, &err), err, ERROR_INVALID, "another engine");
    struct engine_sequence *sequence = engine_sequence_new(half, &err);
    assert_fails(engine_merge(half, adapter, 1, &err), err, ERROR_CONFLICT, "1 sequences are open");
    engine_sequence_free(sequence);
    assert_ok(engine_merge(half, adapter, 1, &err), err);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adapter_gives_what_merged_weights_give),
        cmocka_unit_test(adapted_tokens_have_the_same_bits_alone_and_beside_others),
        cmocka_unit_test(wrong_adapters_are_refused),
        cmocka_unit_test(adapter_cannot_change_under_tokens),
        cmocka_unit_test(merged_gives_what_applied_gives),
        cmocka_unit_test(merging_leaves_what_is_kept_on_disk_alone),
        cmocka_unit_test(what_cannot_be_merged_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
