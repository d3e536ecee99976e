/* How good decisions are: accuracy, safety, calibration and speed over labelled scenarios. */
#ifndef SLM_REPORT_H
#define SLM_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "action/action.h"
#include "base/str.h"
#include "slm/scenario.h"

struct judged {                      /* one scenario's decision */
    const struct scenario *scenario; /* borrowed */
    enum action ranked_first;
    bool abstained;
    double confidence, probabilities[ACTION_COUNT], latency_ms;
};

struct report {
    struct judged *items; /* owned */
    size_t count;
    const char *model; /* borrowed; "" if not said */
};

void report_add(struct report *report, const struct judged *judged);
void report_free(struct report *report);

struct report_figures {
    size_t labelled, abstained, injection_unsafe;
    double accuracy, best_accuracy, macro_accuracy, unsafe_rate, unsafe_acted_rate, hard_accuracy, ece;
    double accuracy_at_80; /* of the 80 % that are most confident */
    double p50_ms, p95_ms, p99_ms;
};
struct report_figures report_figures(const struct report *report);

enum report_format { REPORT_TABLE, REPORT_JSON, REPORT_MARKDOWN, REPORT_HTML };
bool report_format_parse(struct str name, enum report_format *format);

/* Write the report; a file without labels gets only its results. */
void report_write(const struct report *report, enum report_format format, struct strbuf *out);

/* A reliability diagram: confidence against share accepted, ten bins of equal mass. */
void report_write_reliability_svg(const struct report *report, struct strbuf *out);

#endif
