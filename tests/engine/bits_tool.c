/* bits_tool MODEL [ISA]: the SHA-256 of the logits of fixed tokens, to be compared between machines. */
#include <stdio.h>
#include <stdlib.h>

#include "base/sha256.h"
#include "engine/engine.h"

enum { LEN = 70 };

int main(int argc, char **argv)
{
    struct error *err = NULL;
    const char *isa = argc > 2 ? argv[2] : NULL;
    struct engine *engine =
        argc > 1 ? engine_open(argv[1], &(struct engine_options){ .isa = isa, .threads = 2 }, &err) : NULL;
    if (!engine) {
        fprintf(stderr, "bits_tool: %s\n", argc > 1 ? error_message(err) : "give a model");
        return 1;
    }
    size_t vocab = engine_info(engine)->vocab;
    float *logits = xcalloc(LEN * vocab, sizeof *logits);
    int32_t tokens[LEN];
    for (int i = 0; i < LEN; i++)
        tokens[i] = (i * 37 + i * i * 11) % 300;
    struct engine_sequence *sequence = engine_sequence_new(engine, &err);
    bool ok = engine_step(engine,
                          &(struct engine_item){
                              .sequence = sequence, .tokens = tokens, .count = LEN - 1, .logits = logits },
                          1, &err) &&
              engine_step(engine,
                          &(struct engine_item){ .sequence = sequence,
                                                 .tokens = tokens + LEN - 1,
                                                 .count = 1,
                                                 .logits = logits + (LEN - 1) * vocab },
                          1, &err);
    char hex[SHA256_HEX_LEN + 1];
    sha256_hex((struct str){ (const char *)logits, LEN * vocab * sizeof *logits }, hex);
    printf("%s\n", ok ? hex : error_message(err));
    engine_sequence_free(sequence);
    engine_close(engine);
    free(logits);
    return !ok;
}
