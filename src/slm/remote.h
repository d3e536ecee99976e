/* Models behind a server: OpenAI's protocol (vLLM, llama-server, LocalAI, OpenAI) and Ollama's own. A question is the
 * same prompt that the embedded model reads; the answer is one JSON object, in a schema made of the catalogue. Servers
 * differ in what they take, so a question that is refused is put again with less: without log-probabilities, with plain
 * JSON instead of a schema, then with neither; what worked is remembered. An answer that is not what was asked for is
 * sent back once, with what was wrong. */
#ifndef SLM_REMOTE_H
#define SLM_REMOTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "action/action.h"
#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"

enum remote_protocol { REMOTE_OPENAI, REMOTE_OLLAMA };

struct remote_options {
    enum remote_protocol protocol;
    const char *endpoint;          /* "http://host:port", with or without "/v1" */
    const char *model;             /* the server's name of it */
    const char *api_key, *ca_file; /* NULL or "": none; the system's authorities */
    int64_t timeout_ms;            /* of one attempt; 0: 30 s */
    unsigned retries;              /* after what may pass: no connection, 408, 429, 5xx */
    double temperature;
    unsigned max_tokens; /* of an answer; 0: 500 */
    unsigned context;    /* tokens; 0: 8192. Ollama is told, lest it cut long prompts */
};

struct remote;                                                   /* locks itself */
struct remote *remote_new(const struct remote_options *options); /* copies options */
void remote_free(struct remote *remote);
static inline void remote_cleanup(struct remote **remote)
{
    remote_free(*remote);
}

struct remote_request {
    struct str system, user;
    uint32_t feasible;                  /* the actions that may be answered */
    const struct action_bounds *bounds; /* [ACTION_COUNT]; NULL: the catalogue's */
    int64_t deadline_ms;                /* clock_mono_ms(); 0: the timeout alone */
};

struct remote_answer { /* lives as long as the arena */
    enum action action;
    const char *parameters; /* canonical JSON object, within the bounds */
    double confidence;      /* as it was said; NAN: it was not */
    double log_probabilities
        [ACTION_COUNT]; /* of the feasible actions, from the server's log-probabilities of the
                                                     name; [0] NAN: it gave none */
    const char *primary_reason, *historical_context, *oscillation_risk,
        *summary;     /* sanitised; "" where absent */
    unsigned repairs; /* 1: the first answer was no good */
    unsigned attempts;
};

/* Ask. False with
 *   ERROR_UNAVAILABLE   no connection, 5xx, 429 to the end, or the breaker is open
 *   ERROR_TIMEOUT       the deadline passed
 *   ERROR_INVALID       what was answered is not JSON, not in the schema, not feasible, out of bounds, or cut
 *   ERROR_LIMIT         the answer is too large
 *   ERROR_DENIED, ERROR_UNAUTHENTICATED, ERROR_NOT_FOUND (no such model) */
bool remote_ask(struct remote *remote, struct arena *arena, const struct remote_request *request,
                struct remote_answer *answer, struct error **err);

/* Whether the server is there and ready. */
bool remote_health(struct remote *remote, int64_t timeout_ms, struct error **err);

const char *remote_endpoint(const struct remote *remote);
const char *remote_model(const struct remote *remote);
const char *remote_provider(const struct remote *remote); /* "openai", "ollama" */

#endif
