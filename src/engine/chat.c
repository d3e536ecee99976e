/* Chat templates as data. A model's file carries its template as a Jinja program; running programs from a file is no
 * work for us, and all of them say the same few things: what stands before a message's role, after it, and after the
 * content. A family is chosen by the template's hash where that is known, else by marks that stand in it.
 *
 * The content of messages is foreign text: a "<|im_end|>" in it stays text and is never the token. */
#include "engine/tokenizer.h"

#include <stdlib.h>

#include "base/sha256.h"

struct chat_family {
    const char *name;
    const char *mark;                      /* stands in the templates of this family, and in none above it */
    const char *open, *after_role, *close; /* open role after_role content close */
    const char *generate;                  /* opens the assistant's answer */
    const char *assistant;                 /* its role's name, where it has another one */
    const char *system;                    /* said where the conversation has no system message */
    bool trim;                             /* content without blanks at its ends */
    bool system_in_user;                   /* no system role: its content begins the first user message */
};

static const struct chat_family families[] = {
    { .name = "smollm2",
      .mark = "You are a helpful AI assistant named SmolLM",
      .open = "<|im_start|>",
      .after_role = "\n",
      .close = "<|im_end|>\n",
      .generate = "<|im_start|>assistant\n",
      .system = "You are a helpful AI assistant named SmolLM, trained by Hugging Face" },
    { .name = "chatml",
      .mark = "<|im_start|>",
      .open = "<|im_start|>",
      .after_role = "\n",
      .close = "<|im_end|>\n",
      .generate = "<|im_start|>assistant\n" },
    { .name = "granite",
      .mark = "<|start_of_role|>",
      .open = "<|start_of_role|>",
      .after_role = "<|end_of_role|>",
      .close = "<|end_of_text|>\n",
      .generate = "<|start_of_role|>assistant<|end_of_role|>" },
    { .name = "llama3",
      .mark = "<|start_header_id|>",
      .open = "<|start_header_id|>",
      .after_role = "<|end_header_id|>\n\n",
      .close = "<|eot_id|>",
      .generate = "<|start_header_id|>assistant<|end_header_id|>\n\n",
      .trim = true },
    { .name = "gemma",
      .mark = "<start_of_turn>",
      .open = "<start_of_turn>",
      .after_role = "\n",
      .close = "<end_of_turn>\n",
      .generate = "<start_of_turn>model\n",
      .assistant = "model",
      .trim = true,
      .system_in_user = true },
    { .name = "phi3",
      .mark = "<|end|>",
      .open = "<|",
      .after_role = "|>\n",
      .close = "<|end|>\n",
      .generate = "<|assistant|>\n" },
    { .name = "zephyr",
      .mark = "<|assistant|>",
      .open = "<|",
      .after_role = "|>\n",
      .close = "</s>\n",
      .generate = "<|assistant|>\n" },
};

/* Templates seen, by the SHA-256 of their text: these need no guess. */
static const struct {
    const char *sha256, *family;
} known_templates[] = {
    { "872be49dbb638044ad01b60388f48d469ff2980e5f0dccdc22ec907db54d0788",
      "smollm2" }, /* SmolLM2 Instruct, 135M to 1.7B */
};

static const char *const roles[] = { "system", "user", "assistant", "tool" };

static const struct chat_family *family_named(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(families); i++)
        if (strcmp(families[i].name, name) == 0)
            return &families[i];
    return NULL;
}

static const struct chat_family *family_of(const struct gguf *file)
{
    struct str template;
    if (!gguf_get_str(file, "tokenizer.chat_template", &template))
        return NULL;
    char hash[SHA256_HEX_LEN + 1];
    sha256_hex(template, hash);
    for (size_t i = 0; i < ARRAY_LEN(known_templates); i++)
        if (strcmp(known_templates[i].sha256, hash) == 0)
            return family_named(known_templates[i].family);
    for (size_t i = 0; i < ARRAY_LEN(families); i++)
        if (str_find(template, str_of(families[i].mark), NULL))
            return &families[i];
    return NULL;
}

static const struct chat_family *family_wanted(const struct gguf *file, const char *name, struct error **err)
{
    const struct chat_family *family = name ? family_named(name) : family_of(file);
    if (!family && name)
        error_set(err, ERROR_UNSUPPORTED, "no chat template is called \"%s\"", name);
    else if (!family)
        error_set(err, ERROR_UNSUPPORTED, "the model's chat template is not one that is known");
    return family;
}

const char *chat_family(const struct gguf *file)
{
    const struct chat_family *family = family_of(file);
    return family ? family->name : NULL;
}

/* ---- writing a conversation: one text, and which of its parts are ours */

struct writer {
    struct strbuf text;
    struct span {
        size_t from, to;
        bool ours;
    } *spans;
    size_t n_spans, cap;
};

static void write_span(struct writer *writer, struct str text, bool ours)
{
    if (writer->n_spans == writer->cap)
        writer->spans = xrealloc(writer->spans, (writer->cap = writer->cap * 2 + 8) * sizeof *writer->spans);
    size_t from = writer->text.len;
    strbuf_add(&writer->text, text);
    writer->spans[writer->n_spans++] = (struct span){ from, writer->text.len, ours };
}

