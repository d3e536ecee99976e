/* history.*, oscillation.*, effectiveness.*, learning.* */
#ifndef CONFIG_SECTIONS_MEMORY_H
#define CONFIG_SECTIONS_MEMORY_H

#include "config/keys.h"

struct config_history {
    int64_t max_age_ms;  /* older rows are deleted */
    int64_t max_actions; /* executions kept for a resource */
    int64_t retention_period_ms;
};

/* A severity of a detector: it is reached when every condition that is set holds. */
struct config_band {
    double at_least;    /* of what the detector counts */
    int64_t within_ms;  /* the span of what was counted; 0: any */
    double score_below; /* the average score; 0: not asked */
};
struct config_detector { /* from critical to low; what reaches none is no finding */
    struct config_band critical, high, medium, low;
};

struct config_cascade_band {
    double new_alerts; /* average of new alerts after an execution */
    double recurrence; /* share of executions after which the same alert came again */
};

struct config_oscillation {
    bool enabled;
    int64_t window_ms;        /* how far back detectors look */
    int64_t cascade_after_ms; /* new alerts within this after an execution are put down to it */
    int64_t thrashing_gap_ms; /* neighbours farther apart are no transition */
    int64_t hpa_fight_gap_ms; /* an autoscaler's answer comes within this */
    int64_t cooling_period_ms, block_ms;
    int64_t resolve_after_ms; /* a pattern without news for so long has ended */
    struct config_detector scale, thrashing, ineffective, restart, hpa_fight;
    struct config_cascade_band cascade_critical, cascade_high, cascade_medium;
};

struct config_effectiveness {
    bool enabled;
    int64_t assess_after_ms;
    struct config_text_map assess_after_of; /* action to duration */
    int64_t stable_for_ms;                  /* no restarts for so long is stable */
    int64_t query_timeout_ms;
    int64_t retry_ms, give_up_ms; /* while no source answers */
    double undo_below;                /* a score under this makes an undo, … */
    struct config_texts undo_actions; /* … of these */
};

struct config_learning {
    bool enabled;
    int64_t half_life_ms;
    double prior_strength; /* how many cases a parent's rate is worth to its child */
};

extern const struct config_key config_keys_history[], config_keys_oscillation[], config_keys_effectiveness[],
    config_keys_learning[];

#endif
