/* POST /v1/chat/completions, as OpenAI, vLLM, llama-server and LocalAI take it. */
#include "base/mem.h"
#include "slm/remote_internal.h"

enum { SEED = 42, TOP_LOGPROBS = 20 };

static void write_format(const struct remote_talk *talk, yyjson_mut_doc *doc, yyjson_mut_val *root)
{
    if (talk->level == REMOTE_PLAIN)
        return;
    yyjson_mut_val *format = yyjson_mut_obj_add_obj(doc, root, "response_format");
    if (talk->level == REMOTE_JSON) {
        yyjson_mut_obj_add_str(doc, format, "type", "json_object");
        return;
    }
    yyjson_mut_obj_add_str(doc, format, "type", "json_schema");
    yyjson_mut_val *schema = yyjson_mut_obj_add_obj(doc, format, "json_schema");
    yyjson_mut_obj_add_str(doc, schema, "name", "decision");
    yyjson_mut_obj_add_bool(doc, schema, "strict", true);
    yyjson_mut_obj_add_val(doc, schema, "schema", remote_answer_schema(talk->request, doc));
}

static void write(const struct remote_talk *talk, yyjson_mut_doc *doc, yyjson_mut_val *root)
{
    yyjson_mut_obj_add_str(doc, root, "model", talk->options->model);
    yyjson_mut_obj_add_val(doc, root, "messages", remote_messages_write(talk, doc));
    yyjson_mut_obj_add_real(doc, root, "temperature", talk->options->temperature);
    yyjson_mut_obj_add_int(doc, root, "seed", SEED);
    yyjson_mut_obj_add_uint(doc, root, "max_tokens", talk->options->max_tokens);
    yyjson_mut_obj_add_bool(doc, root, "stream", false);
    if (talk->level == REMOTE_SCHEMA_AND_LOGPROBS) {
        yyjson_mut_obj_add_bool(doc, root, "logprobs", true);
        yyjson_mut_obj_add_int(doc, root, "top_logprobs", TOP_LOGPROBS);
    }
    write_format(talk, doc, root);
}

static bool read(struct arena *arena, yyjson_val *root, struct remote_text *text, struct error **err)
{
    yyjson_val *choice = yyjson_arr_get(yyjson_obj_get(root, "choices"), 0);
    yyjson_val *content = yyjson_obj_get(yyjson_obj_get(choice, "message"), "content");
    if (!yyjson_is_str(content))
        return error_set(
            err, ERROR_INVALID,
            "the server's answer has no choices[0].message.content: is this an OpenAI-compatible endpoint?");
    text->content = arena_str(arena, (struct str){ yyjson_get_str(content), yyjson_get_len(content) });
    text->cut = yyjson_equals_str(yyjson_obj_get(choice, "finish_reason"), "length");
    remote_tokens_read(arena, yyjson_obj_get(yyjson_obj_get(choice, "logprobs"), "content"), text);
    return true;
}

const struct protocol protocol_openai = { "openai", "/v1/chat/completions", "/v1/models", write, read };