static void write_message(struct writer *writer, const struct chat_family *family, const char *role,
                          struct str before, struct str content)
{
    bool renamed = family->assistant && strcmp(role, "assistant") == 0;
    write_span(writer, str_of(family->open), true);
    write_span(writer, str_of(renamed ? family->assistant : role), true);
    write_span(writer, str_of(family->after_role), true);
    if (before.len) {
        write_span(writer, before, false);
        write_span(writer, STR("\n\n"), false);
    }
    write_span(writer, family->trim ? str_trim(content) : content, false);
    write_span(writer, str_of(family->close), true);
}

static void write_conversation(struct writer *writer, const struct chat_family *family,
                               const struct engine_message *messages, size_t count, bool generate)
{
    struct str system = { 0 };
    if (family->system && (count == 0 || strcmp(messages[0].role, "system") != 0))
        write_message(writer, family, "system", (struct str){ 0 }, str_of(family->system));
    for (size_t i = 0; i < count; i++) {
        if (family->system_in_user && strcmp(messages[i].role, "system") == 0) {
            system = str_trim(messages[i].content);
            continue;
        }
        bool takes = strcmp(messages[i].role, "user") == 0;
        write_message(writer, family, messages[i].role, takes ? system : (struct str){ 0 },
                      messages[i].content);
        if (takes)
            system = (struct str){ 0 };
    }
    if (generate)
        write_span(writer, str_of(family->generate), true);
}

/* What was written, as tokens; the writer is emptied. `whole`: with what begins and ends a text. */
static bool encode_written(const struct tokenizer *tokenizer, struct writer *writer, bool whole,
                           struct engine_tokens *tokens, struct error **err)
{
    struct text_part *parts = xcalloc(writer->n_spans + 1, sizeof *parts);
    for (size_t i = 0; i < writer->n_spans; i++) {
        const struct span *span = &writer->spans[i];
        parts[i] = (struct text_part){ { writer->text.ptr + span->from, span->to - span->from }, span->ours };
    }
    bool ok = tokenizer_encode_parts(tokenizer, parts, writer->n_spans, whole, tokens, err);
    free(parts);
    strbuf_free(&writer->text);
    free(writer->spans);
    return ok;
}

static bool roles_are_known(const struct engine_message *messages, size_t count, struct error **err)
{
    for (size_t i = 0; i < count; i++) {
        bool known = false;
        for (size_t j = 0; j < ARRAY_LEN(roles); j++)
            known = known || (messages[i].role && strcmp(messages[i].role, roles[j]) == 0);
        if (!known)
            return error_set(err, ERROR_INVALID,
                             "message %zu: its role is none of system, user, assistant, tool", i);
    }
    return true;
}

bool chat_encode(const struct tokenizer *tokenizer, const struct gguf *file, const char *name,
                 const struct engine_message *messages, size_t count, bool generate,
                 struct engine_tokens *tokens, struct error **err)
{
    const struct chat_family *family = family_wanted(file, name, err);
    if (!family || !roles_are_known(messages, count, err))
        return false;
    struct writer writer = { 0 };
    write_conversation(&writer, family, messages, count, generate);
    return encode_written(tokenizer, &writer, true, tokens, err);
}

/* ---- one more message */

/* Text is cut at special tokens before anything else is done with it, so what begins with one has the same tokens
 * whatever stands before it. Nothing else may tie a message to the others. */
static bool stands_alone(const struct tokenizer *tokenizer, const struct chat_family *family)
{
    AUTO(engine_tokens) struct engine_tokens open = { 0 };
    return !family->system_in_user && !tokenizer_adds_end(tokenizer) &&
           tokenizer_encode(tokenizer, str_of(family->open), ENGINE_PARSE_SPECIAL, &open, NULL) && open.len &&
           tokenizer_is_special(tokenizer, open.ids[0]);
}

bool chat_can_add(const struct tokenizer *tokenizer, const struct gguf *file, const char *name)
{
    const struct chat_family *family = name ? family_named(name) : family_of(file);
    return family && stands_alone(tokenizer, family);
}

bool chat_add(const struct tokenizer *tokenizer, const struct gguf *file, const char *name,
              const struct engine_message *message, bool generate, struct engine_tokens *tokens,
              struct error **err)
{
    const struct chat_family *family = family_wanted(file, name, err);
    if (!family || !roles_are_known(message, 1, err))
        return false;
    if (!stands_alone(tokenizer, family))
        return error_set(
            err, ERROR_UNSUPPORTED,
            "\"%s\": a message's tokens depend on what is before it: write the whole conversation",
            family->name);
    struct writer writer = { 0 };
    write_message(&writer, family, message->role, (struct str){ 0 }, message->content);
    if (generate)
        write_span(&writer, str_of(family->generate), true);
    return encode_written(tokenizer, &writer, false, tokens, err);
}
