/* A processor without threads over a real store: deliveries go through the inbox, and each stage is one call. */
#ifndef TESTS_PROCESSOR_FIXTURE_H
#define TESTS_PROCESSOR_FIXTURE_H

#include "tests/test.h"

#include "processor/processor_internal.h"
#include "tests/store/fixture.h"

struct pipeline {
    struct fixture *store; /* tests/store's */
    struct config_live *config;
    struct processor *processor;
    struct error *err;
    const char *trace_id; /* of the deliveries to come; NULL: the fixture's own */
};

int pipeline_setup(void **state);
int pipeline_teardown(void **state);
/* Begin anew with these settings ("key=value", or whole YAML in `yaml`) and steps; all may be NULL. */
void pipeline_configure(struct pipeline *p, const char *yaml, const struct processor_steps *steps);

/* A webhook payload with these alerts (JSON objects), delivered and worked in. */
void pipeline_deliver(struct pipeline *p, const char *alerts);
/* One alert: labels as JSON without braces, seconds since an hour before the fixture's clock; 0 for no end. */
void pipeline_alert(struct pipeline *p, const char *labels, int starts_s, int ends_s);

struct alert_records pipeline_alerts(struct pipeline *p, const struct alert_query *query);
struct incidents pipeline_incidents(struct pipeline *p, const struct incident_query *query);
bool pipeline_work(struct pipeline *p); /* one job, if one is due */

#endif
