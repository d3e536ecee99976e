/* An embedded model with what was fitted for it. */
#ifndef SLM_MODEL_H
#define SLM_MODEL_H

#include "config/config.h"
#include "slm/embedded.h"
#include "slm/fusion.h"
#include "slm/layer.h"

struct model {                 /* read-only once open */
    char *name, *sha256;       /* "smollm2-135m"; "" without a model */
    char *label;               /* for metrics: the name and its version, "smollm2-135m@7d493ee6" */
    struct embedded *embedded; /* NULL: why_not says why */
    struct layer *head;        /* NULL: none was fitted */
    struct fusion *fusion;     /* never NULL */
    char *why_not;             /* NULL if it is there */
    double load_seconds;
};

/* `name`: a catalogue name or a path. A model that cannot be used is no error here: it says why in `why_not`. */
void model_open(struct model *model, const struct config *config, const char *name);
void model_close(struct model *model);

#endif
