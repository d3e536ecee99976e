/* The tables behind the tokenizer: strings by number, the merges between them, special tokens.
 *
 * They are built once, at open: 49,000 tokens and as many merges take some milliseconds, most of them cache misses. Two
 * things keep it so: the hash reads eight bytes at a time, and the result of a merge is first looked for behind the
 * result of the merge before it, where trained vocabularies have it. A vocabulary is foreign: the hash is seeded, so
 * that a file cannot choose its collisions. */
#include "engine/tokenizer_internal.h"

#include <stdlib.h>

#include "base/rand.h"

/* ---- pieces */

static uint64_t load64(const char *bytes, size_t len)
{
    uint64_t value = 0;
    memcpy(&value, bytes, len);
    return value;
}

static uint64_t mix(uint64_t h)
{
    h ^= h >> 32;
    h *= 0xd6e8feb86659fd93u;
    return h ^ h >> 29;
}

static uint64_t hash_text(struct str text, uint64_t seed)
{
    uint64_t h = seed ^ text.len * 0x9e3779b97f4a7c15u;
    for (; text.len >= 8; text.ptr += 8, text.len -= 8)
        h = mix(h ^ load64(text.ptr, 8));
    return text.len ? mix(h ^ load64(text.ptr, text.len)) : mix(h);
}

