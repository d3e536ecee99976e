#include "slm/model.h"

#include <stdlib.h>

#include "base/base.h"
#include "metrics/metrics.h"
#include "slm/files.h"
#include "slm/head.h"
#include "slm/prompt.h"

static void open_embedded(struct model *model, const struct config *config)
{
    AUTO(error) struct error *err = NULL;
    AUTO(text) char *path = files_model_path(config), *cache = files_cache_directory(config);
    struct engine_options options = { .isa = config->slm.isa[0] ? config->slm.isa : NULL,
                                      .cache_dir = file_make_directories(cache, NULL) ? cache : NULL,
                                      .threads = (unsigned)config->slm.threads,
                                      .context = (unsigned)config->slm.max_context_size };
    model->embedded = embedded_open(path, &options, &err);
    if (model->embedded)
        return;
    model->why_not = xasprintf("no model: %s", error_message(err));
    log_warn("the model cannot be used: decisions come from what is left", KV("model", model->name),
             KV("error", error_message(err)), KV("try", "make model"));
}

static void open_fitted(struct model *model)
{
    const char *sha256 = engine_sha256(embedded_engine(model->embedded), NULL);
    model->sha256 = xstrdup(sha256 ? sha256 : "");
    AUTO(text) char *note = head_note(model->sha256, prompt_sha256());
    model->head = files_head(model->name, note);
    model->fusion = files_fusion(model->name, note);
}

void model_open(struct model *model, const struct config *config, const char *name)
{
    struct config own = *config; /* borrowed for the call: another model, all else the same */
    own.slm.model = name;
    int64_t began_us = clock_mono_us();
    *model = (struct model){ .name = files_model_name(&own) };
    open_embedded(model, &own);
    if (model->embedded)
        open_fitted(model);
    if (!model->fusion)
        model->fusion = files_fusion("", "");
    if (!model->sha256)
        model->sha256 = xstrdup("");
    model->label = xasprintf("%s@%.8s", model->name, model->sha256);
    model->load_seconds = (double)(clock_mono_us() - began_us) / 1e6;
    metric_set(METRIC_MODEL_LOADED, model->embedded != NULL);
    metric_set(METRIC_MODEL_LOAD_DURATION, model->load_seconds);
    if (model->embedded)
        log_info("model loaded", KV("model", model->name), KV_NUM("seconds", model->load_seconds),
                 KV_BOOL("head", model->head != NULL));
}

void model_close(struct model *model)
{
    embedded_close(model->embedded);
    layer_free(model->head);
    fusion_free(model->fusion);
    free(model->name);
    free(model->sha256);
    free(model->label);
    free(model->why_not);
}
