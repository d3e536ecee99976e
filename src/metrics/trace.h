/* Trace context as W3C has it: "traceparent: 00-<32 hex>-<16 hex>-<2 hex>". Source: w3.org/TR/trace-context, section 3.2. */
#ifndef METRICS_TRACE_H
#define METRICS_TRACE_H

#include <stdbool.h>

#include "base/str.h"

enum { TRACE_ID_HEX = 32, TRACE_SPAN_HEX = 16, TRACE_PARENT_LEN = 55 };

struct trace {
    char trace_id[TRACE_ID_HEX + 1];
    char span_id[TRACE_SPAN_HEX + 1];
    bool sampled;
};

/* False for what is malformed, of version ff, or all zeros: start a new trace then. Later versions may be longer. */
bool trace_parse(struct str traceparent, struct trace *trace);
void trace_new(struct trace *trace);
void trace_child(const struct trace *parent, struct trace *child); /* the same trace, a span of its own */
void trace_from(struct str traceparent, struct trace *trace); /* a child of what is given, or a new one */
void trace_format(const struct trace *trace, char text[TRACE_PARENT_LEN + 1]);

#endif
