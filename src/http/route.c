/* Matching a path with the rooms' tables of routes. */
#include "http/http_internal.h"

/* One pattern against one path; fills params. "{id}" takes one segment that is not empty, "{rest...}" all that is left. */
static bool matches(const char *pattern, struct http_request *request)
{
    struct str path = request->path, wanted = str_of(pattern), part, segment;
    size_t params = 0;
    memset(request->params, 0, sizeof request->params);
    memset(request->param_names, 0, sizeof request->param_names);
    while (str_split(&wanted, '/', &part)) {
        bool is_param = part.len > 2 && part.ptr[0] == '{' && params < HTTP_PARAMS_MAX;
        if (is_param && str_ends_with(part, STR("...}"))) {
            request->param_names[params] = str_slice(part, 1, part.len - 4);
            request->params[params] = path;
            return true;
        }
        if (!str_split(&path, '/', &segment))
            return false;
        if (is_param && segment.len) {
            request->param_names[params] = str_slice(part, 1, part.len - 1);
            request->params[params++] = segment;
        } else if (is_param || !str_eq(part, segment)) {
            return false;
        }
    }
    return path.len == 0 && !str_ends_with(request->path, STR("//"));
}

static bool method_fits(const struct http_route *route, struct str method)
{
    return str_eq(method, str_of(route->method)) ||
           (str_eq(method, STR("HEAD")) && strcmp(route->method, "GET") == 0);
}

/* The first route that fits wins, so tables name fixed paths before patterns. */
const struct http_route *route_find(const struct http_server *server, struct http_request *request,
                                    unsigned groups, bool *other_method)
{
    *other_method = false;
    for (size_t i = 0; i < server->added_len; i++) {
        for (const struct http_route *route = server->added[i].routes; route->method; route++) {
            if (!(route->groups & groups) || !matches(route->path, request))
                continue;
            if (method_fits(route, request->method)) {
                request->route_context = server->added[i].context;
                return route;
            }
            *other_method = true;
        }
    }
    return NULL;
}

void route_allowed(const struct http_server *server, struct http_request *request, unsigned groups,
                   struct strbuf *allowed)
{
    for (size_t i = 0; i < server->added_len; i++)
        for (const struct http_route *route = server->added[i].routes; route->method; route++)
            if ((route->groups & groups) && matches(route->path, request))
                strbuf_addf(allowed, "%s%s", allowed->len ? ", " : "", route->method);
}
