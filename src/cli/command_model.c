/* model: what is in a model file, whether it works, how fast it is, what it makes of a text. FILE may be a name of the
 * catalogue; without it the configuration's model is meant. */
#include "cli/cli_internal.h"

#include <stdlib.h>

#include "engine/engine.h"
#include "slm/files.h"

enum { INPUT_MAX = 16 * 1024 * 1024, BENCH_PROMPT = 512, BENCH_TOKENS = 64 };

static char *model_path(struct cli *cli, const char *given, struct error **err)
{
    if (given && file_exists(given))
        return xstrdup(given);
    const struct config *config = cli_config(cli, err);
    if (!config)
        return NULL;
    if (!given)
        return files_model_path(config);
    struct config named = *config;
    named.slm.model = (char *)(uintptr_t)given;
    return files_model_path(&named);
}

static struct engine *open_engine(struct cli *cli, const char *path, struct error **err)
{
    const struct config *config = cli_config(cli, err);
    if (!config)
        return NULL;
    AUTO(text) char *cache = files_cache_directory(config);
    const char *isa = cli_flag(cli, "isa", config->slm.isa);
    return engine_open(path,
                       &(struct engine_options){ .isa = isa[0] ? isa : NULL,
                                                 .cache_dir = cache,
                                                 .threads = (unsigned)config->slm.threads },
                       err);
}

static int show_info(struct cli *cli)
{
    AUTO(error) struct error *err = NULL;
    AUTO(text) char *path = model_path(cli, cli_arg(cli, 0), &err);
    AUTO(strbuf) struct strbuf out = { 0 };
    bool json = strcmp(cli_flag(cli, "output", "table"), "json") == 0;
    if (!path || !engine_describe(path, json, &out, &err))
        return cli_fail(&err);
    cli_print(strbuf_str(&out));
    return CLI_OK;
}

static int verify(struct cli *cli)
{
    AUTO(error) struct error *err = NULL;
    AUTO(text) char *path = model_path(cli, cli_arg(cli, 0), &err);
    AUTO(strbuf) struct strbuf out = { 0 };
    bool ok = path && engine_verify(path, cli_flag(cli, "sha256", NULL), &out, &err);
    cli_print(strbuf_str(&out));
    return ok ? CLI_OK : cli_fail(&err);
}

static int prepare(struct cli *cli)
{
    AUTO(error) struct error *err = NULL;
    AUTO(text) char *path = model_path(cli, cli_arg(cli, 0), &err);
    const struct config *config = path ? cli_config(cli, &err) : NULL;
    AUTO(text) char *cache = config ? files_cache_directory(config) : NULL;
    if (!cache || !file_make_directories(cache, &err) || !engine_prepare(path, cache, &err))
        return cli_fail(&err);
    printf("%s is prepared in %s\n", path, cache);
    return CLI_OK;
}

/* A text's tokens, one a line: number, and the bytes it stands for, as a JSON string. */
static void print_tokens(const struct engine *engine, const struct engine_tokens *tokens)
{
    AUTO(strbuf) struct strbuf out = { 0 };
    for (size_t i = 0; i < tokens->len; i++) {
        AUTO(strbuf) struct strbuf text = { 0 };
        engine_detokenize(engine, &tokens->ids[i], 1, true, &text);
        strbuf_addf(&out, "%d\t", tokens->ids[i]);
        strbuf_add_json(&out, strbuf_str(&text));
        strbuf_add_char(&out, '\n');
    }
    cli_print(strbuf_str(&out));
}

/* The text of the command line, or standard input where it is "-" or absent. */
static bool read_text(struct cli *cli, size_t arg, struct strbuf *text, struct error **err)
{
    const char *given = cli_arg(cli, arg);
    if (given && strcmp(given, "-") != 0)
        return strbuf_add_text(text, given), true;
    return file_read("/dev/stdin", INPUT_MAX, text, err);
}

