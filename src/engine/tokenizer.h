/* Text to tokens and back, from the metadata of a GGUF file alone.
 *
 * Three models: byte-level BPE ("gpt2" in the file), SentencePiece BPE ("llama") and SentencePiece unigram ("t5"). The
 * tokens are those of llama.cpp, also for bytes that are not UTF-8: each such byte counts as U+FFFD. */
#ifndef ENGINE_TOKENIZER_H
#define ENGINE_TOKENIZER_H

#include "engine/engine.h"
#include "engine/gguf.h"

enum { TOKENIZER_TEXT_MAX = 64 * 1024 * 1024 }; /* bytes of one text; more is ERROR_LIMIT */

struct tokenizer; /* read-only once made, so any thread may use it */

/* The strings stay in `file`, which must live as long. A file without a vocabulary ("no_vocab") gives a tokenizer that
 * knows no token and refuses text. NULL with
 *   ERROR_INVALID       tables that contradict each other
 *   ERROR_UNSUPPORTED   another model, or an unknown pre-tokenizer */
struct tokenizer *tokenizer_open(const struct gguf *file, struct error **err);
void tokenizer_close(struct tokenizer *tokenizer);
static inline void tokenizer_cleanup(struct tokenizer **tokenizer)
{
    tokenizer_close(*tokenizer);
}

/* `flags`: enum engine_tokenize_flags. Tokens are appended. */
bool tokenizer_encode(const struct tokenizer *tokenizer, struct str text, unsigned flags,
                      struct engine_tokens *tokens, struct error **err);

/* Text in parts that lie behind each other in memory, some ours with special tokens in it, some foreign. */
struct text_part {
    struct str text;
    bool parse_special;
};
bool tokenizer_encode_parts(const struct tokenizer *tokenizer, const struct text_part *parts, size_t n,
                            bool add_special, struct engine_tokens *tokens, struct error **err);

const char *chat_family(const struct gguf *file); /* see engine_chat_family() */

/* A conversation; see engine_chat(). `file` is asked for its template where `family` is NULL. */
bool chat_encode(const struct tokenizer *tokenizer, const struct gguf *file, const char *family,
                 const struct engine_message *messages, size_t count, bool generate,
                 struct engine_tokens *tokens, struct error **err);

/* One more message behind a conversation; see engine_chat_add(). */
bool chat_can_add(const struct tokenizer *tokenizer, const struct gguf *file, const char *family);
bool chat_add(const struct tokenizer *tokenizer, const struct gguf *file, const char *family,
              const struct engine_message *message, bool generate, struct engine_tokens *tokens,
              struct error **err);

bool tokenizer_adds_end(
    const struct tokenizer *tokenizer); /* ENGINE_ADD_SPECIAL puts a token behind the text */
size_t tokenizer_count(const struct tokenizer *tokenizer);
struct str tokenizer_text(const struct tokenizer *tokenizer, int32_t token); /* as the file has it */
struct str tokenizer_bytes(const struct tokenizer *tokenizer,
                           int32_t token); /* what it stands for; see engine.h */
bool tokenizer_is_special(const struct tokenizer *tokenizer, int32_t token);
bool tokenizer_is_end(const struct tokenizer *tokenizer, int32_t token);
int32_t tokenizer_begin(const struct tokenizer *tokenizer);
int32_t tokenizer_end(const struct tokenizer *tokenizer);
int32_t tokenizer_find(const struct tokenizer *tokenizer, struct str text);
size_t tokenizer_memory(const struct tokenizer *tokenizer); /* bytes it took */

/* The tokens that stand for bytes and end nothing, in the order of these bytes. Made when first asked for; NULL with
 * ERROR_NO_MEMORY. */
struct sorted_tokens {
    struct sorted_token {
        uint64_t head; /* its first eight bytes, the first one highest */
        int32_t token;
        uint32_t shared; /* bytes in common with the one before */
    } *tokens;
    size_t count, longest; /* longest: bytes of one token */
};
const struct sorted_tokens *tokenizer_sorted(const struct tokenizer *tokenizer, struct error **err);

#endif
