/* REST for people and scripts: GET /api/v1/alerts, /api/v1/incidents, /api/v1/incidents/ID. Described in
 * docs/openapi.yaml, which a test holds against the real answers. */
#ifndef API_API_H
#define API_API_H

#include "http/http.h"
#include "store/alerts.h"
#include "store/incidents.h"
#include "store/store.h"

enum { API_LIMIT_DEFAULT = 50, API_LIMIT_MAX = 1000 };

void api_add_to(struct http_server *server, struct store *store); /* the store outlives the server */

/* /api/v1/actions and /api/v1/executions; the executor outlives the server. */
struct executor;
void api_add_executions_to(struct http_server *server, struct executor *executor);

/* The same lists for the command line: {"alerts":[…],"next_cursor":…}. The cursor of a page is the id of its last row. */
bool api_write_alerts(struct store *store, const struct alert_query *query, struct strbuf *out,
                      struct error **err);
bool api_write_incidents(struct store *store, const struct incident_query *query, struct strbuf *out,
                         struct error **err);
bool api_write_alert(struct store *store, const char *id, struct strbuf *out, struct error **err);

/* One incident with everything that is known: its alerts, decisions, verdicts, executions and their assessments. */
bool api_write_incident(struct store *store, const char *id, struct strbuf *out, struct error **err);

#endif