static bool tokens_of(struct cli *cli, struct engine *engine, bool chat, struct engine_tokens *tokens,
                      struct error **err)
{
    AUTO(strbuf) struct strbuf text = { 0 };
    if (!read_text(cli, 1, &text, err))
        return false;
    if (chat) {
        struct engine_message message = { "user", strbuf_str(&text) };
        return engine_chat(engine, NULL, &message, 1, true, tokens, err);
    }
    unsigned flags = ENGINE_ADD_SPECIAL | (cli_has(cli, "special") ? ENGINE_PARSE_SPECIAL : 0);
    return engine_tokenize(engine, strbuf_str(&text), flags, tokens, err);
}

static int tokenize(struct cli *cli)
{
    AUTO(error) struct error *err = NULL;
    AUTO(text) char *path = model_path(cli, cli_arg(cli, 0), &err);
    AUTO(engine) struct engine *engine = path ? open_engine(cli, path, &err) : NULL;
    AUTO(engine_tokens) struct engine_tokens tokens = { 0 };
    if (!engine || !tokens_of(cli, engine, false, &tokens, &err))
        return cli_fail(&err);
    print_tokens(engine, &tokens);
    return CLI_OK;
}

static bool write_out(void *context, struct str text)
{
    (void)context;
    return fwrite(text.ptr, 1, text.len, stdout) == text.len && fflush(stdout) == 0;
}

static struct engine_constraint *constraint_of(struct cli *cli, struct engine *engine, bool *ok,
                                               struct error **err)
{
    const char *regex = cli_flag(cli, "regex", NULL), *schema = cli_flag(cli, "schema", NULL);
    AUTO(strbuf) struct strbuf text = { 0 };
    struct engine_constraint *constraint = NULL;
    if (regex)
        constraint = engine_constraint_regex(engine, str_of(regex), err);
    else if (schema && file_read(schema, INPUT_MAX, &text, err))
        constraint = engine_constraint_json(engine, strbuf_str(&text), err);
    *ok = constraint || (!regex && !schema);
    return constraint;
}

static bool complete_text(struct cli *cli, struct engine *engine, struct error **err)
{
    bool ok;
    int64_t max_tokens, seed;
    AUTO(engine_tokens) struct engine_tokens tokens = { 0 };
    AUTO(engine_completion) struct engine_completion done = { 0 };
    AUTO(engine_constraint) struct engine_constraint *constraint = constraint_of(cli, engine, &ok, err);
    AUTO(engine_sequence) struct engine_sequence *sequence = ok ? engine_sequence_new(engine, err) : NULL;
    if (!sequence || !tokens_of(cli, engine, cli_has(cli, "chat"), &tokens, err) ||
        !cli_flag_int(cli, "max-tokens", 256, 1, 1 << 20, &max_tokens, err) ||
        !cli_flag_int(cli, "seed", 0, 0, INT64_MAX, &seed, err))
        return false;
    double temperature;
    if (!str_to_double(str_of(cli_flag(cli, "temperature", "0")), &temperature) || temperature < 0)
        return error_set(err, ERROR_INVALID, "--temperature: give a number, 0 or more");
    if (tokens.len == 0)
        return error_set(err, ERROR_INVALID, "an empty text: nothing to write on behind");
    struct engine_item item = { .sequence = sequence, .tokens = tokens.ids, .count = tokens.len };
    struct engine_complete_options options = { .constraint = constraint,
                                               .max_tokens = (unsigned)max_tokens,
                                               .temperature = temperature,
                                               .seed = (uint64_t)seed,
                                               .on_text = write_out };
    if (!engine_step(engine, &item, 1, err) || !engine_complete(engine, sequence, &options, &done, err))
        return false;
    putchar('\n');
    return true;
}

static int complete(struct cli *cli)
{
    AUTO(error) struct error *err = NULL;
    AUTO(text) char *path = model_path(cli, cli_arg(cli, 0), &err);
    AUTO(engine) struct engine *engine = path ? open_engine(cli, path, &err) : NULL;
    return engine && complete_text(cli, engine, &err) ? CLI_OK : cli_fail(&err);
}

/* ---- bench */

