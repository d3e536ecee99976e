#include "metrics/trace.h"

#include <stdio.h>

#include "base/rand.h"

static bool is_hex(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
    }
    return true;
}

static bool is_zero(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] != '0')
            return false;
    return true;
}

bool trace_parse(struct str text, struct trace *trace)
{
    struct str version = str_slice(text, 0, 2), id = str_slice(text, 3, 35), span = str_slice(text, 36, 52);
    struct str flags = str_slice(text, 53, 55);
    if (text.len < TRACE_PARENT_LEN || text.ptr[2] != '-' || text.ptr[35] != '-' || text.ptr[52] != '-')
        return false;
    if (!is_hex(version) || !is_hex(id) || !is_hex(span) || !is_hex(flags) || is_zero(id) || is_zero(span))
        return false;
    bool first = str_eq(version, STR("00"));
    if (str_eq(version, STR("ff")) || (first && text.len != TRACE_PARENT_LEN) ||
        (!first && text.len > TRACE_PARENT_LEN && text.ptr[TRACE_PARENT_LEN] != '-'))
        return false;
    snprintf(trace->trace_id, sizeof trace->trace_id, STR_FMT, STR_ARG(id));
    snprintf(trace->span_id, sizeof trace->span_id, STR_FMT, STR_ARG(span));
    trace->sampled = (flags.ptr[1] >= 'a' ? flags.ptr[1] - 'a' + 10 : flags.ptr[1] - '0') & 1;
    return true;
}

static uint64_t random_but_zero(void)
{
    uint64_t number = rand_u64();
    return number ? number : 1;
}

void trace_new(struct trace *trace)
{
    snprintf(trace->trace_id, sizeof trace->trace_id, "%016llx%016llx", (unsigned long long)rand_u64(),
             (unsigned long long)random_but_zero());
    snprintf(trace->span_id, sizeof trace->span_id, "%016llx", (unsigned long long)random_but_zero());
    trace->sampled = true;
}

void trace_child(const struct trace *parent, struct trace *child)
{
    *child = *parent;
    snprintf(child->span_id, sizeof child->span_id, "%016llx", (unsigned long long)random_but_zero());
}

void trace_from(struct str traceparent, struct trace *trace)
{
    struct trace parent;
    if (trace_parse(traceparent, &parent))
        trace_child(&parent, trace);
    else
        trace_new(trace);
}

void trace_format(const struct trace *trace, char text[TRACE_PARENT_LEN + 1])
{
    snprintf(text, TRACE_PARENT_LEN + 1, "00-%s-%s-%02x", trace->trace_id, trace->span_id, trace->sampled);
}
