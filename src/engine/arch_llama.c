/* Llama, and what is shaped like it: SmolLM2, TinyLlama, Mistral. */
#include "engine/blocks.h"

static bool llama_read(struct model *model, const struct gguf *file, struct error **err)
{
    (void)file;
    if (model->experts)
        return error_set(err, ERROR_UNSUPPORTED, "llama with %u experts (Mixtral)", model->experts);
    return true;
}

static void llama_want(struct loader *loader, uint32_t layer)
{
    (void)layer;
    want_attention(loader);
    want_dense_ffn(loader);
}

static void llama_run(struct pass *pass, unsigned thread, uint32_t layer)
{
    block_attention(pass, thread, layer);
    block_dense_ffn(pass, thread, layer);
}

const struct architecture architecture_llama = {
    .name = "llama", .rope = ROPE_PAIRS, .read = llama_read, .want = llama_want, .run = llama_run,
};
