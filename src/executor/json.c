#include "executor/json.h"

#include <math.h>
#include <stdlib.h>

/* yyjson asks for memory as malloc does; an arena never gives any back. */
static void *take(void *context, size_t size)
{
    return arena_alloc(context, size);
}
static void *take_again(void *context, void *old, size_t old_size, size_t size)
{
    void *new = arena_alloc(context, size);
    memcpy(new, old, MIN(old_size, size));
    return new;
}
static void leave(void *context, void *memory)
{
    (void)context;
    (void)memory;
}

yyjson_doc *json_read(struct arena *arena, const char *text)
{
    yyjson_alc alc = { take, take_again, leave, arena };
    return text ? yyjson_read_opts((char *)text, strlen(text), YYJSON_READ_NOFLAG, &alc, NULL) : NULL;
}

yyjson_mut_doc *json_doc(struct arena *arena)
{
    yyjson_alc *alc = ARENA_NEW(arena, yyjson_alc);
    *alc = (yyjson_alc){ take, take_again, leave, arena };
    return yyjson_mut_doc_new(alc);
}

const char *json_text(struct arena *arena, yyjson_val *value)
{
    yyjson_alc alc = { take, take_again, leave, arena };
    char *text = value ? yyjson_val_write_opts(value, YYJSON_WRITE_NOFLAG, &alc, NULL, NULL) : NULL;
    return text ? text : "null";
}

const char *json_mut_text(struct arena *arena, yyjson_mut_val *value)
{
    yyjson_alc alc = { take, take_again, leave, arena };
    char *text = value ? yyjson_mut_val_write_opts(value, YYJSON_WRITE_NOFLAG, &alc, NULL, NULL) : NULL;
    return text ? text : "null";
}

const char *json_quote(struct arena *arena, const char *text)
{
    AUTO(strbuf) struct strbuf out = { 0 };
    strbuf_add_json(&out, str_of(text));
    return arena_text(arena, strbuf_str(&out));
}

/* A segment of a pointer with ~1 and ~0 undone. */
static struct str unescape(struct str segment, char text[512])
{
    size_t len = 0;
    for (size_t i = 0; i < segment.len && len + 1 < 512; i++) {
        char c = segment.ptr[i];
        if (c == '~' && i + 1 < segment.len && (segment.ptr[i + 1] == '0' || segment.ptr[i + 1] == '1'))
            c = segment.ptr[++i] == '1' ? '/' : '~';
        text[len++] = c;
    }
    return (struct str){ text, len };
}

/* "name=web]" of a list; */
static yyjson_val *find_in(yyjson_val *list, struct str condition)
{
    struct str key, value = str_slice(condition, 0, condition.len - str_ends_with(condition, STR("]")));
    if (!str_split(&value, '=', &key))
        return NULL;
    yyjson_val *item;
    yyjson_arr_iter items = yyjson_arr_iter_with(list);
    while ((item = yyjson_arr_iter_next(&items))) {
        yyjson_val *found = yyjson_obj_getn(item, key.ptr, key.len);
        if (yyjson_is_str(found) && str_eq(str_of(yyjson_get_str(found)), value))
            return item;
    }
    return NULL;
}

yyjson_val *json_at(yyjson_val *root, const char *path)
{
    struct str rest = str_of(path), segment;
    char text[512];
    str_split(&rest, '/', &segment); /* what is before the first slash: nothing */
    while (root && str_split(&rest, '/', &segment)) {
        size_t bracket;
        struct str key = segment, condition = { 0 };
        if (str_find(segment, STR("["), &bracket)) {
            key = str_slice(segment, 0, bracket);
            condition = str_slice(segment, bracket + 1, segment.len);
        }
        key = unescape(key, text);
        root = yyjson_obj_getn(root, key.ptr, key.len);
        if (condition.len)
            root = find_in(root, condition);
    }
    return root;
}

static bool is_nothing(yyjson_val *value)
{
    return !value || yyjson_is_null(value) || (yyjson_is_obj(value) && yyjson_obj_size(value) == 0);
}

static bool quantity_of(yyjson_val *value, int64_t *milli)
{
    if (yyjson_is_str(value))
        return quantity_parse((struct str){ yyjson_get_str(value), yyjson_get_len(value) }, milli);
    if (!yyjson_is_int(value) || llabs(yyjson_get_sint(value)) > INT64_C(1000000000000))
        return false;
    *milli = yyjson_get_sint(value) * 1000;
    return true;
}

static bool objects_equal(yyjson_val *a, yyjson_val *b)
{
    yyjson_val *key;
    yyjson_obj_iter keys = yyjson_obj_iter_with(a);
    while ((key = yyjson_obj_iter_next(&keys)))
        if (!json_equal(yyjson_obj_iter_get_val(key),
                        yyjson_obj_getn(b, yyjson_get_str(key), yyjson_get_len(key))))
            return false;
    keys = yyjson_obj_iter_with(b);
    while ((key = yyjson_obj_iter_next(&keys)))
        if (!is_nothing(yyjson_obj_iter_get_val(key)) &&
            !yyjson_obj_getn(a, yyjson_get_str(key), yyjson_get_len(key)))
            return false;
    return true;
}

bool json_equal(yyjson_val *a, yyjson_val *b)
{
    int64_t one, other;
    if (is_nothing(a) || is_nothing(b))
        return is_nothing(a) && is_nothing(b);
    if (yyjson_is_obj(a) && yyjson_is_obj(b))
        return objects_equal(a, b);
    if (yyjson_is_arr(a) && yyjson_is_arr(b)) {
        size_t count = yyjson_arr_size(a);
        for (size_t i = 0; i < count && count == yyjson_arr_size(b); i++)
            if (!json_equal(yyjson_arr_get(a, i), yyjson_arr_get(b, i)))
                return false;
        return count == yyjson_arr_size(b);
    }
    if (yyjson_equals(a, b))
        return true;
    return quantity_of(a, &one) && quantity_of(b, &other) && one == other;
}

bool json_text_equal(struct arena *arena, const char *a, const char *b)
{
    return json_equal(yyjson_doc_get_root(json_read(arena, a)), yyjson_doc_get_root(json_read(arena, b)));
}

void json_set(yyjson_mut_doc *doc, yyjson_mut_val *root, const char *path, yyjson_mut_val *value)
{
    struct str rest = str_of(path), segment;
    char text[512];
    str_split(&rest, '/', &segment);
    while (str_split(&rest, '/', &segment)) {
        struct str key = unescape(segment, text);
        bool last = rest.len == 0;
        yyjson_mut_val *child = last ? NULL : yyjson_mut_obj_getn(root, key.ptr, key.len);
        if (last) {
            yyjson_mut_obj_put(root, yyjson_mut_strncpy(doc, key.ptr, key.len), value);
            return;
        }
        if (!yyjson_mut_is_obj(child)) {
            child = yyjson_mut_obj(doc);
            yyjson_mut_obj_put(root, yyjson_mut_strncpy(doc, key.ptr, key.len), child);
        }
        root = child;
    }
}

const char *json_with(struct arena *arena, const char *object, const char *path, const char *value)
{
    yyjson_mut_doc *doc = json_doc(arena);
    yyjson_mut_val *root = yyjson_val_mut_copy(doc, yyjson_doc_get_root(json_read(arena, object)));
    if (!yyjson_mut_is_obj(root))
        root = yyjson_mut_obj(doc);
    yyjson_val *given = yyjson_doc_get_root(json_read(arena, value));
    json_set(doc, root, path, given ? yyjson_val_mut_copy(doc, given) : yyjson_mut_null(doc));
    return json_mut_text(arena, root);
}
