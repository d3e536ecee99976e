/* Granite 3 MoE: Granite with experts for a feed-forward. */
#include "engine/blocks.h"

static bool moe_read(struct model *model, struct error **err)
{
    if (model->experts_used == 0)
        return error_set(err, ERROR_INVALID, "metadata granitemoe.expert_used_count is missing or 0");
    return true;
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
    .name = "granitemoe",
    .rope = ROPE_PAIRS,
    .read = moe_read,
    .want = moe_want,
    .run = moe_run,
};
