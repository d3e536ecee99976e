/* Byte-level BPE (Sennrich et al. 2016; GPT-2's byte alphabet): the word's bytes are the first symbols; the pair of
 * neighbours that comes first in the list of merges is joined, the leftmost of equals, until no pair is in the list.
 *
 * Most words have few symbols: there a scan for the best pair beats everything. A long word (a megabyte without a
 * blank is one) goes through joins.c's heap instead: n log n. */
#include "engine/tokenizer_internal.h"

#include <stdlib.h>

enum { SCAN_MAX = 32 }; /* symbols of a word that is scanned */

uint32_t byte_char(unsigned char byte)
{
    if ((byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174)
        return byte;
    /* the others, in order, from U+0100 on */
    return byte <= 32 ? 256u + byte : byte <= 160 ? 256u + 33 + (byte - 127u) : 256u + 67;
}

int char_byte(uint32_t code)
{
    if (code < 256)
        return byte_char((unsigned char)code) == code ? (int)code : -1;
    if (code <= 256 + 32)
        return (int)code - 256;
    if (code < 256 + 67)
        return (int)code - 256 - 33 + 127;
    return code == 256 + 67 ? 173 : -1;
}

/* A token as it is; a piece that is none, by its bytes. */
static void append_piece(const struct tokenizer *t, uint32_t piece, struct engine_tokens *tokens)
{
    if (piece < t->pieces.n_tokens) {
        engine_tokens_add(tokens, (int32_t)piece);
        return;
    }
    struct str text = t->pieces.texts[piece];
    for (size_t at = 0; at < text.len;) {
        uint32_t code;
        size_t len = code_point((const unsigned char *)text.ptr + at, text.len - at, &code);
        uint32_t one = pieces_find(&t->pieces, str_slice(text, at, at + len));
        if (one < t->pieces.n_tokens)
            engine_tokens_add(tokens, (int32_t)one);
        at += len;
    }
}

/* ---- short words */

struct pair {
    uint32_t rank, result; /* rank UINT32_MAX: not to be joined */
};

static struct pair pair_of(const struct tokenizer *t, uint32_t left, uint32_t right)
{
    const struct merge *merge = merges_find(&t->merges, left, right);
    return merge ? (struct pair){ merge->rank, merge->result } : (struct pair){ UINT32_MAX, 0 };
}

static void join(const struct tokenizer *t, uint32_t *symbols, struct pair *pairs, size_t at, size_t n)
{
    symbols[at] = pairs[at].result;
    memmove(symbols + at + 1, symbols + at + 2, (n - at - 2) * sizeof *symbols);
    memmove(pairs + at, pairs + at + 1, (n - at - 2) * sizeof *pairs);
    if (at + 2 < n)
        pairs[at] = pair_of(t, symbols[at], symbols[at + 1]);
    if (at > 0)
        pairs[at - 1] = pair_of(t, symbols[at - 1], symbols[at]);
}

static void encode_short(const struct tokenizer *t, uint32_t *symbols, size_t n, struct engine_tokens *tokens)
{
    struct pair pairs[SCAN_MAX];
    for (size_t i = 0; i + 1 < n; i++)
        pairs[i] = pair_of(t, symbols[i], symbols[i + 1]);
    for (; n > 1; n--) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < n; i++)
            if (pairs[i].rank < pairs[best].rank)
                best = i;
        if (pairs[best].rank == UINT32_MAX)
            break;
        join(t, symbols, pairs, best, n);
    }
    for (size_t i = 0; i < n; i++)
        append_piece(t, symbols[i], tokens);
}

/* ---- long words */

static bool lookup_merge(const struct tokenizer *t, const struct symbol *left, const struct symbol *right,
                         uint32_t *rank, uint32_t *result)
{
    const struct merge *merge = merges_find(&t->merges, left->piece, right->piece);
    if (merge)
        *rank = merge->rank, *result = merge->result;
    return merge;
}

static bool encode_long(const struct tokenizer *t, const unsigned char *bytes, size_t n,
                        struct engine_tokens *tokens, struct error **err)
{
    struct symbol *symbols = new_symbols(n, err);
    if (!symbols)
        return false;
    for (size_t i = 0; i < n; i++) {
        symbols[i].text = (struct str){ (const char *)bytes + i, 1 };
        symbols[i].piece = t->byte_pieces[bytes[i]];
    }
    bool ok = join_symbols(t, symbols, n, lookup_merge, err);
    for (uint32_t i = 0; ok && i != SYMBOL_NONE; i = symbols[i].next)
        append_piece(t, symbols[i].piece, tokens);
    free(symbols);
    return ok;
}

/* ---- words */

/* The word in the byte alphabet, if it is a token as it stands. */
static uint32_t whole_word(const struct tokenizer *t, const unsigned char *bytes, size_t len)
{
    char text[512];
    size_t at = 0;
    for (size_t i = 0; i < len && at < sizeof text - 2; i++) {
        uint32_t code = byte_char(bytes[i]);
        if (code >= 0x80)
            text[at++] = (char)(0xc0 | code >> 6), text[at++] = (char)(0x80 | (code & 0x3f));
        else
            text[at++] = (char)code;
    }
    return at < sizeof text - 2 ? pieces_find(&t->pieces, (struct str){ text, at }) : PIECE_NONE;
}

static bool encode_word(const struct tokenizer *t, const unsigned char *bytes, size_t len,
                        struct engine_tokens *tokens, struct error **err)
{
    if (t->ignore_merges) {
        uint32_t whole = whole_word(t, bytes, len);
        if (whole < t->pieces.n_tokens)
            return engine_tokens_add(tokens, (int32_t)whole), true;
    }
    if (len > SCAN_MAX)
        return encode_long(t, bytes, len, tokens, err);
    uint32_t symbols[SCAN_MAX];
    for (size_t i = 0; i < len; i++)
        symbols[i] = t->byte_pieces[bytes[i]];
    encode_short(t, symbols, len, tokens);
    return true;
}

bool bpe_encode(const struct tokenizer *t, struct str text, struct engine_tokens *tokens, struct error **err)
{
    AUTO(strbuf) struct strbuf buf = { 0 };
    text = text_repair(text, &buf);
    const unsigned char *bytes = (const unsigned char *)text.ptr;
    for (size_t at = 0, end; at < text.len; at = end) {
        end = pretokenize(t->pre, bytes, at, text.len);
        if (!encode_word(t, bytes + at, end - at, tokens, err))
            return false;
    }
    return true;
}
