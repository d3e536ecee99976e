/* POST /api/chat, Ollama's own: it takes the context's size and how long to keep the model, which its OpenAI-style
 * endpoint does not. */
#include "base/mem.h"
#include "slm/remote_internal.h"

enum { SEED = 42, TOP_LOGPROBS = 20 };

static void write(const struct remote_talk *talk, yyjson_mut_doc *doc, yyjson_mut_val *root)
{
    yyjson_mut_obj_add_str(doc, root, "model", talk->options->model);
    yyjson_mut_obj_add_val(doc, root, "messages", remote_messages_write(talk, doc));
    yyjson_mut_obj_add_bool(doc, root, "stream", false);
    yyjson_mut_obj_add_bool(doc, root, "truncate", false); /* an error, rather than a prompt cut in silence */
    yyjson_mut_obj_add_str(doc, root, "keep_alive", "30m");
    yyjson_mut_val *options = yyjson_mut_obj_add_obj(doc, root, "options");
    yyjson_mut_obj_add_real(doc, options, "temperature", talk->options->temperature);
    yyjson_mut_obj_add_int(doc, options, "seed", SEED);
    yyjson_mut_obj_add_uint(doc, options, "num_predict", talk->options->max_tokens);
    yyjson_mut_obj_add_uint(doc, options, "num_ctx", talk->options->context);
    if (talk->level == REMOTE_SCHEMA_AND_LOGPROBS) {
        yyjson_mut_obj_add_bool(doc, root, "logprobs", true);
        yyjson_mut_obj_add_int(doc, root, "top_logprobs", TOP_LOGPROBS);
    }
    if (talk->level == REMOTE_JSON)
        yyjson_mut_obj_add_str(doc, root, "format", "json");
    else if (talk->level != REMOTE_PLAIN)
        yyjson_mut_obj_add_val(doc, root, "format", remote_answer_schema(talk->request, doc));
}

static bool read(struct arena *arena, yyjson_val *root, struct remote_text *text, struct error **err)
{
    yyjson_val *error = yyjson_obj_get(root, "error"); /* may come with status 200 */
    if (yyjson_is_str(error))
        return error_set(err, ERROR_UNAVAILABLE, "the server says: %.200s", yyjson_get_str(error));
    yyjson_val *content = yyjson_obj_get(yyjson_obj_get(root, "message"), "content");
    if (!yyjson_is_str(content) || !yyjson_get_bool(yyjson_obj_get(root, "done")))
        return error_set(err, ERROR_INVALID,
                         "the server's answer has no finished message.content: is this Ollama's endpoint?");
    text->content = arena_str(arena, (struct str){ yyjson_get_str(content), yyjson_get_len(content) });
    text->cut = yyjson_equals_str(yyjson_obj_get(root, "done_reason"), "length");
    remote_tokens_read(arena, yyjson_obj_get(root, "logprobs"), text);
    return true;
}

const struct protocol protocol_ollama = { "ollama", "/api/chat", "/api/tags", write, read };