static bool same_text(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* The slot that holds `text`, or the empty one where it belongs. Most slots that hold something else are told apart by
 * their tag, without a look at the text. */
static struct piece_slot *slot_of(const struct pieces *pieces, struct str text, uint32_t *tag)
{
    uint64_t hash = hash_text(text, pieces->seed);
    *tag = (uint32_t)(hash >> 32);
    size_t at = hash & pieces->mask;
    for (;; at = (at + 1) & pieces->mask) {
        struct piece_slot *slot = &pieces->slots[at];
        if (!slot->number || (slot->tag == *tag && same_text(pieces->texts[slot->number - 1], text)))
            return slot;
    }
}

static void set_slot(struct pieces *pieces, size_t piece)
{
    uint32_t tag;
    struct piece_slot *slot = slot_of(pieces, pieces->texts[piece], &tag);
    *slot = (struct piece_slot){ tag, (uint32_t)piece + 1 };
}

/* Of two tokens with the same text the last is found, as in llama.cpp. */
static void fill_slots(struct pieces *pieces, size_t size)
{
    free(pieces->slots);
    pieces->slots = xcalloc(size, sizeof *pieces->slots);
    pieces->mask = size - 1;
    for (size_t i = 0; i < pieces->count; i++)
        set_slot(pieces, i);
}

void pieces_init(struct pieces *pieces, struct str *texts_take, size_t count, size_t expected)
{
    *pieces = (struct pieces){
        .texts = texts_take, .count = count, .cap = count, .n_tokens = count, .seed = rand_u64()
    };
    size_t size = 1024;
    while (size < 2 * (MAX(count, expected) + 1))
        size *= 2;
    fill_slots(pieces, size);
}

void pieces_free(struct pieces *pieces)
{
    free(pieces->texts);
    free(pieces->slots);
}

uint32_t pieces_find(const struct pieces *pieces, struct str text)
{
    uint32_t tag;
    return pieces->slots ? slot_of(pieces, text, &tag)->number - 1 : PIECE_NONE; /* an empty slot's 0: none */
}

uint32_t pieces_add(struct pieces *pieces, struct str text)
{
    uint32_t found = pieces_find(pieces, text);
    if (found != PIECE_NONE)
        return found;
    if (pieces->count == pieces->cap) {
        pieces->cap = pieces->cap + pieces->cap / 2 + 64;
        pieces->texts = xrealloc(pieces->texts, pieces->cap * sizeof *pieces->texts);
    }
    size_t added = pieces->count++;
    pieces->texts[added] = text;
    set_slot(pieces, added);
    if (2 * pieces->count > pieces->mask)
        fill_slots(pieces, 2 * (pieces->mask + 1));
    return (uint32_t)added;
}

/* ---- merges */

static size_t merge_slot(const struct merges *merges, uint32_t left, uint32_t right)
{
    size_t at = mix((uint64_t)left << 32 | right) & merges->mask;
    while (merges->slots[at].right != PIECE_NONE &&
           (merges->slots[at].left != left || merges->slots[at].right != right))
        at = (at + 1) & merges->mask;
    return at;
}

const struct merge *merges_find(const struct merges *merges, uint32_t left, uint32_t right)
{
    const struct merge *merge = &merges->slots[merge_slot(merges, left, right)];
    return merge->right == PIECE_NONE ? NULL : merge;
}

/* The piece "left right" in one; it is most often the one after the last result. */
static uint32_t joined_piece(struct pieces *pieces, struct str left, struct str right, uint32_t guess,
                             char *buf, struct str *fresh)
{
    if (guess < pieces->n_tokens) {
        struct str text = pieces->texts[guess];
        if (text.len == left.len + right.len && memcmp(text.ptr, left.ptr, left.len) == 0 &&
            memcmp(text.ptr + left.len, right.ptr, right.len) == 0)
            return guess;
    }
    memcpy(buf, left.ptr, left.len);
    memcpy(buf + left.len, right.ptr, right.len);
    *fresh = (struct str){ buf, left.len + right.len };
    return pieces_find(pieces, *fresh);
}

static bool split_merge(struct str text, struct str *left, struct str *right)
{
    const char *space = text.len > 1 ? memchr(text.ptr + 1, ' ', text.len - 1) : NULL;
    if (!space || space + 1 == text.ptr + text.len)
        return false;
    *left = (struct str){ text.ptr, (size_t)(space - text.ptr) };
    *right = (struct str){ space + 1, text.len - left->len - 1 };
    return true;
}

static void add_merge(struct merges *merges, struct merge merge)
{
    struct merge *slot = &merges->slots[merge_slot(merges, merge.left, merge.right)];
    if (slot->right == PIECE_NONE) /* the same pair again: the first counts */
        *slot = merge;
}

static bool load_pairs(struct merges *merges, struct pieces *pieces, const struct str *texts, size_t count,
                       char *joins, struct error **err)
{
    uint32_t guess = PIECE_NONE;
    for (size_t i = 0; i < count; i++) {
        struct str left, right, fresh = { 0 };
        if (!split_merge(texts[i], &left, &right))
            return error_set(err, ERROR_INVALID, "merge %zu is not two pieces with a blank between", i);
        uint32_t l = pieces_add(pieces, left), r = pieces_add(pieces, right);
        uint32_t result = joined_piece(pieces, left, right, guess, joins, &fresh);
        if (result == PIECE_NONE) {
            result = pieces_add(pieces, fresh);
            joins += fresh.len;
        }
        guess = result + 1;
        add_merge(merges, (struct merge){ l, r, (uint32_t)i, result });
    }
    return true;
}

static bool new_slots(struct merges *merges, size_t count, struct error **err)
{
    size_t size = 1024;
    while (size < 2 * (count + 1))
        size *= 2;
    merges->slots = malloc(size * sizeof *merges->slots);
    if (!merges->slots)
        return error_set(err, ERROR_NO_MEMORY, "no memory for %zu merges", count);
    memset(merges->slots, 0xff, size * sizeof *merges->slots);
    merges->mask = size - 1;
    return true;
}

bool merges_load(struct merges *merges, struct pieces *pieces, const struct gguf *file, struct error **err)
{
    size_t count;
    struct str *texts = gguf_get_strings(file, "tokenizer.ggml.merges", &count);
    if (!texts)
        return error_set(err, ERROR_INVALID, "the file has no tokenizer.ggml.merges");
    size_t bytes = 1;
    for (size_t i = 0; i < count; i++)
        bytes += texts[i].len;
    merges->joins = malloc(bytes);
    bool ok = merges->joins ? new_slots(merges, count, err)
                            : error_set(err, ERROR_NO_MEMORY, "no memory for %zu bytes of merges", bytes);
    ok = ok && load_pairs(merges, pieces, texts, count, merges->joins, err);
    free(texts);
    return ok;
}

/* ---- special tokens */

static bool is_looked_for(const struct tokenizer *tokenizer, size_t token)
{
    enum token_kind kind = tokenizer->kinds[token];
    size_t len = tokenizer->pieces.texts[token].len;
    return (kind == TOKEN_CONTROL || kind == TOKEN_USER_DEFINED || kind == TOKEN_UNKNOWN) && len > 0 &&
           len <= SPECIAL_LEN_MAX;
}

void specials_load(struct tokenizer *tokenizer)
{
    struct specials *specials = &tokenizer->specials;
    bool is_len[SPECIAL_LEN_MAX + 1] = { false };
    for (size_t i = 0; i < tokenizer->pieces.n_tokens; i++)
        if (is_looked_for(tokenizer, i)) {
            struct str text = tokenizer->pieces.texts[i];
            is_len[text.len] = true;
            specials->first_byte[(unsigned char)text.ptr[0]] = true;
        }
    for (size_t len = SPECIAL_LEN_MAX; len > 0; len--)
        if (is_len[len])
            specials->lens[specials->n_lens++] = len;
}
