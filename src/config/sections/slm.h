/* slm.* */
#ifndef CONFIG_SECTIONS_SLM_H
#define CONFIG_SECTIONS_SLM_H

#include "config/keys.h"

enum config_provider {
    CONFIG_PROVIDER_EMBEDDED,
    CONFIG_PROVIDER_OPENAI,
    CONFIG_PROVIDER_OLLAMA,
    CONFIG_PROVIDER_NONE,
};

/* Where a decision may be asked for beside slm.provider: which alerts go there, and what answers. */
struct config_slm_route {
    const char *name;
    struct config_texts severity, namespace; /* patterns; empty: any */
    int provider;                            /* enum config_provider */
    const char *model, *endpoint, *api_key, *ca_file;
};
struct config_slm_routes {
    struct config_slm_route *items;
    size_t count;
};

struct config_slm {
    int provider;      /* enum config_provider */
    const char *model; /* a catalogue name or a path; a name of the server's for remote ones */
    const char *model_dir, *cache_dir; /* "": the defaults below the user's directories */
    const char *runbook_dir;           /* "": only those that come with the program */
    const char *endpoint, *api_key;
    int64_t timeout_ms, retry_count;
    double temperature;
    int64_t max_tokens;
    int64_t max_context_size; /* 0: adaptive */
    int64_t threads;          /* 0: as many as there are cores */
    const char *isa;          /* "": the best this machine has */
    double confidence_threshold;
    const char *ca_file;
    int64_t cache_ttl_ms; /* 0: decisions are not cached */
    struct config_slm_routes routes, fallbacks;
};

extern const struct config_key config_keys_slm[];

#endif
