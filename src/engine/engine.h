/* The embedded inference engine: small language models in GGUF files, run on this machine's CPU.
 *
 * One call does the work: engine_step() appends tokens to one or more sequences and gives logits and hidden states
 * where they are asked for. The rest is built on it: engine_choose(), engine_complete(), prefixes, adapters.
 *
 *     struct engine *engine = engine_open("model.gguf", &(struct engine_options){ .context = 2048 }, &err);
 *     struct engine_sequence *sequence = engine_sequence_new(engine, &err);
 *     engine_step(engine, &(struct engine_item){ .sequence = sequence, .tokens = ids, .count = n,
 *                                                .logits = logits, .logits_from = n - 1 }, 1, &err);
 *
 * Same bits everywhere: logits and hidden states depend on the model file, the adapter and the tokens of the sequence
 * alone; not on the instruction set, the number of threads, what else is in the step, how the tokens were cut into
 * steps, or whether the sequence was forked, or loaded from a saved prefix.
 *
 * Threads: an engine may be used by any number of threads at once. Steps that come at the same time are run together
 * (continuous batching: a step joins at the next boundary, those of higher priority first). A sequence is one
 * thread's at a time; it must be freed before its engine is closed. */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"

/* ---- open and close ------------------------------------------------------------------------------------------- */

struct engine;

struct engine_options {
    const char *isa;       /* "scalar", "avx2", "avx512vnni", "neon"; NULL: the fastest that runs */
    const char *cache_dir; /* prepared weights and prefixes; NULL: none are read or written */
    unsigned threads;      /* 0: as many as affinity and the cgroup's CPU quota give */
    unsigned context;      /* tokens a sequence may hold; 0: 4096, or the model's own if less */
    unsigned cache_tokens; /* positions all sequences together may hold; 0: twice `context` */
    unsigned batch;        /* tokens computed at a time; 0: 256 */
    uint64_t memory_limit; /* bytes; 0: what the machine and the cgroup have left */
};

/* What a model will need, known before anything is loaded. */
struct engine_memory {
    uint64_t weights;  /* mapped (file or prepared file) or repacked in memory */
    uint64_t repacked; /* of `weights`: anonymous memory, 0 with a prepared file */
    uint64_t cache;    /* keys and values: reserved, touched as sequences grow */
    uint64_t work;     /* activations, logits, tables, vocabulary */
    uint64_t total, available;
};

/* Open a model: map the file, check it, lay the weights out for the instruction set (or map what engine_prepare()
 * wrote), start the threads. Returns NULL with
 *   ERROR_NOT_FOUND     no such file
 *   ERROR_INVALID       not GGUF, or one whose metadata and tensors contradict each other
 *   ERROR_UNSUPPORTED   an architecture, tensor type, tokenizer or `isa` that is not there
 *   ERROR_NO_MEMORY     "needs 5.1 GB, 3.9 GB available" */
struct engine *engine_open(const char *path, const struct engine_options *options, struct error **err);
void engine_close(struct engine *engine);
static inline void engine_cleanup(struct engine **engine)
{
    engine_close(*engine);
}

bool engine_estimate(const char *path, const struct engine_options *options, struct engine_memory *memory,
                     struct error **err);

struct engine_info {
    const char *path, *architecture, *name, *isa; /* live as long as the engine */
    char sha256[65];                              /* of the file; "" until engine_sha256() was called */
    uint32_t layers, dim, heads, kv_heads, head_dim, vocab, experts, experts_used;
    uint32_t context_trained, context, cache_tokens, threads;
    uint64_t parameters, file_bytes;
    bool prepared; /* the weights were mapped from a prepared file */
    struct engine_memory memory;
};
const struct engine_info *engine_info(const struct engine *engine);

/* SHA-256 of the model file, in hex: computed once, or taken from the record in cache_dir while size, inode and mtime
 * match. Decisions are recorded with it. NULL on failure. */
const char *engine_sha256(struct engine *engine, struct error **err);

/* Write `path`'s weights, laid out, into cache_dir; later engine_open() calls map them. True if it is there already. */
bool engine_prepare(const char *path, const char *cache_dir, struct error **err);

/* What is in a GGUF file, as text or JSON: metadata, tensors, sizes, what of it is supported. */
bool engine_describe(const char *path, bool json, struct strbuf *out, struct error **err);

