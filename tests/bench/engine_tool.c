/* Our side of bench-engine: one process that loads a model once and measures what it is asked for, a line each.
 *
 *   engine_tool MODEL CACHE_DIR THREADS [ISA]
 *
 * Commands on standard input, answers on standard output:
 *   prefill N            tokens/s of a prompt of N tokens into an empty sequence
 *   decode N DEPTH       tokens/s of N tokens, one at a time, behind DEPTH others
 *   batch SEQUENCES N    tokens/s in all, of N tokens each behind 64
 *   memory               MB of memory that is not the mapped file, with 2000 tokens in the cache
 *   isa                  the instruction set */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "engine/engine.h"

enum { CONTEXT = 2048, SEQUENCES_MAX = 32, BATCH_PROMPT = 64 };

struct bench {
    struct engine *engine;
    size_t vocab;
    int32_t tokens[CONTEXT];
    float *logits; /* [SEQUENCES_MAX][vocab] */
};

static void check(bool ok, struct error *err)
{
    if (ok)
        return;
    fprintf(stderr, "engine_tool: %s\n", error_message(err));
    exit(1);
}

static void feed(struct bench *b, struct engine_sequence *sequence, size_t at, size_t count)
{
    struct error *err = NULL;
    struct engine_item item = { .sequence = sequence,
                                .tokens = b->tokens + at,
                                .count = count,
                                .logits = b->logits,
                                .logits_from = count - 1 };
    check(engine_step(b->engine, &item, 1, &err), err);
}

static struct engine_sequence *sequence_of(struct bench *b, size_t depth)
{
    struct error *err = NULL;
    struct engine_sequence *sequence = engine_sequence_new(b->engine, &err);
    check(sequence, err);
    if (depth)
        feed(b, sequence, 0, depth);
    return sequence;
}

static double per_second(size_t n, int64_t began_us)
{
    return (double)n * 1e6 / (double)(clock_mono_us() - began_us);
}

static double prefill(struct bench *b, size_t n)
{
    AUTO(engine_sequence) struct engine_sequence *sequence = sequence_of(b, 0);
    int64_t began = clock_mono_us();
    feed(b, sequence, 0, n);
    return per_second(n, began);
}

static double decode(struct bench *b, size_t n, size_t depth)
{
    AUTO(engine_sequence) struct engine_sequence *sequence = sequence_of(b, depth);
    int64_t began = clock_mono_us();
    for (size_t i = 0; i < n; i++)
        feed(b, sequence, depth + i, 1);
    return per_second(n, began);
}

static double batch(struct bench *b, size_t n_sequences, size_t n)
{
    struct engine_sequence *sequences[SEQUENCES_MAX];
    struct engine_item items[SEQUENCES_MAX];
    struct error *err = NULL;
    for (size_t i = 0; i < n_sequences; i++)
        sequences[i] = sequence_of(b, BATCH_PROMPT);
    int64_t began = clock_mono_us();
    for (size_t at = 0; at < n; at++) {
        for (size_t i = 0; i < n_sequences; i++)
            items[i] = (struct engine_item){ .sequence = sequences[i],
                                             .count = 1,
                                             .logits = b->logits + i * b->vocab,
                                             .tokens = b->tokens + (at * n_sequences + i) % CONTEXT };
        check(engine_step(b->engine, items, n_sequences, &err), err);
    }
    double result = per_second(n * n_sequences, began);
    for (size_t i = 0; i < n_sequences; i++)
        engine_sequence_free(sequences[i]);
    return result;
}

static double own_memory_mb(struct bench *b)
{
    AUTO(engine_sequence) struct engine_sequence *sequence = sequence_of(b, 2000);
    AUTO(strbuf) struct strbuf status = { 0 };
    size_t at;
    if (!file_read("/proc/self/status", 64 * 1024, &status, NULL) ||
        !str_find(strbuf_str(&status), STR("RssAnon:"), &at))
        return -1;
    return strtod(status.ptr + at + 8, NULL) / 1024;
}

int main(int argc, char **argv)
{
    struct error *err = NULL;
    if (argc < 4)
        return fprintf(stderr, "usage: engine_tool MODEL CACHE_DIR THREADS [ISA]\n"), 2;
    check(engine_prepare(argv[1], argv[2], &err), err);
    struct engine_options options = { .cache_dir = argv[2],
                                      .threads = (unsigned)strtoul(argv[3], NULL, 10),
                                      .context = CONTEXT,
                                      .cache_tokens = CONTEXT + 2048,
                                      .isa = argc > 4 && *argv[4] ? argv[4] : NULL };
    static struct bench b;
    b.engine = engine_open(argv[1], &options, &err);
    check(b.engine, err);
    b.vocab = engine_info(b.engine)->vocab;
    b.logits = xmalloc(SEQUENCES_MAX * b.vocab * sizeof *b.logits);
    struct rng rng = { 1 };
    for (size_t i = 0; i < CONTEXT; i++)
        b.tokens[i] = (int32_t)rng_below(&rng, b.vocab);
    char line[128];
    while (fgets(line, sizeof line, stdin)) {
        size_t x = 0, y = 0;
        if (sscanf(line, "prefill %zu", &x) == 1 && x && x <= CONTEXT)
            printf("%.3f\n", prefill(&b, x));
        else if (sscanf(line, "decode %zu %zu", &x, &y) == 2 && x && x + y <= CONTEXT)
            printf("%.3f\n", decode(&b, x, y));
        else if (sscanf(line, "batch %zu %zu", &x, &y) == 2 && x && x <= SEQUENCES_MAX &&
                 BATCH_PROMPT + y <= CONTEXT)
            printf("%.3f\n", batch(&b, x, y));
        else if (strncmp(line, "memory", 6) == 0)
            printf("%.1f\n", own_memory_mb(&b));
        else if (strncmp(line, "isa", 3) == 0)
            printf("%s\n", engine_info(b.engine)->isa);
        else
            return 2;
        fflush(stdout);
    }
    free(b.logits);
    engine_close(b.engine);
    return 0;
}
