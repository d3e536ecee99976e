/* YAML with the position of everything, by libfyaml's events: files that people write (configuration, policies,
 * runbook indexes, catalogues). Safe on hostile input: size and depth are limited, anchors and tags are refused, a
 * duplicate key is an error. */
#ifndef CONFIG_YAML_H
#define CONFIG_YAML_H

#include <stdbool.h>
#include <stddef.h>

#include "base/base.h"

enum { YAML_SIZE_MAX = 16 * 1024 * 1024, YAML_DEPTH_MAX = 32, YAML_KEYS_MAX = 10000 };
enum yaml_kind { YAML_NULL, YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml {
    enum yaml_kind kind;
    bool quoted;      /* a scalar in quotes or a block: never null, never a number */
    int line, column; /* from 1, of the value */
    struct str text;  /* of a scalar; valid UTF-8, ended by a NUL */
    struct str key;   /* where the parent is a map */
    int key_line, key_column;
    struct yaml *first, *next; /* children in the file's order; the next child of the same parent */
};

/* Parse one document. `name` is what messages call the file. Returns a tree that lives as long as the arena, for an
 * empty file a YAML_NULL; or NULL with ERROR_INVALID, "name:line:column: what is wrong". */
struct yaml *yaml_parse(struct arena *arena, const char *name, struct str text, struct error **err);

const struct yaml *yaml_get(const struct yaml *map, const char *key); /* NULL if there is none */
size_t yaml_count(const struct yaml *node);                           /* children */
const char *yaml_kind_name(enum yaml_kind kind);                      /* "a list" */

/* Add `text` as a YAML scalar, quoted where it has to be. */
void yaml_add_scalar(struct strbuf *out, struct str text);

#endif
