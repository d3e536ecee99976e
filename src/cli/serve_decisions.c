/* What decides: the model and what goes with it, as a room of the server. */
#include "cli/serve.h"

#include "metrics/metrics.h"

bool serve_decisions_start(struct serve *serve, struct error **err)
{
    if (serve->config->slm.provider == CONFIG_PROVIDER_NONE)
        return true; /* intake alone */
    serve->pipeline.slm = slm_open(serve->config, err);
    if (!serve->pipeline.slm)
        return false;
    struct slm_status status = slm_status(serve->pipeline.slm);
    metric_set(METRIC_MODEL_LOADED, status.model_loaded);
    metric_set(METRIC_MODEL_LOAD_DURATION, status.load_seconds);
    serve->pipeline.context = serve;
    serve->steps = pipeline_steps(&serve->pipeline);
    return true;
}

void serve_decisions_stop(struct serve *serve, int64_t deadline_ms)
{
    (void)deadline_ms;
    slm_close(serve->pipeline.slm);
}
