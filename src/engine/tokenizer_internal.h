/* What the tokenizer's files tell each other. */
#ifndef ENGINE_TOKENIZER_INTERNAL_H
#define ENGINE_TOKENIZER_INTERNAL_H

#include <pthread.h>

#include "engine/tokenizer.h"

/* ---- pieces: strings by number (vocabulary.c) ------------------------------------------------------------------- */

enum token_kind {
    TOKEN_NORMAL = 1,
    TOKEN_UNKNOWN,
    TOKEN_CONTROL,
    TOKEN_USER_DEFINED,
    TOKEN_UNUSED,
    TOKEN_BYTE
};

enum { PIECE_NONE = UINT32_MAX, SPECIAL_LEN_MAX = 256 };

/* Every token is a piece under its own number. Merges may name strings that are no tokens: these are pieces too,
 * numbered from `n_tokens` on. */
struct pieces {
    struct str *texts; /* [count] */
    size_t count, cap, n_tokens;
    struct piece_slot {
        uint32_t tag, number; /* more of the hash; piece + 1, or 0 */
    } *slots;                 /* [mask + 1], open addressing by hash of the text */
    size_t mask;
    uint64_t seed;
};
void pieces_init(struct pieces *pieces, struct str *texts_take, size_t count, size_t expected);
void pieces_free(struct pieces *pieces);
uint32_t pieces_find(const struct pieces *pieces, struct str text);
uint32_t pieces_add(struct pieces *pieces,
                    struct str text); /* the one that is there, or a new one; text borrowed */

/* Which two pieces may be joined, in which order, into what. */
struct merge {
    uint32_t left, right, rank, result; /* right PIECE_NONE: an empty slot */
};
struct merges {
    struct merge *slots;
    size_t mask;
    char *joins; /* the text of results that are no tokens */
};
const struct merge *merges_find(const struct merges *merges, uint32_t left, uint32_t right); /* NULL: none */
bool merges_load(struct merges *merges, struct pieces *pieces, const struct gguf *file, struct error **err);

/* Special tokens that are looked for in raw text: the lengths that occur, the longest first. */
struct specials {
    size_t lens[SPECIAL_LEN_MAX], n_lens;
    bool first_byte[256];
};

struct tokenizer {
    enum { TOKENIZER_NONE, TOKENIZER_BPE, TOKENIZER_SPM, TOKENIZER_UNIGRAM } model;
    const struct pretokenizer *pre; /* BPE */
    struct pieces pieces;
    struct merges merges; /* BPE */
    struct specials specials;
    unsigned char *kinds; /* [n_tokens], enum token_kind */
    bool *ends;           /* [n_tokens] */
    struct str *bytes;    /* [n_tokens]: what a token stands for */
    char *bytes_block;    /* where those that are not in the file lie */
    float *scores;        /* [n_tokens], SentencePiece */
    float score_min;
    uint32_t byte_pieces[256];   /* the piece of each byte, or PIECE_NONE */
    size_t longest;              /* bytes of the longest token */
    int32_t begin, end, unknown; /* -1: none */
    bool add_begin, add_end, add_space, ignore_merges;
    bool merge_spaces;        /* unigram's normalisation: runs of blanks are one */
    uint32_t *charsmap_units; /* … and its compiled rules, see sentencepiece.c */
    size_t n_charsmap_units, longest_user_defined;
    struct str replacements;
    pthread_mutex_t lock; /* guards sorted while it is made */
    struct sorted_tokens sorted;
    char byte_texts[256][4]; /* stand-ins of bytes that are no tokens */
};

void specials_load(struct tokenizer *tokenizer);

/* ---- splitting text before BPE (pretokenize.c) ------------------------------------------------------------------ */

struct pretokenizer {
    const char *name; /* tokenizer.ggml.pre */
    size_t (*word_end)(const unsigned char *text, size_t from, size_t end);
    bool digits_alone;  /* each \p{N} is a word, and ends the text for what is before it */
    bool ignore_merges; /* a word that is a token is that token */
    bool add_begin;
};
const struct pretokenizer *pretokenizer_find(struct str name);
const char *pretokenizer_names(void); /* "gpt-2, smollm, ..." */

/* The end of the word that begins at `from`. The text must be well-formed as text_repair() leaves it. */
size_t pretokenize(const struct pretokenizer *pre, const unsigned char *text, size_t from, size_t end);

/* `text` itself if it is UTF-8; else a copy in *buf in which each byte that begins no character is U+FFFD. Surrogates
 * are taken for characters, as in llama.cpp. */
struct str text_repair(struct str text, struct strbuf *buf);

size_t code_point(const unsigned char *text, size_t left, uint32_t *code); /* well-formed text; its length */

/* ---- joining neighbours (joins.c) -------------------------------------------------------------------------------- */

enum { SYMBOL_NONE = UINT32_MAX };

struct symbol {      /* a stretch of the text; its neighbours are indices */
    struct str text; /* empty once it was joined to its left */
    uint32_t piece, previous, next;
};
typedef bool join_lookup(const struct tokenizer *t, const struct symbol *left, const struct symbol *right,
                         uint32_t *rank, uint32_t *result);

struct symbol *new_symbols(size_t n, struct error **err); /* linked, without text; the caller frees */
bool join_symbols(const struct tokenizer *t, struct symbol *symbols, size_t n, join_lookup *lookup,
                  struct error **err);

/* ---- the three models: append the tokens of one stretch of text -------------------------------------------------- */

bool bpe_encode(const struct tokenizer *tokenizer, struct str text, struct engine_tokens *tokens,
                struct error **err);
bool spm_encode(const struct tokenizer *tokenizer, struct str text, struct engine_tokens *tokens,
                struct error **err);
bool unigram_encode(const struct tokenizer *tokenizer, struct str text, struct engine_tokens *tokens,
                    struct error **err);
bool unigram_load(struct tokenizer *tokenizer, const struct gguf *file, struct error **err);

/* A character that is no token, or one byte of it: byte tokens where there are some, else the unknown token. */
void append_bytes(const struct tokenizer *tokenizer, struct str bytes, struct engine_tokens *tokens);

/* GPT-2's printable stand-in for a byte (byte_char), and back (-1: stands for none). */
uint32_t byte_char(unsigned char byte);
int char_byte(uint32_t code);

#endif