/* Does the file work? Its hash (compared where one is expected), its shapes, a forward pass with finite logits; what
 * was found goes to `out` line by line. ERROR_CORRUPT for another hash. */
bool engine_verify(const char *path, const char *expected_sha256, struct strbuf *out, struct error **err);

/* ---- text and tokens (tokenizer.c) ---------------------------------------------------------------------------- */

struct engine_tokens {
    int32_t *ids;
    size_t len, cap;
};
void engine_tokens_add(struct engine_tokens *tokens, int32_t id);
void engine_tokens_free(struct engine_tokens *tokens);
static inline void engine_tokens_cleanup(struct engine_tokens *tokens)
{
    engine_tokens_free(tokens);
}

enum engine_tokenize_flags {
    ENGINE_ADD_SPECIAL = 1,   /* begin (and end) of text, as the model's file says */
    ENGINE_PARSE_SPECIAL = 2, /* "<|im_start|>" in the text is that token; never for foreign text */
};

/* Append the tokens of `text` to `tokens`. Any bytes are accepted, valid UTF-8 or not. */
bool engine_tokenize(const struct engine *engine, struct str text, unsigned flags,
                     struct engine_tokens *tokens, struct error **err);

/* Append the bytes of tokens to `out`; special tokens give their text only if `special`. */
void engine_detokenize(const struct engine *engine, const int32_t *ids, size_t count, bool special,
                       struct strbuf *out);

struct str engine_token_bytes(const struct engine *engine,
                              int32_t token); /* empty for special and unknown ones */
bool engine_token_is_special(const struct engine *engine, int32_t token);
bool engine_token_is_end(const struct engine *engine, int32_t token);    /* end of text, turn or message */
int32_t engine_token_begin(const struct engine *engine);                 /* -1 if the model has none */
int32_t engine_token_end(const struct engine *engine);                   /* -1 likewise */
int32_t engine_token_find(const struct engine *engine, struct str text); /* exact text of a token, or -1 */

/* Bytes of tokens as they come, handed on as valid UTF-8: a character that is not whole yet is held back, bytes that
 * can be none become U+FFFD. Zero-initialised; engine_text_end() gives what is still held. */
struct engine_text {
    char held[4];
    size_t n_held;
};
void engine_text_add(struct engine_text *text, struct str bytes, struct strbuf *out);
void engine_text_end(struct engine_text *text, struct strbuf *out);

/* ---- chat templates (chat.c) ---------------------------------------------------------------------------------- */

struct engine_message {
    const char *role;   /* system, user, assistant, tool */
    struct str content; /* foreign: special tokens in it are text */
};

/* How the model's file wants a conversation written: the name of the family ("chatml", "granite", ...), known by the
 * hash of the file's template or by its marks; NULL if it has none, or one that is not known. */
const char *engine_chat_family(const struct engine *engine);

/* Append the tokens of a conversation. `family`: NULL for the model's own; `generate`: end with what opens the
 * assistant's answer. ERROR_UNSUPPORTED without a family, ERROR_INVALID for an unknown role. */
bool engine_chat(const struct engine *engine, const char *family, const struct engine_message *messages,
                 size_t count, bool generate, struct engine_tokens *tokens, struct error **err);

/* Append one message to `tokens`, which hold a conversation that engine_chat() wrote without `generate`: they are then
 * what it gives for all the messages at once, at the cost of the new one. Only where engine_chat_can_add(), which asks
 * whether a message begins with a special token, so that its tokens depend on its own text alone; else ERROR_UNSUPPORTED. */
bool engine_chat_add(const struct engine *engine, const char *family, const struct engine_message *message,
                     bool generate, struct engine_tokens *tokens, struct error **err);
bool engine_chat_can_add(const struct engine *engine, const char *family);

/* ---- sequences ------------------------------------------------------------------------------------------------ */

/* Tokens and their keys and values, in pages of 16 positions that forks share until one of them writes. */
struct engine_sequence;

struct engine_sequence *engine_sequence_new(struct engine *engine, struct error **err);
struct engine_sequence *engine_sequence_fork(const struct engine_sequence *sequence, struct error **err);
void engine_sequence_free(struct engine_sequence *sequence);
static inline void engine_sequence_cleanup(struct engine_sequence **s)
{
    engine_sequence_free(*s);
}

