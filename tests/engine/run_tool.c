/* Runs the engine for the comparisons with the reference and with llama.cpp (reference_peer.py).
 *
 *   run_tool logits MODEL FROM OUT     token numbers on standard input; OUT: the logits of positions FROM.. as floats
 *   run_tool greedy MODEL COUNT        a prompt's token numbers a line; for each, the COUNT likeliest tokens that follow */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"

static int fail(const struct error *err)
{
    fprintf(stderr, "run_tool: %s\n", error_message(err));
    return 1;
}

static bool read_line(struct engine_tokens *tokens)
{
    char *line = NULL, *at;
    size_t cap = 0;
    bool some = getline(&line, &cap, stdin) > 0;
    tokens->len = 0;
    for (at = line; some && *at && *at != '\n';) {
        engine_tokens_add(tokens, (int32_t)strtol(at, &at, 10));
        while (*at == ' ')
            at++;
    }
    free(line);
    return some;
}

static int write_logits(struct engine *engine, size_t from, const char *path)
{
    struct error *err = NULL;
    AUTO(engine_tokens) struct engine_tokens tokens = { 0 };
    AUTO(engine_sequence) struct engine_sequence *sequence = engine_sequence_new(engine, &err);
    if (!sequence || !read_line(&tokens) || from >= tokens.len)
        return fail(err);
    size_t n = (tokens.len - from) * engine_info(engine)->vocab;
    float *logits = malloc(n * sizeof *logits);
    struct engine_item item = {
        .sequence = sequence, .tokens = tokens.ids, .count = tokens.len, .logits = logits, .logits_from = from
    };
    if (!logits || !engine_step(engine, &item, 1, &err))
        return fail(err);
    FILE *file = fopen(path, "w");
    bool ok = file && fwrite(logits, sizeof *logits, n, file) == n;
    free(logits);
    return (file && fclose(file)) || !ok;
}

static int write_greedy(struct engine *engine, unsigned count)
{
    struct error *err = NULL;
    AUTO(engine_tokens) struct engine_tokens tokens = { 0 };
    while (read_line(&tokens)) {
        AUTO(engine_sequence) struct engine_sequence *sequence = engine_sequence_new(engine, &err);
        struct engine_item item = { .sequence = sequence, .tokens = tokens.ids, .count = tokens.len };
        AUTO(engine_completion) struct engine_completion done = { 0 };
        if (!sequence || !engine_step(engine, &item, 1, &err) ||
            !engine_complete(engine, sequence, &(struct engine_complete_options){ .max_tokens = count },
                             &done, &err))
            return fail(err);
        for (size_t i = 0; i < done.tokens.len; i++)
            printf("%d ", done.tokens.ids[i]);
        putchar('\n');
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct error *err = NULL;
    if (argc < 4)
        return 2;
    AUTO(engine)
    struct engine *engine =
        engine_open(argv[2], &(struct engine_options){ .isa = getenv("ENGINE_ISA") }, &err);
    if (!engine)
        return fail(err);
    return strcmp(argv[1], "logits") == 0 && argc > 4
               ? write_logits(engine, strtoul(argv[3], NULL, 10), argv[4])
               : write_greedy(engine, (unsigned)strtoul(argv[3], NULL, 10));
}
