/* Llama, and what is shaped like it (SmolLM2, TinyLlama, Mistral); Granite 3, dense, is Llama with scales. */
#include "engine/blocks.h"

static bool dense_read(struct model *model, struct error **err)
{
    const char *name = model->architecture->name;
    if (model->experts)
        return error_set(err, ERROR_UNSUPPORTED, "%s with %u experts: of those, granitemoe is supported",
                         name, model->experts);
    return true;
}

static void dense_want(struct loader *loader, uint32_t layer)
{
    (void)layer;
    want_attention(loader);
    want_dense_ffn(loader);
}

static void dense_run(struct pass *pass, unsigned thread, uint32_t layer)
{
    block_attention(pass, thread, layer);
    block_dense_ffn(pass, thread, layer);
}

const struct architecture architecture_llama = {
    .name = "llama",
    .rope = ROPE_PAIRS,
    .read = dense_read,
    .want = dense_want,
    .run = dense_run,
};

const struct architecture architecture_granite = {
    .name = "granite",
    .rope = ROPE_PAIRS,
    .read = dense_read,
    .want = dense_want,
    .run = dense_run,
};
