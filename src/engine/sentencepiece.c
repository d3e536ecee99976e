/* SentencePiece's two models (Kudo & Richardson 2018). BPE: of all neighbours whose join is a token, the one with the
 * best score is joined first. Unigram (Kudo 2018): the cut of the text whose tokens' scores have the greatest sum, by
 * Viterbi's algorithm. What is no token is written as byte tokens, where the vocabulary has them. */
#include "engine/tokenizer_internal.h"

#include <float.h>
#include <stdlib.h>

#include "base/bytes.h"

static const struct str blank_mark = { "\xe2\x96\x81", 3 }; /* U+2581 stands for a blank */

void append_bytes(const struct tokenizer *t, struct str bytes, struct engine_tokens *tokens)
{
    for (size_t i = 0; i < bytes.len; i++) {
        uint32_t piece = t->byte_pieces[(unsigned char)bytes.ptr[i]];
        if (piece < t->pieces.n_tokens)
            engine_tokens_add(tokens, (int32_t)piece);
        else if (t->unknown >= 0)
            engine_tokens_add(tokens, t->unknown);
    }
}

/* ---- BPE by scores */

/* The best score first: its bits in reverse order. */
static uint32_t rank_of_score(float score)
{
    uint32_t bits;
    memcpy(&bits, &score, sizeof bits);
    bits = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
    return ~bits;
}

static bool lookup_score(const struct tokenizer *t, const struct symbol *left, const struct symbol *right,
                         uint32_t *rank, uint32_t *result)
{
    if (left->text.len + right->text.len > t->longest)
        return false;
    *result = pieces_find(&t->pieces, (struct str){ left->text.ptr, left->text.len + right->text.len });
    if (*result >= t->pieces.n_tokens)
        return false;
    *rank = rank_of_score(t->scores[*result]);
    return true;
}

/* By its first byte alone: bytes that are not UTF-8 are symbols too. */
static size_t character_len(unsigned char lead, size_t left)
{
    size_t len = lead < 0xc0 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    return MIN(len, left);
}

static void escape_blanks(struct str text, struct strbuf *out)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] == ' ')
            strbuf_add(out, blank_mark);
        else
            strbuf_add_char(out, text.ptr[i]);
}

bool spm_encode(const struct tokenizer *t, struct str text, struct engine_tokens *tokens, struct error **err)
{
    AUTO(strbuf) struct strbuf buf = { 0 };
    escape_blanks(text, &buf);
    size_t n = 0;
    for (size_t at = 0; at < buf.len; n++)
        at += character_len((unsigned char)buf.ptr[at], buf.len - at);
    if (n == 0)
        return true;
    struct symbol *symbols = new_symbols(n, err);
    if (!symbols)
        return false;
    for (size_t i = 0, at = 0; i < n; at += symbols[i++].text.len)
        symbols[i].text =
            (struct str){ buf.ptr + at, character_len((unsigned char)buf.ptr[at], buf.len - at) };
    bool ok = join_symbols(t, symbols, n, lookup_score, err);
    for (uint32_t i = 0; ok && i != SYMBOL_NONE; i = symbols[i].next) {
        uint32_t piece = pieces_find(&t->pieces, symbols[i].text);
        if (piece < t->pieces.n_tokens)
            engine_tokens_add(tokens, (int32_t)piece);
        else
            append_bytes(t, symbols[i].text, tokens);
    }
    free(symbols);
    return ok;
}

/* ---- unigram: normalisation
 *
 * The file carries SentencePiece's compiled rules: a double-array trie (Aoe 1989; the packing is that of darts-clone)
 * from what is replaced to an offset among NUL-ended replacements. Every index is checked: the rules are foreign. */

static uint32_t unit_at(const struct tokenizer *t, size_t index)
{
    return index < t->n_charsmap_units ? t->charsmap_units[index] : 0;
}
static size_t unit_offset(uint32_t unit)
{
    return (unit >> 10) << ((unit & 1u << 9) >> 6);
}

/* The longest rule that matches at `text`: its length, or 0; its replacement in *to. */
static size_t charsmap_match(const struct tokenizer *t, struct str text, struct str *to)
{
    size_t node = unit_offset(unit_at(t, 0)), longest = 0;
    for (size_t i = 0; i < text.len && t->n_charsmap_units; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        node ^= c;
        uint32_t unit = unit_at(t, node);
        if (c == 0 || (unit & 0x800000ffu) != c)
            break;
        node ^= unit_offset(unit);
        if (!(unit >> 8 & 1))
            continue;
        size_t at = unit_at(t, node) & 0x7fffffffu;
        if (at >= t->replacements.len)
            break;
        longest = i + 1;
        *to = (struct str){ t->replacements.ptr + at,
                            strnlen(t->replacements.ptr + at, t->replacements.len - at) };
    }
    return longest;
}

/* What stands at `text` after normalisation; returns how many bytes of `text` that covers. */
static size_t normalise_one(const struct tokenizer *t, struct str text, struct str *to)
{
    for (size_t len = MIN(t->longest_user_defined, text.len); len > 0; len--) {
        uint32_t piece = pieces_find(&t->pieces, str_slice(text, 0, len));
        if (piece < t->pieces.n_tokens && t->kinds[piece] == TOKEN_USER_DEFINED)
            return *to = str_slice(text, 0, len), len;
    }
    size_t len = charsmap_match(t, text, to);
    if (len)
        return len;
    len = character_len((unsigned char)text.ptr[0], text.len);
    return *to = str_slice(text, 0, len), len;
}

