/* The tokenizer's own face: opening it from the file's metadata, and cutting text at its special tokens. */
#include "engine/tokenizer.h"

#include <stdlib.h>

#include "base/utf8.h"
#include "engine/tokenizer_internal.h"

/* ---- opening */

static const struct {
    const char *name;
    int model;
} models[] = { { "gpt2", TOKENIZER_BPE }, { "llama", TOKENIZER_SPM }, { "t5", TOKENIZER_UNIGRAM } };

/* Texts that end a turn whatever the file says of them; with the end token itself. As llama.cpp has it. */
static const char *const end_texts[] = {
    "<|eot_id|>",    "<|im_end|>",         "<|end|>",    "<|return|>", "<end_of_turn>",
    "<|endoftext|>", "<|end_of_text|>",    "<|eom_id|>", "<EOT>",      "_<EOT>",
    "<|eom|>",       "<end_of_utterance>", "<eos>",
};

static int32_t token_key(const struct tokenizer *t, const struct gguf *file, const char *key,
                         int32_t otherwise)
{
    uint32_t id;
    if (!gguf_get_u32(file, key, &id))
        return otherwise < (int64_t)t->pieces.n_tokens ? otherwise : -1;
    return id < t->pieces.n_tokens ? (int32_t)id : -1;
}

static bool load_kinds(struct tokenizer *t, const struct gguf *file, struct error **err)
{
    size_t n = t->pieces.n_tokens, count;
    t->kinds = malloc(n);
    t->ends = calloc(n, sizeof *t->ends);
    if (!t->kinds || !t->ends)
        return error_set(err, ERROR_NO_MEMORY, "no memory for %zu tokens", n);
    memset(t->kinds, TOKEN_NORMAL, n);
    int32_t *kinds = gguf_get_ints(file, "tokenizer.ggml.token_type", &count);
    if (kinds && count != n) {
        free(kinds);
        return error_set(err, ERROR_INVALID, "%zu tokens, but %zu token types", n, count);
    }
    for (size_t i = 0; kinds && i < n; i++)
        t->kinds[i] =
            kinds[i] >= TOKEN_NORMAL && kinds[i] <= TOKEN_BYTE ? (unsigned char)kinds[i] : TOKEN_NORMAL;
    free(kinds);
    return true;
}

static void load_ends(struct tokenizer *t, const struct gguf *file)
{
    static const char *const keys[] = { "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id" };
    if (t->end >= 0)
        t->ends[t->end] = true;
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        int32_t id = token_key(t, file, keys[i], -1);
        if (id >= 0)
            t->ends[id] = true;
    }
    for (size_t i = 0; i < ARRAY_LEN(end_texts); i++) {
        uint32_t id = pieces_find(&t->pieces, str_of(end_texts[i]));
        if (id < t->pieces.n_tokens) {
            t->ends[id] = true;
            if (t->kinds[id] == TOKEN_NORMAL)
                t->kinds[id] = TOKEN_CONTROL;
        }
    }
}

/* "<0x0A>" */
static int byte_token(struct str text)
{
    if (text.len != 6 || memcmp(text.ptr, "<0x", 3) != 0 || text.ptr[5] != '>')
        return -1;
    char hex[3] = { text.ptr[3], text.ptr[4], 0 }, *end;
    long byte = strtol(hex, &end, 16);
    return *end ? -1 : (int)byte;
}

/* What a token stands for: in BPE each character is a byte, in SentencePiece U+2581 is a blank. Never longer. */
static size_t decode_bpe(struct str text, char *out)
{
    size_t n = 0;
    for (size_t at = 0; at < text.len;) {
        uint32_t code = (unsigned char)text.ptr[at];
        size_t len = code < 0x80 ? 1 : utf8_decode(str_slice(text, at, text.len), &code);
        int byte = code == UTF8_INVALID ? -1 : char_byte(code);
        if (byte >= 0)
            out[n++] = (char)byte;
        else
            memcpy(out + n, text.ptr + at, len), n += len;
        at += len;
    }
    return n;
}

