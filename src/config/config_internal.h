/* What this folder's files tell each other. */
#ifndef CONFIG_INTERNAL_H
#define CONFIG_INTERNAL_H

#include "config/config.h"
#include "config/yaml.h"

enum { CONFIG_ERRORS_MAX = 50, CONFIG_SECRET_FILE_MAX = 64 * 1024, CONFIG_NAME_MAX = 256 };

enum config_source { SOURCE_DEFAULT, SOURCE_FILE, SOURCE_ENVIRONMENT, SOURCE_SET, SOURCE_DERIVED };

struct secret_file {
    const char *path;
    char hash[SHA256_HEX_LEN + 1];
};

/* What is known of one row of the sections' tables besides its value. */
struct config_slot {
    const struct config_keys *section;
    const struct config_key *key;
    const char *name; /* "slm.model" */
    enum config_source source;
    const struct config_key *via; /* the row that set it: another one where that is same_as this */
    const char *where;            /* "config.yaml:12:9", "environment LOG_LEVEL", "--set slm.model" */
};

struct config_private {
    struct arena *arena;
    struct config_slot *slots;
    size_t slots_len;
    const char *path;
    struct secret_file *secrets;
    size_t secrets_len, secrets_cap;
    unsigned holders; /* config_live's, under its lock */
};

/* Loading: errors are gathered, not returned. */
struct loader {
    struct config *config;
    struct config_private *private;
    struct arena *arena;
    char *const *environment;
    struct strbuf errors;
    unsigned error_count;
};
__attribute__((format(printf, 3, 4))) void loader_fail(struct loader *loader, const char *where,
                                                       const char *format, ...);
const char *loader_getenv(const struct loader *loader, const char *name);

/* value.c: one value between text and its field. */
bool value_parse(struct loader *loader, const struct config_key *key, struct str text, void *field,
                 struct error **err);
void value_format(const struct config_key *key, const void *field,
                  struct strbuf *out); /* scalars; secrets masked */
bool value_is_empty(const struct config_key *key, const void *field);
bool value_equal(const struct config_key *key, const void *a, const void *b);
bool value_is_scalar(const struct config_key *key);

/* expand.c: ${VAR}, ${VAR:-default}, $$. */
bool value_expand(struct loader *loader, struct str text, struct str *out, struct error **err);

/* slot.c: the rows of all sections, flat. */
void slots_make(struct config_private *private);
struct config_slot *slot_find(const struct config_private *private, struct str name);
void *slot_field(const struct config *config, const struct config_slot *slot);
const struct config_slot *slot_target(const struct config_private *private, const struct config_slot *slot);
const char *slot_nearest(const struct config_private *private, struct str name, char text[CONFIG_NAME_MAX]);

/* read.c: a YAML tree into the struct. */
void read_tree(struct loader *loader, const char *file, const struct yaml *root);
void read_text(struct loader *loader, struct config_slot *slot, const char *where, enum config_source source,
               struct str text);
bool read_secret_file(struct loader *loader, const char *where, const char *path, struct str *secret);
void read_defaults(struct loader *loader, const struct config_key *keys, char *base);

/* validate.c: what no single row can say; fills in what follows from other keys. */
void config_validate(struct loader *loader);

#endif
