/* Lists of tokens; and bytes that arrive in pieces, handed on as valid UTF-8. */
#include "engine/engine.h"

#include <stdlib.h>

#include "base/utf8.h"

void engine_tokens_add(struct engine_tokens *tokens, int32_t id)
{
    if (tokens->len == tokens->cap) {
        tokens->cap = tokens->cap * 2 + 16;
        tokens->ids = xrealloc(tokens->ids, tokens->cap * sizeof *tokens->ids);
    }
    tokens->ids[tokens->len++] = id;
}

void engine_tokens_free(struct engine_tokens *tokens)
{
    free(tokens->ids);
    *tokens = (struct engine_tokens){ 0 };
}

/* ---- bytes in pieces */

/* Could these bytes, the last of a text, be the beginning of a character? */
static bool is_unfinished(struct str bytes)
{
    uint32_t code;
    return utf8_decode(bytes, &code) == bytes.len && code == UTF8_INVALID &&
           (unsigned char)bytes.ptr[0] >= 0xc2 && (unsigned char)bytes.ptr[0] <= 0xf4;
}

static void add_characters(struct engine_text *text, struct str bytes, bool hold, struct strbuf *out)
{
    while (bytes.len) {
        uint32_t code;
        size_t len = utf8_decode(bytes, &code);
        if (hold && len == bytes.len && is_unfinished(bytes)) {
            memcpy(text->held, bytes.ptr, len);
            text->n_held = len;
            return;
        }
        strbuf_add(out, code == UTF8_INVALID ? STR("\xef\xbf\xbd") : str_slice(bytes, 0, len));
        bytes = str_slice(bytes, len, bytes.len);
    }
}

void engine_text_add(struct engine_text *text, struct str bytes, struct strbuf *out)
{
    if (text->n_held == 0)
        return add_characters(text, bytes, true, out);
    AUTO(strbuf) struct strbuf all = { 0 };
    strbuf_add(&all, (struct str){ text->held, text->n_held });
    strbuf_add(&all, bytes);
    text->n_held = 0;
    add_characters(text, strbuf_str(&all), true, out);
}

void engine_text_end(struct engine_text *text, struct strbuf *out)
{
    struct str held = { text->held, text->n_held };
    text->n_held = 0;
    add_characters(text, held, false, out);
}