static size_t decode_piece(struct str text, char *out)
{
    size_t n = 0;
    for (size_t at = 0; at < text.len; at++)
        if (text.len - at >= 3 && memcmp(text.ptr + at, "\xe2\x96\x81", 3) == 0)
            out[n++] = ' ', at += 2;
        else
            out[n++] = text.ptr[at];
    return n;
}

static struct str decode_token(const struct tokenizer *t, size_t i, char *out)
{
    struct str text = t->pieces.texts[i];
    int byte = t->kinds[i] == TOKEN_BYTE ? byte_token(text) : -1;
    if (t->kinds[i] == TOKEN_CONTROL || t->kinds[i] == TOKEN_UNKNOWN)
        return (struct str){ NULL, 0 };
    if (t->kinds[i] == TOKEN_USER_DEFINED || (t->kinds[i] == TOKEN_BYTE && byte < 0))
        return text;
    if (byte >= 0)
        return *out = (char)byte, (struct str){ out, 1 };
    return (struct str){ out, t->model == TOKENIZER_BPE ? decode_bpe(text, out) : decode_piece(text, out) };
}

static bool load_bytes(struct tokenizer *t, struct error **err)
{
    size_t total = 1;
    for (size_t i = 0; i < t->pieces.n_tokens; i++)
        total += t->pieces.texts[i].len;
    t->bytes = malloc((t->pieces.n_tokens + 1) * sizeof *t->bytes);
    char *out = t->bytes_block = malloc(total);
    if (!t->bytes || !out)
        return error_set(err, ERROR_NO_MEMORY, "no memory for a vocabulary of %zu bytes", total);
    for (size_t i = 0; i < t->pieces.n_tokens; i++) {
        t->bytes[i] = decode_token(t, i, out);
        if (t->bytes[i].ptr == out)
            out += t->bytes[i].len;
        t->longest = MAX(t->longest, t->pieces.texts[i].len);
    }
    return true;
}

/* BPE writes a byte as its stand-in, SentencePiece as a token of its own. */
static void load_byte_pieces(struct tokenizer *t)
{
    static const char hex[] = "0123456789ABCDEF";
    for (unsigned byte = 0; byte < 256; byte++) {
        if (t->model != TOKENIZER_BPE) {
            char text[] = { '<', '0', 'x', hex[byte >> 4], hex[byte & 15], '>' };
            t->byte_pieces[byte] = pieces_find(&t->pieces, (struct str){ text, sizeof text });
            continue;
        }
        size_t len = utf8_encode(byte_char((unsigned char)byte), t->byte_texts[byte]);
        t->byte_pieces[byte] = pieces_add(&t->pieces, (struct str){ t->byte_texts[byte], len });
    }
}

static bool load_bpe(struct tokenizer *t, const struct gguf *file, struct error **err)
{
    struct str pre = { 0 };
    if (!gguf_get_str(file, "tokenizer.ggml.pre", &pre))
        return error_set(err, ERROR_UNSUPPORTED,
                         "the file does not name its pre-tokenizer (tokenizer.ggml.pre)");
    t->pre = pretokenizer_find(pre);
    if (!t->pre)
        return error_set(err, ERROR_UNSUPPORTED, "pre-tokenizer \"%.*s\" is not known; there are %s",
                         (int)MIN(pre.len, 64), pre.ptr, pretokenizer_names());
    t->ignore_merges = t->pre->ignore_merges;
    t->add_begin = t->pre->add_begin;
    return merges_load(&t->merges, &t->pieces, file, err);
}

