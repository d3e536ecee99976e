/* What is asked of an engine about text, answered by its tokenizer. */
#include "engine/constrain.h"
#include "engine/engine_internal.h"

bool engine_tokenize(const struct engine *engine, struct str text, unsigned flags,
                     struct engine_tokens *tokens, struct error **err)
{
    return tokenizer_encode(engine_tokenizer(engine), text, flags, tokens, err);
}

void engine_detokenize(const struct engine *engine, const int32_t *ids, size_t count, bool special,
                       struct strbuf *out)
{
    const struct tokenizer *tokenizer = engine_tokenizer(engine);
    for (size_t i = 0; i < count; i++)
        if (!tokenizer_is_special(tokenizer, ids[i]))
            strbuf_add(out, tokenizer_bytes(tokenizer, ids[i]));
        else if (special)
            strbuf_add(out, tokenizer_text(tokenizer, ids[i]));
}

struct str engine_token_bytes(const struct engine *engine, int32_t token)
{
    return tokenizer_bytes(engine_tokenizer(engine), token);
}

bool engine_token_is_special(const struct engine *engine, int32_t token)
{
    return tokenizer_is_special(engine_tokenizer(engine), token);
}

bool engine_token_is_end(const struct engine *engine, int32_t token)
{
    return tokenizer_is_end(engine_tokenizer(engine), token);
}

int32_t engine_token_begin(const struct engine *engine)
{
    return tokenizer_begin(engine_tokenizer(engine));
}

int32_t engine_token_end(const struct engine *engine)
{
    return tokenizer_end(engine_tokenizer(engine));
}

int32_t engine_token_find(const struct engine *engine, struct str text)
{
    return tokenizer_find(engine_tokenizer(engine), text);
}

const char *engine_chat_family(const struct engine *engine)
{
    return chat_family(engine_file(engine));
}

bool engine_chat(const struct engine *engine, const char *family, const struct engine_message *messages,
                 size_t count, bool generate, struct engine_tokens *tokens, struct error **err)
{
    return chat_encode(engine_tokenizer(engine), engine_file(engine), family, messages, count, generate,
                       tokens, err);
}

bool engine_chat_can_add(const struct engine *engine, const char *family)
{
    return chat_can_add(engine_tokenizer(engine), engine_file(engine), family);
}

bool engine_chat_add(const struct engine *engine, const char *family, const struct engine_message *message,
                     bool generate, struct engine_tokens *tokens, struct error **err)
{
    return chat_add(engine_tokenizer(engine), engine_file(engine), family, message, generate, tokens, err);
}

struct engine_constraint *engine_constraint_regex(const struct engine *engine, struct str pattern,
                                                  struct error **err)
{
    return constraint_new_take(engine_tokenizer(engine), automaton_from_regex(pattern, err), err);
}

struct engine_constraint *engine_constraint_json(const struct engine *engine, struct str schema,
                                                 struct error **err)
{
    return constraint_new_take(engine_tokenizer(engine), automaton_from_schema(schema, err), err);
}
