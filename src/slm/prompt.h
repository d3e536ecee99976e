/* The prompt: a static part (role, rules, the catalogue) that is the same for every alert, then the variable part
 * (context and alert, made safe, fenced and bounded). Templates: models/prompts/, embedded by the build. */
#ifndef SLM_PROMPT_H
#define SLM_PROMPT_H

#include <stddef.h>

#include "base/arena.h"
#include "slm/slm.h"

/* The static part's text. Its SHA-256 together with the layout's version names the prompt: heads belong to it. */
struct str prompt_system(void);
const char *prompt_sha256(void);

/* The parts of the variable text, by value: where room is short the last are dropped first, never cut in the middle. */
enum prompt_part {
    PROMPT_ALERT,
    PROMPT_FAILURES,                              /* past executions that failed or did not help, newest first */
    PROMPT_PATTERN,                               /* oscillation */
    PROMPT_CLUSTER,
    PROMPT_EVENTS,
    PROMPT_PAST,                                  /* the other past executions */
    PROMPT_PART_COUNT
};
extern const char *const prompt_part_names[PROMPT_PART_COUNT];

/* The variable part as text: those parts whose bit is set in `parts` (the alert always), each fenced, alert last. */
struct str prompt_user(struct arena *arena, const struct slm_question *question, unsigned parts);

/* Which parts of `question` hold anything. */
unsigned prompt_parts_present(const struct slm_question *question);

#endif
