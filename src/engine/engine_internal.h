/* What the engine's files tell each other. */
#ifndef ENGINE_ENGINE_INTERNAL_H
#define ENGINE_ENGINE_INTERNAL_H

#include "engine/engine.h"
#include "engine/gguf.h"

/* tokenizer.c: the vocabulary of one model file. Read-only once open; borrows `file`, which must outlive it. */
struct tokenizer;
struct tokenizer *tokenizer_open(const struct gguf *file, struct error **err);
void tokenizer_close(struct tokenizer *tokenizer);

/* engine.c */
const struct tokenizer *engine_tokenizer(const struct engine *engine);
const struct gguf *engine_file(const struct engine *engine);

#endif
