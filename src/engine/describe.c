/* What is in a GGUF file, for people and for programs; and whether it works. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/cache_file.h"
#include "engine/engine_internal.h"

enum { ARRAY_SHOWN = 8, TEXT_SHOWN = 200, VERIFY_TOKENS = 24 };

/* ---- metadata ---- */

static void add_text(struct strbuf *out, struct str text)
{
    strbuf_add_json(out, str_slice(text, 0, TEXT_SHOWN));
    if (text.len > TEXT_SHOWN)
        strbuf_addf(out, " … %zu bytes", text.len);
}

static bool add_strings(const struct gguf *file, const char *key, bool json, struct strbuf *out)
{
    size_t count;
    struct str *strings = gguf_get_strings(file, key, &count);
    for (size_t i = 0; strings && i < count && i < ARRAY_SHOWN; i++) {
        strbuf_add_text(out, i ? ", " : "");
        if (json)
            strbuf_add_json(out, str_slice(strings[i], 0, TEXT_SHOWN));
        else
            add_text(out, strings[i]);
    }
    free(strings);
    return strings != NULL;
}

static void add_numbers(const struct gguf *file, const char *key, struct strbuf *out)
{
    size_t count = 0;
    int32_t *ints = gguf_get_ints(file, key, &count);
    float *floats = ints ? NULL : gguf_get_floats(file, key, &count);
    for (size_t i = 0; i < count && i < ARRAY_SHOWN; i++) {
        strbuf_add_text(out, i ? ", " : "");
        if (ints)
            strbuf_addf(out, "%d", ints[i]);
        else
            strbuf_addf(out, isfinite(floats[i]) ? "%.9g" : "null", (double)floats[i]);
    }
    free(ints);
    free(floats);
}

static void add_scalar(const struct gguf *file, const struct gguf_value *value, const char *key, bool json,
                       struct strbuf *out)
{
    struct str text;
    int64_t integer;
    float number;
    bool truth;
    if (gguf_get_str(file, key, &text)) {
        if (json)
            strbuf_add_json(out, text);
        else
            add_text(out, text);
    } else if (gguf_get_bool(file, key, &truth))
        strbuf_add_text(out, truth ? "true" : "false");
    else if (value->kind != GGUF_F32 && value->kind != GGUF_F64 && gguf_get_i64(file, key, &integer))
        strbuf_addf(out, "%lld", (long long)integer);
    else if (gguf_get_f32(file, key, &number) && isfinite(number))
        strbuf_addf(out, "%.9g", (double)number);
    else
        strbuf_add_text(out, "null");
}

/* Arrays by their length and first items: a vocabulary is not for reading. */
static void add_value(const struct gguf *file, const struct gguf_value *value, bool json, struct strbuf *out)
{
    AUTO(text) char *key = xstrndup(value->key.ptr, value->key.len);
    if (value->kind != GGUF_ARRAY) {
        add_scalar(file, value, key, json, out);
        return;
    }
    strbuf_addf(out,
                json ? "{\"count\": %llu, \"first\": [" : "%llu items: ", (unsigned long long)value->count);
    if (!add_strings(file, key, json, out))
        add_numbers(file, key, out);
    strbuf_add_text(out, json ? "]}" : value->count > ARRAY_SHOWN ? ", …" : "");
}

/* ---- text and JSON ---- */

static void add_shape(const struct gguf_tensor *tensor, const char *between, struct strbuf *out)
{
    for (uint32_t i = 0; i < tensor->n_dims; i++)
        strbuf_addf(out, "%s%llu", i ? between : "", (unsigned long long)tensor->dims[i]);
}

static const char *type_name(const struct gguf_tensor *tensor, char unknown[16])
{
    if (tensor_traits(tensor->type)->name)
        return tensor_traits(tensor->type)->name;
    snprintf(unknown, 16, "type %u", tensor->type);
    return unknown;
}

static void describe_text(const struct gguf *file, const struct model *model, const char *why_not,
                          struct strbuf *out)
{
    char unknown[16];
    strbuf_addf(out, "GGUF version %u, %zu bytes, %zu metadata entries, %zu tensors\n", gguf_version(file),
                gguf_size(file), gguf_value_count(file), gguf_tensor_count(file));
    if (model)
        strbuf_addf(out,
                    "supported: %s, %u layers of %u, %u heads over %u, vocabulary %u, %.1f M parameters\n",
                    model->architecture->name, model->layers, model->dim, model->heads, model->kv_heads,
                    model->vocab, (double)model->parameters / 1e6);
    else
        strbuf_addf(out, "not supported: %s\n", why_not);
    strbuf_add_text(out, "\nmetadata\n");
    for (size_t i = 0; i < gguf_value_count(file); i++) {
        const struct gguf_value *value = gguf_value_at(file, i);
        strbuf_addf(out, "  " STR_FMT " = ", STR_ARG(value->key));
        add_value(file, value, false, out);
        strbuf_add_char(out, '\n');
    }
    strbuf_add_text(out, "\ntensors\n");
    for (size_t i = 0; i < gguf_tensor_count(file); i++) {
        const struct gguf_tensor *tensor = gguf_tensor_at(file, i);
        strbuf_addf(out, "  %-32.*s %-6s %12llu bytes  ", STR_ARG(tensor->name), type_name(tensor, unknown),
                    (unsigned long long)tensor->bytes);
        add_shape(tensor, " x ", out);
        strbuf_add_char(out, '\n');
    }
}