static bool load_sentencepiece(struct tokenizer *t, const struct gguf *file, struct error **err)
{
    size_t count;
    t->scores = gguf_get_floats(file, "tokenizer.ggml.scores", &count);
    if (!t->scores || count != t->pieces.n_tokens)
        return error_set(err, ERROR_INVALID, "%zu tokens, but %zu scores", t->pieces.n_tokens, count);
    for (size_t i = 0; i < count; i++)
        t->score_min = MIN(t->score_min, t->scores[i]);
    t->add_space = true;
    t->add_begin = t->model == TOKENIZER_SPM;
    t->add_end = t->model == TOKENIZER_UNIGRAM;
    return t->model == TOKENIZER_SPM || unigram_load(t, file, err);
}

static bool load_vocabulary(struct tokenizer *t, const struct gguf *file, struct error **err)
{
    size_t count, n_merges = 0;
    struct str *texts = gguf_get_strings(file, "tokenizer.ggml.tokens", &count);
    if (!texts || count == 0 || count > INT32_MAX / 2) {
        free(texts);
        return error_set(err, ERROR_INVALID, "the file has no usable tokenizer.ggml.tokens");
    }
    const struct gguf_value *merges = gguf_find(file, "tokenizer.ggml.merges");
    if (merges && merges->kind == GGUF_ARRAY)
        n_merges = merges->count;
    pieces_init(&t->pieces, texts, count, MAX(count, MIN(n_merges, 4 * count)));
    return load_kinds(t, file, err) &&
           (t->model == TOKENIZER_BPE ? load_bpe(t, file, err) : load_sentencepiece(t, file, err));
}

static void load_options(struct tokenizer *t, const struct gguf *file)
{
    bool bpe = t->model == TOKENIZER_BPE;
    t->begin = token_key(t, file, "tokenizer.ggml.bos_token_id",
                         bpe                         ? 11
                         : t->model == TOKENIZER_SPM ? 1
                                                     : -1);
    t->end = token_key(t, file, "tokenizer.ggml.eos_token_id", bpe ? 11 : t->model == TOKENIZER_SPM ? 2 : 1);
    t->unknown = token_key(t, file, "tokenizer.ggml.unknown_token_id",
                           bpe                         ? -1
                           : t->model == TOKENIZER_SPM ? 0
                                                       : 2);
    gguf_get_bool(file, "tokenizer.ggml.add_bos_token", &t->add_begin);
    gguf_get_bool(file, "tokenizer.ggml.add_eos_token", &t->add_end);
    gguf_get_bool(file, "tokenizer.ggml.add_space_prefix", &t->add_space);
    gguf_get_bool(file, "tokenizer.ggml.remove_extra_whitespaces", &t->merge_spaces);
}

static bool choose_model(struct tokenizer *t, const struct gguf *file, struct error **err)
{
    struct str name = { 0 };
    if (!gguf_get_str(file, "tokenizer.ggml.model", &name) || str_eq(name, STR("no_vocab")) ||
        str_eq(name, STR("none")))
        return true;
    for (size_t i = 0; i < ARRAY_LEN(models); i++)
        if (str_eq(name, str_of(models[i].name)))
            t->model = models[i].model;
    return t->model != TOKENIZER_NONE ||
           error_set(err, ERROR_UNSUPPORTED, "tokenizer \"%.*s\" is not known; there are gpt2, llama and t5",
                     (int)MIN(name.len, 64), name.ptr);
}

struct tokenizer *tokenizer_open(const struct gguf *file, struct error **err)
{
    AUTO(tokenizer) struct tokenizer *t = xcalloc(1, sizeof *t);
    t->begin = t->end = t->unknown = -1;
    pthread_mutex_init(&t->lock, NULL);
    if (!choose_model(t, file, err))
        return NULL;
    if (t->model == TOKENIZER_NONE)
        return STEAL(t);
    if (!load_vocabulary(t, file, err))
        return NULL;
    load_options(t, file);
    load_ends(t, file);
    load_byte_pieces(t);
    specials_load(t);
    return load_bytes(t, err) ? STEAL(t) : NULL;
}

