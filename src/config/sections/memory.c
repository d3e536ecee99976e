#include "config/sections/memory.h"

enum { SECOND_MS = 1000, MINUTE_MS = 60 * SECOND_MS, HOUR_MS = 60 * MINUTE_MS };
#define DAY_MS (24.0 * HOUR_MS)
#define YEAR_MS (365.0 * DAY_MS)

#define AT(field) offsetof(struct config_history, field)
const struct config_key config_keys_history[] = {
    { "max_age", CONFIG_DURATION, AT(max_age_ms), .def = "90d", .min = HOUR_MS, .max = 20 * YEAR_MS,
      .flags = CONFIG_RELOADABLE, .help = "What ended longer ago is deleted; success rates stay." },
    { "max_actions", CONFIG_INT, AT(max_actions), .def = "1000", .min = 10, .max = 1e6,
      .flags = CONFIG_RELOADABLE, .help = "Executions kept for a resource; the oldest go first." },
    { "retention_period", CONFIG_DURATION, AT(retention_period_ms), .def = "1h", .min = SECOND_MS,
      .max = 30 * DAY_MS, .flags = CONFIG_RELOADABLE, .help = "How often old rows are looked for." },
    { 0 },
};
#undef AT

#define AT(field) offsetof(struct config_oscillation, field)
#define COUNT_KEY(path, field, value, what)                                                                  \
    { path ".at_least", CONFIG_NUMBER, AT(field.at_least),         .def = value,                             \
      .min = 1,         .max = 1000,   .flags = CONFIG_RELOADABLE, .help = "From so many " what "." }
#define WITHIN_KEY(path, field, value)                                                                       \
    { path ".within", CONFIG_DURATION, AT(field.within_ms),        .def = value,                             \
      .min = 0,       .max = YEAR_MS,  .flags = CONFIG_RELOADABLE, .help = "Within this time; 0: any." }
#define SCORE_KEY(path, field, value)                                                                        \
    { path ".score_below",                                                                                   \
      CONFIG_NUMBER,                                                                                         \
      AT(field.score_below),                                                                                 \
      .def = value,                                                                                          \
      .min = 0,                                                                                              \
      .max = 1,                                                                                              \
      .flags = CONFIG_RELOADABLE,                                                                            \
      .help = "With an average score below this, if one is known; 0: any." }
#define BAND(path, field, count, within, score, what)                                                        \
    COUNT_KEY(path, field, count, what), WITHIN_KEY(path, field, within), SCORE_KEY(path, field, score)
#define CASCADE(path, field, alerts, share)                                                                  \
    { path ".new_alerts",                                                                                    \
      CONFIG_NUMBER,                                                                                         \
      AT(field.new_alerts),                                                                                  \
      .def = alerts,                                                                                         \
      .min = 0,                                                                                              \
      .max = 1000,                                                                                           \
      .flags = CONFIG_RELOADABLE,                                                                            \
      .help = "More new alerts after an execution than this, on average." },                                 \
        { path ".recurrence",                                                                                \
          CONFIG_NUMBER,                                                                                     \
          AT(field.recurrence),                                                                              \
          .def = share,                                                                                      \
          .min = 0,                                                                                          \
          .max = 1,                                                                                          \
          .flags = CONFIG_RELOADABLE,                                                                        \
          .help = "A larger share of executions than this after which the same alert came again." }
