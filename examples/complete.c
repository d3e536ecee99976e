/* complete MODEL PROMPT: what the model writes behind the prompt, by the engine's public header alone. */
#include <stdio.h>

#include "engine/engine.h"

static bool show(void *context, struct str text)
{
    (void)context;
    return fwrite(text.ptr, 1, text.len, stdout) == text.len && fflush(stdout) == 0;
}

static bool complete(const char *path, const char *prompt, struct error **err)
{
    AUTO(engine) struct engine *engine = engine_open(path, &(struct engine_options){ .context = 2048 }, err);
    if (!engine)
        return false;
    AUTO(engine_tokens) struct engine_tokens tokens = { 0 };
    if (!engine_tokenize(engine, str_of(prompt), ENGINE_ADD_SPECIAL, &tokens, err))
        return false;
    AUTO(engine_sequence) struct engine_sequence *sequence = engine_sequence_new(engine, err);
    struct engine_item item = { .sequence = sequence, .tokens = tokens.ids, .count = tokens.len };
    if (!sequence || !engine_step(engine, &item, 1, err))
        return false;
    AUTO(engine_completion) struct engine_completion completion = { 0 };
    return engine_complete(engine, sequence,
                           &(struct engine_complete_options){ .max_tokens = 32, .on_text = show },
                           &completion, err);
}

int main(int argc, char **argv)
{
    AUTO(error) struct error *err = NULL;
    if (argc != 3) {
        fprintf(stderr, "usage: complete MODEL PROMPT\n");
        return 2;
    }
    if (!complete(argv[1], argv[2], &err)) {
        fprintf(stderr, "complete: %s\n", error_message(err));
        return 1;
    }
    return putchar('\n') == EOF || fflush(stdout) != 0 || ferror(stdout);
}