void tokenizer_close(struct tokenizer *t)
{
    if (!t)
        return;
    pieces_free(&t->pieces);
    pthread_mutex_destroy(&t->lock);
    free(t->sorted.tokens);
    free(t->merges.slots), free(t->merges.joins);
    free(t->kinds), free(t->ends), free(t->bytes), free(t->bytes_block), free(t->scores);
    free(t->charsmap_units), free(t);
}

/* ---- text with special tokens in it */

struct stretch { /* a token, or raw text where token is -1 */
    struct str text;
    int32_t token;
};
struct stretches {
    struct stretch *items;
    size_t len, cap;
};

static void add_stretch(struct stretches *list, struct str text, int32_t token)
{
    if (token < 0 && text.len == 0)
        return;
    if (list->len == list->cap)
        list->items = xrealloc(list->items, (list->cap = list->cap * 2 + 8) * sizeof *list->items);
    list->items[list->len++] = (struct stretch){ text, token };
}

/* The special token of `len` bytes at `text`, or -1. User-defined tokens are found in any text. */
static int32_t special_at(const struct tokenizer *t, const char *text, size_t len, bool parse)
{
    if (!t->specials.first_byte[(unsigned char)*text])
        return -1;
    uint32_t piece = pieces_find(&t->pieces, (struct str){ text, len });
    if (piece >= t->pieces.n_tokens)
        return -1;
    enum token_kind kind = t->kinds[piece];
    return kind == TOKEN_USER_DEFINED || (parse && (kind == TOKEN_CONTROL || kind == TOKEN_UNKNOWN))
               ? (int32_t)piece
               : -1;
}

static void cut_stretch(const struct tokenizer *t, struct str text, size_t len, bool parse,
                        struct stretches *out)
{
    size_t from = 0;
    for (size_t at = 0; at + len <= text.len; at++) {
        int32_t token = special_at(t, text.ptr + at, len, parse);
        if (token < 0)
            continue;
        add_stretch(out, str_slice(text, from, at), -1);
        add_stretch(out, str_slice(text, at, at + len), token);
        from = at + len;
        at = from - 1;
    }
    add_stretch(out, str_slice(text, from, text.len), -1);
}

/* The longest special tokens first, over the whole text: a shorter one never breaks a longer one up. */
static struct stretches cut(const struct tokenizer *t, struct str text, bool parse)
{
    struct stretches now = { 0 };
    add_stretch(&now, text, -1);
    for (size_t i = 0; i < t->specials.n_lens; i++) {
        struct stretches next = { 0 };
        for (size_t j = 0; j < now.len; j++)
            if (now.items[j].token < 0)
                cut_stretch(t, now.items[j].text, t->specials.lens[i], parse, &next);
            else
                add_stretch(&next, now.items[j].text, now.items[j].token);
        free(now.items);
        now = next;
    }
    return now;
}

/* SentencePiece puts a blank before text that begins, or follows a special token. */
static bool encode_raw(const struct tokenizer *t, struct str text, bool begins, struct engine_tokens *tokens,
                       struct error **err)
{
    if (t->model == TOKENIZER_BPE)
        return bpe_encode(t, text, tokens, err);
    if (t->model == TOKENIZER_UNIGRAM)
        return unigram_encode(t, text, tokens, err);
    AUTO(strbuf) struct strbuf buf = { 0 };
    if (t->add_space && begins)
        strbuf_add_char(&buf, ' ');
    strbuf_add(&buf, text);
    return spm_encode(t, strbuf_str(&buf), tokens, err);
}

/* Raw text on both sides of a seam is one text: a word may lie across it. */
static void append_stretches(struct stretches *all, struct stretches *more)
{
    for (size_t i = 0; i < more->len; i++) {
        struct stretch *last = all->len ? &all->items[all->len - 1] : NULL, *next = &more->items[i];
        if (last && last->token < 0 && next->token < 0 && last->text.ptr + last->text.len == next->text.ptr)
            last->text.len += next->text.len;
        else
            add_stretch(all, next->text, next->token);
    }
    free(more->items);
}

