/* GGUF files made in memory, right ones and wrong ones. */
#ifndef TESTS_ENGINE_GGUF_MAKER_H
#define TESTS_ENGINE_GGUF_MAKER_H

#include "base/base.h"
#include "engine/gguf.h"

struct gguf_maker {
    struct strbuf body;
    uint64_t n_values;
};

static inline void put_u32(struct strbuf *out, uint32_t value)
{
    strbuf_add(out, (struct str){ (char *)&value, 4 });
}
static inline void put_u64(struct strbuf *out, uint64_t value)
{
    strbuf_add(out, (struct str){ (char *)&value, 8 });
}

static inline void put_str(struct strbuf *out, struct str text)
{
    put_u64(out, text.len);
    strbuf_add(out, text);
}

static inline void put_key(struct gguf_maker *maker, const char *key, enum gguf_kind kind)
{
    put_str(&maker->body, str_of(key));
    put_u32(&maker->body, kind);
    maker->n_values++;
}

static inline void add_str(struct gguf_maker *maker, const char *key, const char *value)
{
    put_key(maker, key, GGUF_STRING);
    put_str(&maker->body, str_of(value));
}

static inline void add_u32(struct gguf_maker *maker, const char *key, uint32_t value)
{
    put_key(maker, key, GGUF_U32);
    put_u32(&maker->body, value);
}

static inline void add_strings(struct gguf_maker *maker, const char *key, const char *const *values,
                               size_t count)
{
    put_key(maker, key, GGUF_ARRAY);
    put_u32(&maker->body, GGUF_STRING);
    put_u64(&maker->body, count);
    for (size_t i = 0; i < count; i++)
        put_str(&maker->body, str_of(values[i]));
}

static inline void add_numbers(struct gguf_maker *maker, const char *key, enum gguf_kind element,
                               const void *values, size_t count)
{
    put_key(maker, key, GGUF_ARRAY);
    put_u32(&maker->body, element);
    put_u64(&maker->body, count);
    strbuf_add(&maker->body, (struct str){ values, 4 * count });
}

/* The whole file; the caller frees it, after closing what was opened on it. */
static inline struct strbuf gguf_made(struct gguf_maker *maker)
{
    struct strbuf file = { 0 };
    strbuf_add_text(&file, "GGUF");
    put_u32(&file, 3);
    put_u64(&file, 0);
    put_u64(&file, maker->n_values);
    strbuf_add(&file, strbuf_str(&maker->body));
    strbuf_free(&maker->body);
    while (file.len % 32)
        strbuf_add_char(&file, 0);
    return file;
}

#endif