size_t engine_sequence_len(const struct engine_sequence *sequence);
const int32_t *
engine_sequence_tokens(const struct engine_sequence *sequence);              /* until the next change to it */
void engine_sequence_truncate(struct engine_sequence *sequence, size_t len); /* forget what follows */

/* ---- the step ------------------------------------------------------------------------------------------------- */

/* Tokens to append to one sequence, and what to hand out for them. Buffers are the caller's; NULL: not wanted.
 * Position i is the one after tokens[i] has been read: its logits say what may follow tokens[i]. */
struct engine_item {
    struct engine_sequence *sequence;
    const int32_t *tokens;
    size_t count;  /* >= 1; any number, it is cut into batches inside */
    float *logits; /* [count - logits_from][vocab] */
    size_t logits_from;
    float *hidden; /* [count - hidden_from][dim]: the final norm's output */
    size_t hidden_from;
    float *hidden_mean; /* [dim]: its mean over tokens[mean_from..count) */
    size_t mean_from;
    int priority;              /* higher first, where several threads' steps wait */
    const atomic_bool *cancel; /* set by another thread: ends with ERROR_CANCELLED, see below */
};

/* Append. All sequences of a call must differ. On failure each sequence is as long as it was before the call:
 *   ERROR_LIMIT       a sequence would be longer than `context`
 *   ERROR_NO_MEMORY   all cache pages are in use: free sequences, or raise cache_tokens
 *   ERROR_INVALID     a token that the vocabulary does not have
 *   ERROR_CANCELLED   `cancel` was set (looked at between batches)
 *   ERROR_IO          the model file shrank or its storage failed under the map */
bool engine_step(struct engine *engine, struct engine_item *items, size_t n_items, struct error **err);

/* ---- choosing ------------------------------------------------------------------------------------------------- */

struct engine_choice {
    const int32_t *tokens;
    size_t count;           /* >= 1 */
    double log_probability; /* out: ln P(all its tokens | the sequence) */
};

/* The exact log-probability of each continuation, by one pass over the trie of their tokens: a shared beginning is
 * computed once. To the bit what appending each of them alone would give. The sequence is not changed; it must hold
 * at least one token. Set `count` tokens' end marker yourself if one choice is the beginning of another. */
bool engine_choose(struct engine *engine, struct engine_sequence *sequence, struct engine_choice *choices,
                   size_t n_choices, struct error **err);

/* Logits after the sequence's last token ([vocab]), and the final norm's output there ([dim]); either may be NULL. */
bool engine_sequence_logits(struct engine *engine, struct engine_sequence *sequence, float *logits,
                            float *hidden, struct error **err);

/* ln softmax(logits)[i] for all i, in double; in place of a loop in each caller, and with the engine's own exp. */
void engine_log_softmax(const float *logits, size_t n, double *log_probabilities);

/* ---- constraints (constrain.c) ---------------------------------------------------------------------------------- */

/* What a completion may look like: an automaton over bytes, and for each of its states which tokens may come next. It
 * belongs to an engine's vocabulary, must be freed before that is closed, and may be used by any number of threads.
 * Compile it once and keep it: its tables grow with use. */
struct engine_constraint;

/* `pattern`: the whole text must match. Literals, . [] \d \w \s and their negations, (), |, * + ? {m,n}; Unicode.
 *   ERROR_INVALID   no such expression, or one that matches no text
 *   ERROR_LIMIT     too large to be built */
struct engine_constraint *engine_constraint_regex(const struct engine *engine, struct str pattern,
                                                  struct error **err);

/* A JSON document that satisfies `schema`, keys in the schema's order, written with ", " and ": ". Kept are: type,
 * properties, required, items, minItems, maxItems (16 unless said), enum, const, minLength, maxLength, pattern, minimum,
 * maximum, exclusiveMinimum, exclusiveMaximum, anyOf, oneOf; anything else but annotations is ERROR_UNSUPPORTED. */
struct engine_constraint *engine_constraint_json(const struct engine *engine, struct str schema,
                                                 struct error **err);
void engine_constraint_free(struct engine_constraint *constraint);
static inline void engine_constraint_cleanup(struct engine_constraint **c)
{
    engine_constraint_free(*c);
}

bool engine_constraint_matches(const struct engine_constraint *constraint, struct str text);

/* ---- completing (complete.c) ------------------------------------------------------------------------------------ */

