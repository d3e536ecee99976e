/* Runbooks: short passages on kinds of failure, each naming the actions that fit it, found by the words of an alert.
 * Those of models/runbooks/ come with the program; a folder of the user's own may hold more. A passage is a file:
 *
 *     ---
 *     title: A volume with data is nearly full
 *     actions: [expand_pvc, collect_diagnostics]        the most fitting first
 *     words: disk full pvc                              further words to be found by; optional
 *     ---
 *     Two or three sentences.
 *
 * A file of the user's without the lines between --- has its first line as title and the actions that its text names. */
#ifndef SLM_RUNBOOK_H
#define SLM_RUNBOOK_H

#include <stddef.h>
#include <stdint.h>

#include "action/action.h"
#include "alert/alert.h"
#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"

enum {
    RUNBOOK_FILE_MAX = 64 * 1024, /* bytes of a file; larger ones are left out, with a warning */
    RUNBOOK_FILES_MAX = 5000,     /* of the user's folder, in order of their names */
    RUNBOOK_DEPTH_MAX = 4,        /* folders within the folder */
};

struct runbook_passage {
    struct str title, text, source; /* source: the file, "built-in" for ours */
    uint32_t actions;               /* those it names */
    double score;                   /* 0..1: how well it fits, against the best */
};

struct runbooks; /* locks itself */

/* Index the passages, in memory. `folder` may be NULL or "". ERROR_NOT_FOUND or ERROR_IO if it cannot be read; single
 * bad files are logged and left out. */
struct runbooks *runbooks_open(const char *folder, struct error **err);
void runbooks_close(struct runbooks *runbooks);
static inline void runbooks_cleanup(struct runbooks **runbooks)
{
    runbooks_close(*runbooks);
}

/* Find up to `max` passages for an alert, best first; returns how many. log_scores[action] becomes the natural logarithm
 * of the action's share in what the best passages name, none of them impossible; [0] is NAN where nothing was found.
 * Give the alert that injection_scan() has cleaned. */
size_t runbooks_ask(struct runbooks *runbooks, struct arena *arena, const struct alert *alert,
                    double log_scores[ACTION_COUNT], struct runbook_passage *passages, size_t max);

size_t runbooks_count(const struct runbooks *runbooks);

#endif
