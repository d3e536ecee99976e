/* Tokenizes records from standard input, for the comparison with llama.cpp (tokenizer_peer.py).
 *
 *   tokenize_tool MODEL [parse]      each record: 4 bytes of length, little-endian, and the text
 *                                    each answer: a line of token numbers
 *   tokenize_tool MODEL time FILE    how long opening takes, and the whole file as one text */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "engine/tokenizer.h"

static int answer_records(const struct tokenizer *tokenizer, unsigned flags)
{
    unsigned char head[4];
    AUTO(strbuf) struct strbuf text = { 0 };
    while (fread(head, 1, 4, stdin) == 4) {
        struct reader in = reader_of(head, 4);
        size_t len = reader_u32(&in);
        strbuf_clear(&text);
        strbuf_reserve(&text, len + 1);
        if (fread(text.ptr, 1, len, stdin) != len)
            return 1;
        AUTO(engine_tokens) struct engine_tokens tokens = { 0 };
        struct error *err = NULL;
        if (!tokenizer_encode(tokenizer, (struct str){ text.ptr, len }, flags, &tokens, &err)) {
            fprintf(stderr, "%s\n", error_message(err));
            return 1;
        }
        for (size_t i = 0; i < tokens.len; i++)
            printf("%d ", tokens.ids[i]);
        putchar('\n');
    }
    return 0;
}

static int time_file(const struct tokenizer *tokenizer, int64_t open_us, const char *path)
{
    AUTO(strbuf) struct strbuf text = { 0 };
    AUTO(engine_tokens) struct engine_tokens tokens = { 0 };
    struct error *err = NULL;
    if (!file_read(path, 64u << 20, &text, &err)) {
        fprintf(stderr, "%s\n", error_message(err));
        return 1;
    }
    int64_t began = clock_mono_us();
    tokenizer_encode(tokenizer, strbuf_str(&text), 0, &tokens, NULL);
    double us = (double)(clock_mono_us() - began);
    printf("open %lld us, %zu bytes to %zu tokens in %.0f us: %.2f MB/s, %.0f kB of tables\n",
           (long long)open_us, text.len, tokens.len, us, (double)text.len / us,
           (double)tokenizer_memory(tokenizer) / 1e3);
    return 0;
}

int main(int argc, char **argv)
{
    struct error *err = NULL;
    AUTO(gguf) struct gguf *file = argc > 1 ? gguf_open(argv[1], &err) : NULL;
    for (int i = 0; i < 20 && getenv("REP"); i++)
        tokenizer_close(tokenizer_open(file, &err));
    int64_t began = clock_mono_us();
    AUTO(tokenizer) struct tokenizer *tokenizer = file ? tokenizer_open(file, &err) : NULL;
    int64_t open_us = clock_mono_us() - began;
    if (!tokenizer) {
        fprintf(stderr, "%s\n", error_message(err));
        return 1;
    }
    if (argc > 3 && strcmp(argv[2], "time") == 0)
        return time_file(tokenizer, open_us, argv[3]);
    return answer_records(tokenizer, argc > 2 && strcmp(argv[2], "parse") == 0 ? ENGINE_PARSE_SPECIAL : 0);
}