const struct config_key config_keys_oscillation[] = {
    { "enabled", CONFIG_BOOL, AT(enabled), .def = "true", .flags = CONFIG_RELOADABLE,
      .help = "Look for patterns before each decision and before each execution." },
    { "window", CONFIG_DURATION, AT(window_ms), .def = "3h", .min = MINUTE_MS, .max = 30 * DAY_MS,
      .flags = CONFIG_RELOADABLE, .help = "How far back the detectors look." },
    { "cascade_after", CONFIG_DURATION, AT(cascade_after_ms), .def = "30m", .min = SECOND_MS, .max = DAY_MS,
      .flags = CONFIG_RELOADABLE,
      .help = "New alerts on a resource so soon after an execution are put down to it." },
    { "thrashing_gap", CONFIG_DURATION, AT(thrashing_gap_ms), .def = "45m", .min = SECOND_MS, .max = DAY_MS,
      .flags = CONFIG_RELOADABLE,
      .help = "increase_resources and scale_deployment farther apart than this are no thrashing." },
    { "hpa_fight_gap", CONFIG_DURATION, AT(hpa_fight_gap_ms), .def = "30m", .min = SECOND_MS, .max = DAY_MS,
      .flags = CONFIG_RELOADABLE, .help = "An autoscaler that undoes a scaling does so within this." },
    { "cooling_period", CONFIG_DURATION, AT(cooling_period_ms), .def = "30m", .min = 0, .max = 30 * DAY_MS,
      .flags = CONFIG_RELOADABLE, .help = "How long a pattern's actions rest after cooling-period." },
    { "block_period", CONFIG_DURATION, AT(block_ms), .def = "1h", .min = 0, .max = 30 * DAY_MS,
      .flags = CONFIG_RELOADABLE, .help = "How long block-action keeps a pattern's actions back." },
    { "resolve_after", CONFIG_DURATION, AT(resolve_after_ms), .def = "3h", .min = MINUTE_MS,
      .max = 30 * DAY_MS, .flags = CONFIG_RELOADABLE,
      .help = "A pattern that shows nothing new for so long has ended." },
    BAND("scale.critical", scale.critical, "4", "1h", "0.5", "changes of direction"),
    BAND("scale.high", scale.high, "3", "2h", "0.7", "changes of direction"),
    BAND("scale.medium", scale.medium, "2", "3h", "0", "changes of direction"),
    BAND("scale.low", scale.low, "2", "0", "0", "changes of direction"),
    BAND("thrashing.critical", thrashing.critical, "3", "0", "0.6", "transitions"),
    BAND("thrashing.high", thrashing.high, "2", "0", "0.7", "transitions"),
    COUNT_KEY("thrashing.medium", thrashing.medium, "1", "transitions"),
    { "thrashing.medium.within", CONFIG_DURATION, AT(thrashing.medium.within_ms), .def = "15m", .min = 0,
      .max = YEAR_MS, .flags = CONFIG_RELOADABLE, .help = "With an average gap below this; 0: any." },
    SCORE_KEY("thrashing.medium", thrashing.medium, "0"),
    BAND("thrashing.low", thrashing.low, "1", "0", "0", "transitions"),
    BAND("ineffective.critical", ineffective.critical, "5", "0", "0.3", "repetitions"),
    BAND("ineffective.high", ineffective.high, "4", "0", "0.5", "repetitions"),
    BAND("ineffective.medium", ineffective.medium, "3", "0", "0.6", "repetitions"),
    BAND("ineffective.low", ineffective.low, "2", "0", "0.4", "repetitions"),
    CASCADE("cascade.critical", cascade_critical, "2", "0.5"),
    CASCADE("cascade.high", cascade_high, "1.5", "0.7"),
    CASCADE("cascade.medium", cascade_medium, "1", "0.4"),
    BAND("restart.critical", restart.critical, "6", "1h", "0.5", "restarts"),
    BAND("restart.high", restart.high, "4", "1h", "0.7", "restarts"),
    BAND("restart.medium", restart.medium, "3", "1h", "0", "restarts"),
    BAND("restart.low", restart.low, "3", "3h", "0.5", "restarts"),
    BAND("hpa_fight.critical", hpa_fight.critical, "4", "2h", "0", "scalings undone by an autoscaler"),
    BAND("hpa_fight.high", hpa_fight.high, "3", "2h", "0", "scalings undone by an autoscaler"),
    BAND("hpa_fight.medium", hpa_fight.medium, "2", "3h", "0", "scalings undone by an autoscaler"),
    BAND("hpa_fight.low", hpa_fight.low, "1", "0", "0", "scalings undone by an autoscaler"),
    { 0 },
};
#undef AT