/* Blanks become marks; with merge_spaces runs of them are one, and none is left at the end. */
static void normalise(const struct tokenizer *t, struct str text, struct strbuf *out)
{
    bool in_word = false, has_first = false;
    for (size_t at = 0; at < text.len;) {
        struct str to = { 0 };
        at += normalise_one(t, str_slice(text, at, text.len), &to);
        for (size_t i = 0; i < to.len; i++) {
            if (to.ptr[i] == ' ') {
                in_word = false;
                if (!t->merge_spaces)
                    strbuf_add(out, blank_mark);
                continue;
            }
            if (!in_word && ((t->add_space && !has_first) || t->merge_spaces)) {
                strbuf_add(out, blank_mark);
                has_first = true;
            }
            in_word = true;
            strbuf_add_char(out, to.ptr[i]);
        }
    }
}

/* ---- unigram: the best cut */

struct cut {
    double score;         /* of the best way here */
    uint32_t from, token; /* its last token, and where that begins */
};

static void offer(struct cut *cut, double score, uint32_t from, uint32_t token)
{
    if (score > cut->score)
        *cut = (struct cut){ score, from, token };
}

/* All tokens that begin at `at`; where none is the character itself, it is unknown, and costs more than any token. */
static void extend(const struct tokenizer *t, struct str text, struct cut *cuts, size_t at)
{
    size_t one = character_len((unsigned char)text.ptr[at], text.len - at),
           max = MIN(t->longest, text.len - at);
    bool known = false;
    for (size_t len = 1; len <= max; len++) {
        uint32_t piece = pieces_find(&t->pieces, str_slice(text, at, at + len));
        if (piece >= t->pieces.n_tokens || t->kinds[piece] == TOKEN_CONTROL ||
            t->kinds[piece] == TOKEN_UNKNOWN)
            continue;
        known = known || len == one;
        double score = t->kinds[piece] == TOKEN_USER_DEFINED ? 0 : (double)t->scores[piece];
        offer(&cuts[at + len], cuts[at].score + score, (uint32_t)at, piece);
    }
    if (!known)
        offer(&cuts[at + one], cuts[at].score + (double)t->score_min - 10, (uint32_t)at, PIECE_NONE);
}

static void append_path(const struct tokenizer *t, struct str text, const struct cut *cuts,
                        struct engine_tokens *tokens)
{
    size_t n = 0;
    uint32_t *ends = xmalloc((text.len + 1) * sizeof *ends);
    for (size_t at = text.len; at > 0; at = cuts[at].from)
        ends[n++] = (uint32_t)at;
    bool has_bytes = t->byte_pieces[0] < t->pieces.n_tokens, was_unknown = false;
    while (n--) {
        const struct cut *cut = &cuts[ends[n]];
        bool unknown = cut->token == PIECE_NONE;
        if (!unknown)
            engine_tokens_add(tokens, (int32_t)cut->token);
        else if (has_bytes)
            append_bytes(t, str_slice(text, cut->from, ends[n]), tokens);
        else if (!was_unknown && t->unknown >= 0)
            engine_tokens_add(tokens, t->unknown);
        was_unknown = unknown;
    }
    free(ends);
}

bool unigram_encode(const struct tokenizer *t, struct str raw, struct engine_tokens *tokens,
                    struct error **err)
{
    AUTO(strbuf) struct strbuf repaired = { 0 }, buf = { 0 };
    normalise(t, text_repair(raw, &repaired), &buf);
    struct str text = strbuf_str(&buf);
    struct cut *cuts = malloc((text.len + 1) * sizeof *cuts);
    if (!cuts)
        return error_set(err, ERROR_NO_MEMORY, "no memory to tokenize %zu bytes", text.len);
    for (size_t i = 0; i <= text.len; i++)
        cuts[i] = (struct cut){ i ? -DBL_MAX : 0, 0, PIECE_NONE };
    for (size_t at = 0; at < text.len; at += character_len((unsigned char)text.ptr[at], text.len - at))
        extend(t, text, cuts, at);
    append_path(t, text, cuts, tokens);
    free(cuts);
    return true;
}

bool unigram_load(struct tokenizer *t, const struct gguf *file, struct error **err)
{
    const struct gguf_value *map = gguf_find(file, "tokenizer.ggml.precompiled_charsmap");
    for (size_t i = 0; i < t->pieces.n_tokens; i++)
        if (t->kinds[i] == TOKEN_USER_DEFINED)
            t->longest_user_defined = MAX(t->longest_user_defined, t->pieces.texts[i].len);
    if (!map || map->kind != GGUF_ARRAY || (map->element != GGUF_U8 && map->element != GGUF_I8) ||
        map->len == 0)
        return true;
    struct reader in = reader_of(map->bytes, map->len);
    uint32_t bytes = reader_u32(&in);
    if (!reader_ok(&in) || bytes % 4 || bytes > reader_left(&in))
        return error_set(err, ERROR_INVALID, "the normalisation rules are damaged");
    t->n_charsmap_units = bytes / 4;
    t->charsmap_units = xmalloc(bytes + 4);
    memcpy(t->charsmap_units, reader_bytes(&in, bytes), bytes);
    size_t left = reader_left(&in);
    t->replacements = (struct str){ reader_bytes(&in, left), left };
    return true;
}
