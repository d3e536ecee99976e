#include "slm/files.h"

#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "decisions.h"

/* What the program carries, by model; made by `make head`. */
static const struct {
    const char *model;
    const struct str *head, *fusion;
} carried[] = {
    { NULL, NULL, NULL },
};

char *files_model_name(const struct config *config)
{
    struct str name = str_of(config->slm.model);
    const char *slash = strrchr(config->slm.model, '/');
    if (slash)
        name = str_of(slash + 1);
    if (str_ends_with(name, STR(".gguf")))
        name.len -= strlen(".gguf");
    return xstrndup(name.ptr, name.len);
}

char *files_cache_directory(const struct config *config)
{
    return config->slm.cache_dir[0] ? xstrdup(config->slm.cache_dir) : file_cache_directory();
}

char *files_model_path(const struct config *config)
{
    if (strchr(config->slm.model, '/') || str_ends_with(str_of(config->slm.model), STR(".gguf")))
        return xstrdup(config->slm.model);
    if (config->slm.model_dir[0])
        return xasprintf("%s/%s.gguf", config->slm.model_dir, config->slm.model);
    AUTO(text) char *cache = file_cache_directory();
    return xasprintf("%s/models/%s.gguf", cache, config->slm.model);
}

char *files_fitted_directory(void)
{
    AUTO(text) char *state = file_state_directory();
    return xasprintf("%s/decisions", state);
}

static void say_unusable(const char *path, struct error *err)
{
    if (error_code(err) != ERROR_NOT_FOUND)
        log_warn("a fitted file is passed over", KV("path", path), KV("error", error_message(err)));
}

struct layer *files_prior(void)
{
    AUTO(error) struct error *err = NULL;
    AUTO(text) char *dir = files_fitted_directory(), *path = xasprintf("%s/prior.layer", dir);
    struct layer *prior = layer_open(path, &err);
    if (prior)
        return prior;
    say_unusable(path, err);
    return layer_parse(prior_layer, NULL);
}

struct layer *files_head(const char *model, const char *note)
{
    AUTO(error) struct error *err = NULL;
    AUTO(text) char *dir = files_fitted_directory(), *path = xasprintf("%s/%s.head", dir, model);
    AUTO(layer) struct layer *head = layer_open(path, &err);
    if (!head)
        say_unusable(path, err);
    for (size_t i = 0; !head && i < ARRAY_LEN(carried); i++)
        if (carried[i].model && strcmp(carried[i].model, model) == 0)
            head = layer_parse(*carried[i].head, NULL);
    if (head && strcmp(head->note, note) == 0)
        return STEAL(head);
    log_warn("no head fits this model and prompt: `model train-head` makes one", KV("model", model));
    return NULL;
}

struct fusion *files_fusion(const char *model, const char *note)
{
    AUTO(error) struct error *err = NULL;
    AUTO(text) char *dir = files_fitted_directory(), *path = xasprintf("%s/%s.fusion.json", dir, model);
    AUTO(fusion) struct fusion *fusion = fusion_open(path, &err);
    if (!fusion)
        say_unusable(path, err);
    for (size_t i = 0; !fusion && i < ARRAY_LEN(carried); i++)
        if (carried[i].model && strcmp(carried[i].model, model) == 0)
            fusion = fusion_parse(*carried[i].fusion, NULL);
    if (fusion && strcmp(fusion->note, note) == 0)
        return STEAL(fusion);
    return fusion_parse(none_fusion_json, NULL);
}
