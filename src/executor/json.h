/* JSON texts in an arena: what steps are made of. */
#ifndef EXECUTOR_JSON_H
#define EXECUTOR_JSON_H

#include <yyjson.h>

#include "base/base.h"

/* A document whose memory is the arena's: nothing to free. */
yyjson_doc *json_read(struct arena *arena, const char *text);
yyjson_mut_doc *json_doc(struct arena *arena);
const char *json_text(struct arena *arena, yyjson_val *value);         /* "null" for NULL */
const char *json_mut_text(struct arena *arena, yyjson_mut_val *value); /* likewise */
const char *json_quote(struct arena *arena, const char *text);

/* A JSON Pointer that may also look into lists by a name: "/spec/containers[name=web]/resources". */
yyjson_val *json_at(yyjson_val *root, const char *path);
/* Equal as Kubernetes sees it: "1000m" and 1 are, {} and nothing are, null and nothing are. */
bool json_equal(yyjson_val *a, yyjson_val *b);
bool json_text_equal(struct arena *arena, const char *a, const char *b);

/* Set root/path = value, making the maps on the way; paths without lists only. */
void json_set(yyjson_mut_doc *doc, yyjson_mut_val *root, const char *path, yyjson_mut_val *value);
/* The same for a text of JSON. */
const char *json_with(struct arena *arena, const char *object, const char *path, const char *value);

#endif
