/* A request's target, and what else of a header we take apart ourselves. */
#include "http/http.h"
#include "metrics/metrics.h"
#include "metrics/trace.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new(4096);
    struct str text = { (const char *)data, size }, path;
    struct http_query query;
    if (http_target_parse(arena, text, &path, &query)) {
        if (memchr(path.ptr, 0, path.len) || path.len > size || query.count > HTTP_QUERY_MAX)
            abort();
        for (size_t i = 0; i < query.count; i++)
            if (query.items[i].name.len + query.items[i].value.len > size)
                abort();
    }
    struct trace trace;
    if (trace_parse(text, &trace) && strlen(trace.trace_id) != TRACE_ID_HEX)
        abort();
    metrics_negotiate(text);
    metrics_accepts_gzip(text);
    arena_free(arena);
    return 0;
}
