#include "config/sections/slm.h"

/* localai, vllm, llama-server all speak OpenAI's protocol; the predecessor's name for it is kept. */
static const struct config_choice providers[] = {
    { "embedded", CONFIG_PROVIDER_EMBEDDED }, { "openai", CONFIG_PROVIDER_OPENAI },
    { "ollama", CONFIG_PROVIDER_OLLAMA },     { "none", CONFIG_PROVIDER_NONE },
    { "localai", CONFIG_PROVIDER_OPENAI },    { 0 },
};

enum { HOUR_MS = 3600 * 1000 };

#define AT(field) offsetof(struct config_slm_route, field)
static const struct config_key route_keys[] = {
    { "name", CONFIG_TEXT, AT(name), .flags = CONFIG_REQUIRED, .help = "Name in logs and decisions." },
    { "severity", CONFIG_TEXTS, AT(severity), .help = "Severities that go here, as patterns; empty: all." },
    { "namespace", CONFIG_TEXTS, AT(namespace),
      .help = "Namespaces that go here, as patterns (\"prod-*\"); empty: all." },
    { "provider", CONFIG_CHOICE, AT(provider), .def = "embedded", .choices = providers,
      .help = "What answers." },
    { "model", CONFIG_TEXT, AT(model), .flags = CONFIG_REQUIRED,
      .help = "A catalogue name or a path; for a server, its name of the model." },
    { "endpoint", CONFIG_TEXT, AT(endpoint), .check = config_check_url,
      .help = "Address of the model server." },
    { "api_key", CONFIG_TEXT, AT(api_key), .flags = CONFIG_SECRET, .help = "Bearer token for it." },
    { "ca_file", CONFIG_TEXT, AT(ca_file), .help = "Authorities that its certificate is checked against." },
    { 0 },
};
#undef AT
static const struct config_keys route = { "route", .size = sizeof(struct config_slm_route),
                                          .keys = route_keys };

#define AT(field) offsetof(struct config_slm, field)
const struct config_key config_keys_slm[] = {
    { "provider", CONFIG_CHOICE, AT(provider), .def = "embedded", .choices = providers, .env = "SLM_PROVIDER",
      .help =
          "What answers: the embedded engine, an OpenAI-compatible server (vLLM, llama-server, LocalAI), Ollama, or "
          "`none`: intake without a model." },
    { "model", CONFIG_TEXT, AT(model), .def = "smollm2-135m", .env = "SLM_MODEL",
      .help =
          "A name of models/catalogue.yaml or a path to a GGUF file; for a server, its name of the model." },
    { "model_dir", CONFIG_TEXT, AT(model_dir), .env = "SLM_MODEL_DIR",
      .help =
          "Where models are looked up; may be read-only. Empty: `models` in the user's cache directory." },
    { "cache_dir", CONFIG_TEXT, AT(cache_dir), .env = "SLM_CACHE_DIR",
      .help = "Where what is derived from models is kept. Empty: the user's cache directory." },
    { "runbook_dir", CONFIG_TEXT, AT(runbook_dir), .env = "SLM_RUNBOOK_DIR",
      .help = "A folder of runbooks of your own (*.md), beside those that come with the program." },
    { "endpoint", CONFIG_TEXT, AT(endpoint), .env = "SLM_ENDPOINT", .check = config_check_url,
      .help = "Address of the model server, for openai and ollama." },
    { "api_key", CONFIG_TEXT, AT(api_key), .env = "SLM_API_KEY", .flags = CONFIG_SECRET | CONFIG_RELOADABLE,
      .help = "Bearer token for the model server." },
    { "timeout", CONFIG_DURATION, AT(timeout_ms), .def = "30s", .min = 10, .max = HOUR_MS,
      .env = "SLM_TIMEOUT", .flags = CONFIG_RELOADABLE, .help = "Longest wait for a decision." },
    { "retry_count", CONFIG_INT, AT(retry_count), .def = "3", .min = 0, .max = 20, .flags = CONFIG_RELOADABLE,
      .help = "Further attempts at a model server that fails." },
    { "temperature", CONFIG_NUMBER, AT(temperature), .def = "0", .min = 0, .max = 1, .env = "SLM_TEMPERATURE",
      .flags = CONFIG_RELOADABLE,
      .help = "Of the reasoning text; the action is chosen by probability, never sampled." },
    { "max_tokens", CONFIG_INT, AT(max_tokens), .def = "500", .min = 1, .max = 100000,
      .env = "SLM_MAX_TOKENS", .flags = CONFIG_RELOADABLE, .help = "Longest answer." },
    { "max_context_size", CONFIG_INT, AT(max_context_size), .def = "0", .min = 0, .max = 1048576,
      .env = "SLM_MAX_CONTEXT_SIZE", .flags = CONFIG_RELOADABLE,
      .help = "Longest prompt in tokens; 0: adaptive." },
    { "threads", CONFIG_INT, AT(threads), .def = "0", .min = 0, .max = 1024, .env = "SLM_THREADS",
      .help = "Threads of the embedded engine; 0: one a core." },
    { "isa", CONFIG_TEXT, AT(isa), .env = "SLM_ISA",
      .help =
          "Instruction set of the embedded engine (scalar, avx2, avx512vnni, neon). Empty: the best there is." },
    { "confidence_threshold", CONFIG_NUMBER, AT(confidence_threshold), .def = "0.7", .min = 0, .max = 1,
      .env = "SLM_CONFIDENCE_THRESHOLD", .flags = CONFIG_RELOADABLE,
      .help = "Below it a decision is notify_only with its distribution attached." },
    { "ca_file", CONFIG_TEXT, AT(ca_file), .env = "SLM_CA_FILE",
      .help = "Authorities that the model server's certificate is checked against. Empty: the system's." },
    { "cache_ttl", CONFIG_DURATION, AT(cache_ttl_ms), .def = "5m", .min = 0, .max = 24 * HOUR_MS,
      .help =
          "How long the same question is answered with the same decision; 0: it is asked anew each time." },
    { "routes", CONFIG_LIST, AT(routes), .element = &route,
      .help =
          "Models for some alerts: the first route that fits an alert's severity and namespace answers. Others go to "
          "slm.provider and slm.model." },
    { "fallbacks", CONFIG_LIST, AT(fallbacks), .element = &route,
      .help =
          "What is asked, in this order, where the model that should answer fails. After them comes the last decision "
          "on the same question, then what is known without a model." },
    { 0 },
};
