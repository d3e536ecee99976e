/* Granite 3, dense: Llama with four scales. Granite 3 MoE: the same with experts for a feed-forward. */
#include "engine/blocks.h"

/* logit_scale divides: the file's 8 means logits / 8. */
static bool granite_read(struct model *model, const struct gguf *file, struct error **err)
{
    (void)file;
    float logit_scale = 1;
    model_get_f32(model, "embedding_scale", &model->embedding_scale);
    model_get_f32(model, "residual_scale", &model->residual_scale);
    model_get_f32(model, "attention.scale", &model->attention_scale);
    model_get_f32(model, "logit_scale", &logit_scale);
    if (logit_scale == 0)
        return error_set(err, ERROR_INVALID, "metadata %s.logit_scale is 0", model->architecture->name);
    model->logit_scale = 1 / logit_scale;
    return true;
}

static bool dense_read(struct model *model, const struct gguf *file, struct error **err)
{
    if (model->experts)
        return error_set(err, ERROR_UNSUPPORTED, "granite with experts: that is granitemoe");
    return granite_read(model, file, err);
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

const struct architecture architecture_granite = {
    .name = "granite", .rope = ROPE_PAIRS, .read = dense_read, .want = dense_want, .run = dense_run,
};

static bool moe_read(struct model *model, const struct gguf *file, struct error **err)
{
    if (model->experts_used == 0)
        return error_set(err, ERROR_INVALID, "metadata granitemoe.expert_used_count is missing or 0");
    return granite_read(model, file, err);
}

static void moe_want(struct loader *loader, uint32_t layer)
{
    (void)layer;
    want_attention(loader);
    want_experts_ffn(loader);
}

static void moe_run(struct pass *pass, unsigned thread, uint32_t layer)
{
    block_attention(pass, thread, layer);
    block_experts_ffn(pass, thread, layer);
}

const struct architecture architecture_granitemoe = {
    .name = "granitemoe", .rope = ROPE_PAIRS, .read = moe_read, .want = moe_want, .run = moe_run,
};
