/* What the engine's files tell each other. */
#ifndef ENGINE_ENGINE_INTERNAL_H
#define ENGINE_ENGINE_INTERNAL_H

#include "engine/engine.h"
#include "engine/gguf.h"
#include "engine/tokenizer.h"

/* engine.c */
const struct tokenizer *engine_tokenizer(const struct engine *engine);
const struct gguf *engine_file(const struct engine *engine);

#endif
