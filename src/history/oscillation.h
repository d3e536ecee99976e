/* Oscillation: does the past of a resource turn in circles, and would the next execution turn it once more?
 *
 * Six detectors look at a resource's executions and alerts. What they find says how severe it is and how sure we are,
 * and from both follows what is done about it: nothing, another action, a rest, a person, or no action at all. Pure
 * functions of what they are given: order of insertion does not matter, an unknown score is unknown and not 0. */
#ifndef HISTORY_OSCILLATION_H
#define HISTORY_OSCILLATION_H

#include "action/action.h"
#include "config/config.h"

enum pattern {
    PATTERN_SCALE,       /* scaled up, down, up */
    PATTERN_THRASHING,   /* resources and replicas in turns */
    PATTERN_INEFFECTIVE, /* the same action again although it does not help */
    PATTERN_CASCADE,     /* executions that new alerts follow */
    PATTERN_RESTART,     /* restarted over and over */
    PATTERN_HPA_FIGHT,   /* an autoscaler undoes what we scale */
    PATTERN_COUNT
};
enum pattern_severity {
    PATTERN_SEVERITY_NONE,
    PATTERN_SEVERITY_LOW,
    PATTERN_SEVERITY_MEDIUM,
    PATTERN_SEVERITY_HIGH,
    PATTERN_SEVERITY_CRITICAL,
    PATTERN_SEVERITY_COUNT
};
enum prevention { /* from mild to strict */
                  PREVENTION_NONE,
                  PREVENTION_ALTERNATIVE, /* the pattern's actions are not chosen; others may be */
                  PREVENTION_COOLING,     /* the pattern's actions rest until a time */
                  PREVENTION_ESCALATE,    /* a person decides */
                  PREVENTION_BLOCK,       /* the pattern's actions are refused until a time */
                  PREVENTION_COUNT
};
extern const char *const pattern_names[PATTERN_COUNT];
extern const char *const pattern_descriptions[PATTERN_COUNT];
extern const char *const pattern_severity_names[PATTERN_SEVERITY_COUNT];
extern const char *const prevention_names[PREVENTION_COUNT];

struct past { /* an execution that was begun; a dry run is none */
    char id[ULID_LEN + 1];
    enum action action;
    const char *state, *alert_name, *parameters;
    int64_t at;              /* UTC ms */
    double score;            /* 0..1; NAN while unknown */
    double score_confidence; /* of the assessment; NAN without one */
    int64_t replicas;        /* asked for; -1: none */
    int64_t replicas_before; /* found; -1: unknown */
    bool autoscaled;         /* an autoscaler was seen on the resource */
};
struct past_alert { /* the beginning of an alert on the resource */
    const char *name;
    int64_t at;
};
struct oscillation_input {
    const struct past *past; /* of one resource, in any order */
    size_t past_count;
    const struct past_alert *alerts; /* likewise */
    size_t alert_count;
    int64_t now;
};

struct finding {
    enum pattern pattern;
    enum pattern_severity severity;
    uint32_t actions; /* that take part in it */
    double count;     /* of what the detector counts; for a cascade the average of new alerts */
    double score;     /* average of the known ones; NAN */
    double trend;     /* of an ineffective loop's scores; NAN */
    double recurrence;
    double gap_ms; /* average between transitions */
    int64_t first_at, last_at;
    const struct past **members; /* oldest first */
    size_t member_count;
};
struct oscillation {
    struct finding *findings;
    size_t count;
    enum pattern_severity severity; /* the highest */
    double confidence;              /* 0..1 */
    enum prevention prevention;
    uint32_t held_back; /* actions that it keeps back now */
    int64_t until;      /* of a rest or a block; 0: as long as the pattern shows */
    const char *text;   /* one sentence */
};

/* Results live as long as the arena. */
void oscillation_analyse(struct arena *arena, const struct config_oscillation *config,
                         const struct oscillation_input *input, struct oscillation *result);

/* Before an execution: with it as the newest of the past. The verdict is the result's prevention where held_back holds
 * the proposal's action, else PREVENTION_NONE. */
enum prevention oscillation_judge(struct arena *arena, const struct config_oscillation *config,
                                  const struct oscillation_input *input, const struct past *proposal,
                                  struct oscillation *result);

/* {"pattern":…,"severity":…,"executions":[ids],…} */
void finding_write(struct strbuf *out, const struct finding *finding);
const struct config_detector *detector_of(const struct config_oscillation *config,
                                          enum pattern pattern); /* NULL: cascade */
uint32_t pattern_actions(enum pattern pattern);                  /* that it looks at */

#endif