static bool check_action_time(const char *text, struct error **err)
{
    int64_t ms;
    return (duration_parse(str_of(text), &ms) && ms >= SECOND_MS) ||
           error_set(err, ERROR_INVALID, "not a time from 1s on: write 5m");
}

/* The names themselves are checked where actions are known: config/ is below them. */
static bool check_action_or_all(const char *text, struct error **err)
{
    return strcmp(text, "*") == 0 || strspn(text, "abcdefghijklmnopqrstuvwxyz_") == strlen(text) ||
           error_set(err, ERROR_INVALID, "not an action: `actions list` shows them");
}

#define AT(field) offsetof(struct config_effectiveness, field)
const struct config_key config_keys_effectiveness[] = {
    { "enabled", CONFIG_BOOL, AT(enabled), .def = "true", .flags = CONFIG_RELOADABLE,
      .help = "Look at what came of each execution." },
    { "assess_after", CONFIG_DURATION, AT(assess_after_ms), .def = "10m", .min = SECOND_MS, .max = DAY_MS,
      .flags = CONFIG_RELOADABLE, .help = "How long after an execution." },
    { "assess_after_of", CONFIG_TEXT_MAP, AT(assess_after_of), .flags = CONFIG_RELOADABLE,
      .check = check_action_time, .help = "The same for single actions: `{drain_node: 30m}`." },
    { "stable_for", CONFIG_DURATION, AT(stable_for_ms), .def = "5m", .min = SECOND_MS, .max = DAY_MS,
      .flags = CONFIG_RELOADABLE, .help = "A workload without restarts for so long is stable." },
    { "query_timeout", CONFIG_DURATION, AT(query_timeout_ms), .def = "10s", .min = 10, .max = HOUR_MS,
      .flags = CONFIG_RELOADABLE, .help = "Longest wait for one source of evidence." },
    { "retry", CONFIG_DURATION, AT(retry_ms), .def = "1m", .min = SECOND_MS, .max = DAY_MS,
      .flags = CONFIG_RELOADABLE, .help = "Until the next look while no source answers." },
    { "give_up", CONFIG_DURATION, AT(give_up_ms), .def = "1h", .min = SECOND_MS, .max = 30 * DAY_MS,
      .flags = CONFIG_RELOADABLE, .help = "After this the assessment is made with what is known." },
    { "undo_below", CONFIG_NUMBER, AT(undo_below), .def = "0.3", .min = 0, .max = 1,
      .flags = CONFIG_RELOADABLE, .help = "An execution of undo_actions that scores less is undone, once." },
    { "undo_actions", CONFIG_TEXTS, AT(undo_actions), .check = check_action_or_all,
      .flags = CONFIG_RELOADABLE,
      .help = "Actions that are undone by themselves where they did not help; `*`: all that can be." },
    { 0 },
};
#undef AT

#define AT(field) offsetof(struct config_learning, field)
const struct config_key config_keys_learning[] = {
    { "enabled", CONFIG_BOOL, AT(enabled), .def = "true", .flags = CONFIG_RELOADABLE,
      .help = "Let decisions know how often each action helped." },
    { "half_life", CONFIG_DURATION, AT(half_life_ms), .def = "30d", .min = HOUR_MS, .max = 20 * YEAR_MS,
      .help = "An outcome is worth half as much after this." },
    { "prior_strength", CONFIG_NUMBER, AT(prior_strength), .def = "4", .min = 0.1, .max = 1000,
      .flags = CONFIG_RELOADABLE,
      .help = "How many cases of its own a narrower rate needs to outweigh the wider one." },
    { 0 },
};
