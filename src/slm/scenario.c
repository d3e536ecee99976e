#include "slm/scenario.h"

#include <stdlib.h>
#include <string.h>

#include <yyjson.h>

#include "base/file.h"
#include "base/mem.h"

enum { FILE_BYTES_MAX = 256 * 1024 * 1024 };

static struct str get_str(yyjson_val *object, const char *key)
{
    yyjson_val *value = yyjson_obj_get(object, key);
    return (struct str){ yyjson_get_str(value), yyjson_get_len(value) };
}

static bool read_set(yyjson_val *array, uint32_t *set, struct error **err)
{
    size_t i, count;
    yyjson_val *item;
    yyjson_arr_foreach(array, i, count, item)
    {
        enum action action;
        struct str name = { yyjson_get_str(item), yyjson_get_len(item) };
        if (!action_parse(name, &action))
            return error_set(err, ERROR_INVALID, "\"" STR_FMT "\" is not an action",
                             STR_ARG(str_slice(name, 0, 64)));
        *set |= BIT(action);
    }
    return true;
}

static bool read_alert(struct arena *arena, yyjson_val *value, struct alert *alert, struct error **err)
{
    size_t len;
    char *json = yyjson_val_write(value, 0, &len);
    struct alert_payload payload = { 0 };
    bool ok = json && alert_parse(arena, (struct str){ json, len }, &payload, err);
    free(json);
    if (!ok)
        return false;
    if (payload.count != 1)
        return error_set(err, ERROR_INVALID, "%zu alerts where one is expected", payload.count);
    *alert = payload.alerts[0];
    return true;
}

static bool read_labels(struct arena *arena, yyjson_val *root, struct scenario *scenario, struct error **err)
{
    struct str best = get_str(root, "best");
    scenario->id = arena_str(arena, get_str(root, "id"));
    scenario->rule = arena_str(arena, get_str(root, "rule"));
    scenario->hard = yyjson_get_bool(yyjson_obj_get(root, "hard"));
    scenario->injection = yyjson_get_bool(yyjson_obj_get(root, "injection"));
    if (!best.ptr)
        return true;
    if (!action_parse(best, &scenario->best))
        return error_set(err, ERROR_INVALID, "best: \"" STR_FMT "\" is not an action",
                         STR_ARG(str_slice(best, 0, 64)));
    scenario->labelled = true;
    scenario->acceptable = BIT(scenario->best);
    return read_set(yyjson_obj_get(root, "acceptable"), &scenario->acceptable, err) &&
           read_set(yyjson_obj_get(root, "unsafe"), &scenario->unsafe, err);
}

static bool read_line(struct arena *arena, struct str line, struct scenario *scenario, struct error **err)
{
    yyjson_read_err why;
    yyjson_doc *doc = yyjson_read_opts((char *)line.ptr, line.len, 0, NULL, &why);
    if (!doc)
        return error_set(err, ERROR_INVALID, "column %zu: %s", why.pos + 1, why.msg);
    yyjson_val *root = yyjson_doc_get_root(doc), *alert = yyjson_obj_get(root, "alert");
    bool ok = read_alert(arena, alert ? alert : root, &scenario->alert, err) &&
              read_labels(arena, root, scenario, err);
    if (ok && !scenario->id.len)
        scenario->id = arena_str(arena, str_of(scenario->alert.fingerprint));
    if (ok && !scenario->rule.len)
        scenario->rule = scenario->alert.name;
    yyjson_doc_free(doc);
    return ok;
}

static struct scenario *append(struct scenario_list *list)
{
    if (list->count == list->cap) {
        list->cap = MAX(list->cap * 2, (size_t)64);
        list->items = xrealloc(list->items, list->cap * sizeof *list->items);
    }
    struct scenario *scenario = &list->items[list->count++];
    *scenario = (struct scenario){ 0 };
    return scenario;
}

bool scenarios_read(struct arena *arena, const char *path, struct scenario_list *list, struct error **err)
{
    AUTO(strbuf) struct strbuf text = { 0 };
    if (!file_read(path, FILE_BYTES_MAX, &text, err))
        return false;
    struct str rest = strbuf_str(&text), line;
    for (size_t number = 1; str_split(&rest, '\n', &line); number++) {
        line = str_trim(line);
        if (line.len && !read_line(arena, line, append(list), err))
            return error_wrap(err, "%s:%zu", path, number);
    }
    return true;
}
