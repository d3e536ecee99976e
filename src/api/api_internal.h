/* What the files of api/ tell each other: routes.c answers, lists.c writes what is answered, story.c an incident's
 * history. */
#ifndef API_API_INTERNAL_H
#define API_API_INTERNAL_H

#include "api/api.h"
#include "store/list.h"

/* ,"decision":{…},"verdict":…,"execution":…,"assessment":…   the latest of each, or null */
bool story_write_latest(struct tx *tx, const char *incident_id, struct strbuf *out, struct error **err);
/* ,"decisions":[…],"verdicts":[…],"executions":[…],"assessments":[…]   newest first */
bool story_write_all(struct tx *tx, const char *incident_id, struct strbuf *out, struct error **err);

#endif