static bool timed(struct engine *engine, size_t prompt, size_t n, double *prefill_s, double *decode_s,
                  struct error **err)
{
    size_t vocab = engine_info(engine)->vocab;
    AUTO(engine_sequence) struct engine_sequence *sequence = engine_sequence_new(engine, err);
    float *logits = xmalloc(vocab * sizeof *logits);
    int32_t tokens[BENCH_PROMPT];
    struct rng rng = { 1 };
    for (size_t i = 0; i < BENCH_PROMPT; i++)
        tokens[i] = (int32_t)rng_below(&rng, vocab);
    struct engine_item item = {
        .sequence = sequence, .tokens = tokens, .count = prompt, .logits = logits, .logits_from = prompt - 1
    };
    int64_t began = clock_mono_us();
    bool ok = sequence && engine_step(engine, &item, 1, err);
    *prefill_s = (double)(clock_mono_us() - began) / 1e6;
    began = clock_mono_us();
    item.count = 1, item.logits_from = 0;
    for (size_t i = 0; ok && i < n; i++, item.tokens++)
        ok = engine_step(engine, &item, 1, err);
    *decode_s = (double)(clock_mono_us() - began) / 1e6;
    free(logits);
    return ok;
}

static int bench(struct cli *cli)
{
    AUTO(error) struct error *err = NULL;
    AUTO(text) char *path = model_path(cli, cli_arg(cli, 0), &err);
    AUTO(engine) struct engine *engine = path ? open_engine(cli, path, &err) : NULL;
    double prefill_s, decode_s;
    if (!engine || !timed(engine, 64, 4, &prefill_s, &decode_s, &err) ||
        !timed(engine, BENCH_PROMPT, BENCH_TOKENS, &prefill_s, &decode_s, &err))
        return cli_fail(&err);
    const struct engine_info *info = engine_info(engine);
    printf("%s, %s, %u threads: prefill %.1f tokens/s (%d tokens), decode behind them %.1f tokens/s\n",
           info->name, info->isa, info->threads, BENCH_PROMPT / prefill_s, BENCH_PROMPT,
           BENCH_TOKENS / decode_s);
    return CLI_OK;
}

static const struct cli_flag info_flags[] = { CLI_FLAG_OUTPUT, { 0 } };
static const struct cli_flag verify_flags[] = { { "sha256", 0, "HASH", "what the file must have" }, { 0 } };
#define FLAG_ISA { "isa", 0, "NAME", "scalar, avx2, avx512vnni or neon; without: the fastest that runs" }
#define FLAG_SPECIAL { "special", 0, NULL, "\"<|im_start|>\" in the text is that token" }
static const struct cli_flag tokenize_flags[] = { FLAG_SPECIAL, { 0 } };
static const struct cli_flag bench_flags[] = { FLAG_ISA, { 0 } };
static const struct cli_flag complete_flags[] = {
    FLAG_ISA,
    FLAG_SPECIAL,
    { "chat", 0, NULL, "the text is a user's message, written as the model's template has it" },
    { "max-tokens", 'n', "N", "at most N tokens (default 256)" },
    { "temperature", 't', "T", "0 (default): always the likeliest token" },
    { "seed", 0, "N", "of the sampling (default 0)" },
    { "regex", 0, "PATTERN", "the answer must match it" },
    { "schema", 0, "FILE", "the answer must be JSON that satisfies this schema" },
    { 0 },
};

const struct cli_command cli_model[] = {
    { "model info", "[FILE]", "show what is in a model file, and what of it is supported", show_info,
      .args_max = 1, .flags = info_flags },
    { "model prepare", "[FILE]", "lay a model's weights out for this machine, so that later starts map them",
      prepare, .args_max = 1 },
    { "model verify", "[FILE]", "check a model file: hash, shapes, a forward pass", verify, .args_max = 1,
      .flags = verify_flags },
    { "model bench", "[FILE]", "measure how fast a model reads and writes here", bench, .args_max = 1,
      .flags = bench_flags },
    { "model tokenize", "FILE [TEXT]", "show a text's tokens (standard input without TEXT)", tokenize,
      .args_min = 1, .args_max = 2, .flags = tokenize_flags },
    { "model complete", "FILE [TEXT]", "write on behind a text (standard input without TEXT)", complete,
      .args_min = 1, .args_max = 2, .flags = complete_flags },
    { 0 },
};