static void describe_json(const struct gguf *file, const struct model *model, const char *why_not,
                          struct strbuf *out)
{
    char unknown[16];
    strbuf_addf(out, "{\"version\": %u, \"bytes\": %zu, \"supported\": %s, \"reason\": ", gguf_version(file),
                gguf_size(file), model ? "true" : "false");
    strbuf_add_json(out, str_of(model ? "" : why_not));
    strbuf_addf(out, ", \"parameters\": %llu, \"metadata\": {",
                (unsigned long long)(model ? model->parameters : 0));
    for (size_t i = 0; i < gguf_value_count(file); i++) {
        const struct gguf_value *value = gguf_value_at(file, i);
        strbuf_add_text(out, i ? ", " : "");
        strbuf_add_json(out, value->key);
        strbuf_add_text(out, ": ");
        add_value(file, value, true, out);
    }
    strbuf_add_text(out, "}, \"tensors\": [");
    for (size_t i = 0; i < gguf_tensor_count(file); i++) {
        const struct gguf_tensor *tensor = gguf_tensor_at(file, i);
        strbuf_add_text(out, i ? ", {\"name\": " : "{\"name\": ");
        strbuf_add_json(out, tensor->name);
        strbuf_addf(out, ", \"type\": \"%s\", \"bytes\": %llu, \"shape\": [", type_name(tensor, unknown),
                    (unsigned long long)tensor->bytes);
        add_shape(tensor, ", ", out);
        strbuf_add_text(out, "]}");
    }
    strbuf_add_text(out, "]}\n");
}

bool engine_describe(const char *path, bool json, struct strbuf *out, struct error **err)
{
    AUTO(gguf) struct gguf *file = gguf_open(path, err);
    if (!file)
        return false;
    struct error *why_not = NULL;
    AUTO(model) struct model *model = model_new(file, &why_not);
    if (json)
        describe_json(file, model, error_message(why_not), out);
    else
        describe_text(file, model, error_message(why_not), out);
    error_free(why_not);
    return true;
}

/* ---- verify ---- */

static bool try_forward(struct engine *engine, float *logits, struct error **err)
{
    int32_t tokens[VERIFY_TOKENS];
    for (int i = 0; i < VERIFY_TOKENS; i++)
        tokens[i] = (int32_t)((unsigned)(i * 7919) % engine->info.vocab);
    AUTO(engine_sequence) struct engine_sequence *sequence = engine_sequence_new(engine, err);
    struct engine_item item = { .sequence = sequence,
                                .tokens = tokens,
                                .count = VERIFY_TOKENS,
                                .logits = logits,
                                .logits_from = VERIFY_TOKENS - 1 };
    if (!sequence || !engine_step(engine, &item, 1, err))
        return false;
    for (uint32_t i = 0; i < engine->info.vocab; i++)
        if (!isfinite(logits[i]))
            return error_set(err, ERROR_INVALID,
                             "the logit of token %u is not a number: the weights are damaged", i);
    return true;
}

bool engine_verify(const char *path, const char *expected_sha256, struct strbuf *out, struct error **err)
{
    struct engine_options options = { .context = 64, .batch = 32 };
    AUTO(engine) struct engine *engine = engine_open(path, &options, err);
    const char *hex = engine ? engine_sha256(engine, err) : NULL;
    if (!hex)
        return false;
    strbuf_addf(out, "sha256   %s\n", hex);
    if (expected_sha256 && strcmp(hex, expected_sha256) != 0)
        return error_set(err, ERROR_CORRUPT, "%s has SHA-256 %s, expected %s: fetch it again", path, hex,
                         expected_sha256);
    strbuf_addf(out, "shapes   %s, %u layers, all tensors as expected\n", engine->info.architecture,
                engine->info.layers);
    AUTO(text) char *logits = malloc((size_t)engine->info.vocab * sizeof(float));
    if (!logits)
        return error_set(err, ERROR_NO_MEMORY, "no memory for %u logits", engine->info.vocab);
    if (!try_forward(engine, (float *)(void *)logits, err))
        return error_wrap(err, "%s", path);
    strbuf_addf(out, "forward  %d tokens on %s, all logits finite\n", VERIFY_TOKENS, engine->info.isa);
    return true;
}
