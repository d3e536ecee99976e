/* What the files of policy/ tell each other. */
#ifndef POLICY_POLICY_INTERNAL_H
#define POLICY_POLICY_INTERNAL_H

#include "config/yaml.h"
#include "policy/policy.h"

enum { POLICY_RULES_MAX = 1000, POLICY_PATTERNS_MAX = 1000 };

struct patterns { /* alternatives; none at all: no condition */
    struct str *items;
    size_t count;
};

struct window { /* every part that is set must hold */
    struct str name;
    unsigned days;        /* BIT(0) is Monday; 0: all */
    int from_min, to_min; /* minutes of the day, to before from goes over midnight; both 0: all day */
    int offset_min;       /* of UTC */
    int64_t starts, ends; /* UTC ms; 0: open */
    struct window *next;
};

struct label_condition {
    struct str name;
    struct patterns patterns;
    struct label_condition *next;
};

struct rule {
    struct str name, reason;
    enum verdict then;
    uint32_t actions;    /* BIT(action); no condition: all but notify_only */
    unsigned risks;      /* BIT(risk); 0: no condition */
    unsigned categories; /* likewise */
    struct patterns cluster, namespace, kind, resource, severity;
    struct label_condition *labels;
    bool has_confidence, low_open, high_open; /* open: the bound itself does not match */
    double low, high;
    const struct window *window;
    bool outside; /* of the window */
    struct rule *next;
};

struct freeze {
    struct str name;
    const struct window *window;
    uint32_t except;
    struct freeze *next;
};

enum { PER_ACTION = 1, PER_NAMESPACE = 2, PER_RESOURCE = 4 };
struct limit {
    struct str name;
    uint32_t actions;
    unsigned per;                 /* PER_…; 0: the whole cluster */
    int64_t executions, replicas; /* at most; -1: not limited */
    int64_t within_ms;
    struct limit *next;
};

struct example {
    struct str name, rule; /* rule "": whichever */
    struct policy_question given;
    enum verdict expect;
    int line;
    struct example *next;
};

struct policy {
    struct arena *arena;
    const char *name;
    char sha256[SHA256_HEX_LEN + 1];
    struct window *windows;
    struct freeze *freezes;
    struct action_bounds bounds[ACTION_COUNT];
    struct limit *limits;
    struct rule *rules;
    struct example *examples;
};

/* read.c: what the sections of a file are made of. Errors carry the position of `at`. */
struct reading {
    struct policy *policy;
    struct error **err;
};
__attribute__((format(printf, 3, 4))) bool policy_read_fail(const struct reading *in, const struct yaml *at,
                                                            const char *format, ...);
bool policy_read_known_keys(const struct reading *in, const struct yaml *map, const char *what,
                            const char *const *keys);
bool policy_read_text(const struct reading *in, const struct yaml *map, const char *key, bool required,
                      struct str *text);
bool policy_read_patterns(const struct reading *in, const struct yaml *map, const char *key,
                          struct patterns *patterns);
bool policy_read_actions(const struct reading *in, const struct yaml *map, const char *key,
                         uint32_t *actions);
bool policy_read_verdict(const struct reading *in, const struct yaml *map, const char *key,
                         enum verdict *verdict);
bool policy_read_rule(const struct reading *in, const struct yaml *node, struct rule *rule);
bool policy_read_limit(const struct reading *in, const struct yaml *node, struct limit *limit);
bool policy_read_bounds(const struct reading *in, const struct yaml *map);
bool policy_read_example(const struct reading *in, const struct yaml *node, struct example *example);

/* windows.c */
bool policy_read_window(const struct reading *in, const struct yaml *map, struct window *window);
bool policy_window_holds(const struct window *window, int64_t at);

/* judge.c */
bool policy_pattern_matches(struct str pattern, struct str value);

extern struct limit policy_default_limits[]; /* limits.c; a list by `next` */

#endif
