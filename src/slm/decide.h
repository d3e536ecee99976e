/* One decision from evidence: fuse, calibrate, act or abstain, parameters, reasons. */
#ifndef SLM_DECIDE_H
#define SLM_DECIDE_H

#include "base/arena.h"
#include "slm/embedded.h"
#include "slm/fusion.h"
#include "slm/layer.h"
#include "slm/runbook.h"
#include "slm/slm.h"

/* What decisions are made with; read-only. */
struct deciders {
    struct embedded *embedded;                    /* NULL: no model */
    const struct layer *prior, *head;             /* NULL: none */
    const struct fusion *fusion;
    struct runbooks *runbooks;                    /* NULL: none */
    double confidence_threshold;
};

/* An alert made safe to read, and its features. */
struct reading {
    struct alert alert;                           /* cleaned: without what tried to instruct */
    struct slm_question question;                 /* the caller's, about the cleaned alert */
    bool injection;
    const char *injection_text;
};
void decide_read(struct arena *arena, const struct slm_question *question, struct reading *reading);

/* Decide on what was read. `evidence` is the model's answer, or NULL with `why_not` saying why there is none. */
void decide(const struct deciders *deciders, struct arena *arena, const struct reading *reading,
            const struct embedded_evidence *evidence, const char *why_not, struct decision *decision);

#endif
