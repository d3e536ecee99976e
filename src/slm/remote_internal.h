/* What remote.c, answer.c and the protocols' files tell each other. */
#ifndef SLM_REMOTE_INTERNAL_H
#define SLM_REMOTE_INTERNAL_H

#include <yyjson.h>

#include "slm/remote.h"

/* How much is asked of a server, from everything to nothing. */
enum remote_level {
    REMOTE_SCHEMA_AND_LOGPROBS,
    REMOTE_SCHEMA,
    REMOTE_JSON,
    REMOTE_PLAIN,
    REMOTE_LEVEL_COUNT
};

struct remote_message {
    const char *role;
    struct str content;
};

struct remote_talk { /* one request as a protocol writes it */
    const struct remote_options *options;
    const struct remote_request *request;
    enum remote_level level;
    struct remote_message messages[4];
    size_t message_count;
};

struct token_alternative {
    struct str text;
    double logprob;
};
struct token {
    struct str text;
    double logprob;
    struct token_alternative *alternatives;
    size_t alternative_count;
};

struct remote_text { /* what came back, before it is read as an answer */
    struct str content;
    bool cut; /* the token limit ended it */
    struct token *tokens;
    size_t token_count; /* 0: no log-probabilities */
};

/* A protocol: writes a request's body, reads an answer's. */
struct protocol {
    const char *name, *path, *health_path;
    void (*write)(const struct remote_talk *talk, yyjson_mut_doc *doc, yyjson_mut_val *root);
    bool (*read)(struct arena *arena, yyjson_val *root, struct remote_text *text, struct error **err);
};
extern const struct protocol protocol_openai, protocol_ollama;

/* The schema of an answer: action among `feasible`, the parameters of all of them, confidence, reasoning. */
yyjson_mut_val *remote_answer_schema(const struct remote_request *request, yyjson_mut_doc *doc);

/* Read the answer out of a model's text. ERROR_INVALID says what is wrong with it, in words fit for the model. */
bool remote_answer_read(struct arena *arena, const struct remote_text *text, const struct remote_request *request,
                 struct remote_answer *answer, struct error **err);

/* A list of {"token","logprob","top_logprobs":[{"token","logprob"}…]}, as both protocols have it. */
void remote_tokens_read(struct arena *arena, yyjson_val *list, struct remote_text *text);

yyjson_mut_val *remote_messages_write(const struct remote_talk *talk, yyjson_mut_doc *doc);

#endif
