/* The events of a watch: JSON objects, a line each, which arrive in pieces of any size. */
#include "k8s/k8s.h"

#include <stdio.h>

#include "k8s/k8s_internal.h"

static bool take_event(struct watch_stream *stream, struct str line)
{
    yyjson_doc *doc = json_parse(line, NULL);
    yyjson_val *root = yyjson_doc_get_root(doc), *object = yyjson_obj_get(root, "object");
    const char *type = k8s_text_at(root, "/type"),
               *version = k8s_text_at(object, "/metadata/resourceVersion");
    stream->failed = !yyjson_is_obj(object) || !*type;
    if (!stream->failed && *version && strcmp(type, "ERROR"))
        snprintf(stream->resource_version, sizeof stream->resource_version, "%s", version);
    if (!stream->failed)
        stream->ended = !stream->event(type, object, stream->context);
    yyjson_doc_free(doc);
    return !stream->failed && !stream->ended;
}

/* Most lines lie whole in the piece: they are read there, without a copy. */
bool watch_stream_feed(struct watch_stream *stream, struct str bytes)
{
    size_t end;
    while (!stream->failed && !stream->ended && str_find(bytes, STR("\n"), &end)) {
        struct str line = str_slice(bytes, 0, end);
        bytes = str_slice(bytes, end + 1, bytes.len);
        if (stream->line.len) {
            strbuf_add(&stream->line, line);
            line = strbuf_str(&stream->line);
        }
        if (line.len && line.len <= K8S_LINE_MAX)
            take_event(stream, line);
        else
            stream->failed = line.len > 0;
        strbuf_clear(&stream->line);
    }
    if (stream->failed || stream->ended)
        return false;
    strbuf_add(&stream->line, bytes);
    stream->failed = stream->line.len > K8S_LINE_MAX;
    return !stream->failed;
}

void watch_stream_free(struct watch_stream *stream)
{
    strbuf_free(&stream->line);
}