static bool encode_stretches(const struct tokenizer *t, const struct stretches *list,
                             struct engine_tokens *tokens, struct error **err)
{
    for (size_t i = 0; i < list->len; i++) {
        bool begins = i == 0 || list->items[i - 1].token >= 0;
        if (list->items[i].token >= 0)
            engine_tokens_add(tokens, list->items[i].token);
        else if (!encode_raw(t, list->items[i].text, begins, tokens, err))
            return false;
    }
    return true;
}

bool tokenizer_encode_parts(const struct tokenizer *t, const struct text_part *parts, size_t n,
                            bool add_special, struct engine_tokens *tokens, struct error **err)
{
    size_t total = 0;
    for (size_t i = 0; i < n; i++)
        total += parts[i].text.len;
    if (t->model == TOKENIZER_NONE)
        return error_set(err, ERROR_UNSUPPORTED, "the model file has no vocabulary");
    if (total > TOKENIZER_TEXT_MAX)
        return error_set(err, ERROR_LIMIT, "a text of %zu bytes: at most %d", total, TOKENIZER_TEXT_MAX);
    if (add_special && t->add_begin && t->begin >= 0)
        engine_tokens_add(tokens, t->begin);
    struct stretches list = { 0 };
    for (size_t i = 0; i < n; i++) {
        struct stretches more = cut(t, parts[i].text, parts[i].parse_special);
        append_stretches(&list, &more);
    }
    bool ok = encode_stretches(t, &list, tokens, err);
    free(list.items);
    if (ok && add_special && tokenizer_adds_end(t))
        engine_tokens_add(tokens, t->end);
    return ok;
}

bool tokenizer_encode(const struct tokenizer *t, struct str text, unsigned flags,
                      struct engine_tokens *tokens, struct error **err)
{
    struct text_part part = { text, flags & ENGINE_PARSE_SPECIAL };
    return tokenizer_encode_parts(t, &part, 1, flags & ENGINE_ADD_SPECIAL, tokens, err);
}

/* ---- questions */

static bool has(const struct tokenizer *t, int32_t token)
{
    return token >= 0 && (size_t)token < t->pieces.n_tokens;
}

size_t tokenizer_count(const struct tokenizer *t)
{
    return t->pieces.n_tokens;
}

struct str tokenizer_text(const struct tokenizer *t, int32_t token)
{
    return has(t, token) ? t->pieces.texts[token] : (struct str){ NULL, 0 };
}

struct str tokenizer_bytes(const struct tokenizer *t, int32_t token)
{
    return has(t, token) ? t->bytes[token] : (struct str){ NULL, 0 };
}

bool tokenizer_is_special(const struct tokenizer *t, int32_t token)
{
    return has(t, token) && (t->kinds[token] == TOKEN_CONTROL || t->kinds[token] == TOKEN_UNKNOWN);
}

bool tokenizer_is_end(const struct tokenizer *t, int32_t token)
{
    return has(t, token) && t->ends[token];
}

int32_t tokenizer_begin(const struct tokenizer *t)
{
    return t->begin;
}

bool tokenizer_adds_end(const struct tokenizer *t)
{
    return t->add_end && t->end >= 0;
}

int32_t tokenizer_end(const struct tokenizer *t)
{
    return t->end;
}

int32_t tokenizer_find(const struct tokenizer *t, struct str text)
{
    uint32_t piece = pieces_find(&t->pieces, text);
    return piece < t->pieces.n_tokens ? (int32_t)piece : -1;
}

size_t tokenizer_memory(const struct tokenizer *t)
{
    size_t tokens = t->pieces.n_tokens * (2 * sizeof(struct str) + 16);
    return sizeof *t + tokens + (t->pieces.mask + 1) * sizeof *t->pieces.slots +
           (t->merges.slots ? (t->merges.mask + 1) * sizeof *t->merges.slots : 0);
}