struct engine_complete_options {
    struct engine_constraint *constraint; /* NULL: any text */
    unsigned max_tokens;                  /* 0: 256 */
    double temperature;                   /* 0: always the likeliest token; of equals the lowest number */
    unsigned top_k;                       /* sample among so many of the likeliest; 0: all */
    double top_p;                         /* … and of these among the fewest that weigh so much; 0: all */
    uint64_t seed;                        /* the same seed gives the same text, on any machine */
    const struct str *stops;              /* texts that end it; they are not part of the answer */
    size_t n_stops;
    int priority;
    const atomic_bool *cancel;
    /* Called with each stretch of valid UTF-8 as it becomes certain; false ends the completion. May be NULL. */
    bool (*on_text)(void *context, struct str text);
    void *context;
};

enum engine_complete_end {
    ENGINE_ENDED_BY_MODEL,      /* an end token */
    ENGINE_ENDED_BY_CONSTRAINT, /* nothing can follow */
    ENGINE_ENDED_BY_STOP,
    ENGINE_ENDED_BY_LENGTH,
    ENGINE_ENDED_BY_CALLER
};

struct engine_completion {
    struct strbuf text;          /* valid UTF-8 */
    struct engine_tokens tokens; /* without the end token */
    double *log_probabilities;   /* [tokens.len]: ln P of each, before the constraint; forced ones 0 */
    double log_probability;      /* their sum */
    size_t n_forced;             /* tokens that the constraint left no choice about: fed, not decoded */
    enum engine_complete_end end;
};
void engine_completion_free(struct engine_completion *completion); /* what it holds; it itself is yours */
static inline void engine_completion_cleanup(struct engine_completion *c)
{
    engine_completion_free(c);
}

/* Write on behind `sequence`, which must hold at least one token. It then holds what was written too, but for the last
 * tokens where nothing was asked after them. ERROR_LIMIT when the context is full counts as ENDED_BY_LENGTH. */
bool engine_complete(struct engine *engine, struct engine_sequence *sequence,
                     const struct engine_complete_options *options, struct engine_completion *completion,
                     struct error **err);

/* ---- prefixes ------------------------------------------------------------------------------------------------- */

/* A new sequence that holds exactly these tokens. With a cache_dir: mapped from the file that an earlier call saved
 * (keyed by the model's SHA-256, the tokens, and the layout's version), or computed and then saved there. A file that
 * is damaged or cannot be written costs time, never the answer; after engine_merge() none is read or written. *was_cached may be NULL. */
struct engine_sequence *engine_prefix_open(struct engine *engine, const int32_t *tokens, size_t count,
                                           bool *was_cached, struct error **err);

/* ---- adapters (LoRA) ------------------------------------------------------------------------------------------ */

struct engine_adapter; /* must outlive the sequences that use it, not the engine */

/* A GGUF adapter in llama.cpp's layout (adapter.type = lora). ERROR_INVALID if its shapes do not fit the model. */
struct engine_adapter *engine_adapter_open(struct engine *engine, const char *path, struct error **err);
void engine_adapter_close(struct engine_adapter *adapter);
static inline void engine_adapter_cleanup(struct engine_adapter **a)
{
    engine_adapter_close(*a);
}

/* From here on this sequence's tokens go through `adapter` (NULL: none), at `scale` (1: as trained).
 * ERROR_CONFLICT if the sequence already holds tokens computed otherwise. */
bool engine_sequence_set_adapter(struct engine_sequence *sequence, struct engine_adapter *adapter,
                                 float scale, struct error **err);

/* Merge: from here on W + scale B A stands in W's place for every sequence, and costs nothing more at each token; an
 * adapter that a sequence has comes on top. The new weights are rounded once to the model's type, so logits are those of
 * the adapter applied but for that rounding. Not undone but by opening the model again; `adapter` may be closed. Nothing
 * has changed after
 *   ERROR_UNSUPPORTED   an adapted matrix is of a quantised type, which would lose most of what is added
 *   ERROR_CONFLICT      sequences are open: free them first
 *   ERROR_INVALID       an adapter of another engine, or weights that are no finite numbers of their type
 *   ERROR_NO_MEMORY     the new matrices lie beside the old ones until all are there */
bool engine_merge(struct engine *engine, const struct engine_adapter *adapter, float scale,
                  struct error **err);

#endif
