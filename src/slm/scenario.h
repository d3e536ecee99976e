/* Labelled alerts: what decisions are measured with, and what heads and priors are fitted on.
 * One JSON object a line: id, rule, alert, best, acceptable[], unsafe[], category, hard?, injection?. A line that is a
 * bare alert has no labels. */
#ifndef SLM_SCENARIO_H
#define SLM_SCENARIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "action/action.h"
#include "alert/alert.h"
#include "base/arena.h"
#include "base/error.h"

struct scenario {
    struct str id, rule;
    struct alert alert;
    bool labelled, hard, injection;
    enum action best;
    uint32_t acceptable, unsafe; /* sets of actions; acceptable holds best */
};

struct scenario_list {
    struct scenario *items;
    size_t count, cap;
};

/* Append a file's scenarios; all strings live as long as the arena, and the caller frees
 * list->items. Errors name the file and the line. */
bool scenarios_read(struct arena *arena, const char *path, struct scenario_list *list, struct error **err);

#endif
