/* The table of keys. Each row says everything about one key, and all else is made from it: reading the file, the
 * environment and --set, defaults, bounds, `config show`, docs/configuration.md and the sample file.
 *
 * To add a key: a field in a section's struct (sections/NAME.h) and a row in its table (sections/NAME.c).
 * To add a section: those two files, a field in struct config, a line in sections.c. */
#ifndef CONFIG_KEYS_H
#define CONFIG_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"

enum config_type {
    CONFIG_TEXT,      /* const char *, never NULL: "" where nothing is set */
    CONFIG_BOOL,      /* bool */
    CONFIG_INT,       /* int64_t */
    CONFIG_NUMBER,    /* double */
    CONFIG_DURATION,  /* int64_t, milliseconds: "5m", "1h30m" */
    CONFIG_SIZE,      /* int64_t, bytes: "32Mi", "1G" */
    CONFIG_CHOICE,    /* int: one of the row's choices */
    CONFIG_TEXTS,     /* struct config_texts: a list, or one value, or "a,b" in the environment */
    CONFIG_CHOICES,   /* unsigned: a bit for each of the row's choices, from a list or "a,b" */
    CONFIG_TEXT_MAP,  /* struct config_text_map: name to text */
    CONFIG_TEXTS_MAP, /* struct config_texts_map: name to list of texts */
    CONFIG_LIST,      /* struct config_list: structs, described by the row's element */
};

enum config_flag {
    CONFIG_SECRET = 1,     /* never shown; NAME_file beside it (and ENV_FILE) names a file that holds it */
    CONFIG_URL_SECRET = 2, /* a URL that may carry a password: shown without */
    CONFIG_RELOADABLE =
        4, /* a reload changes it in the running process; others take effect at the next start */
    CONFIG_REQUIRED = 8, /* may not be empty */
    CONFIG_SHARED_ENV =
        16, /* the variable is other programs' too: it says what the file leaves open, and overrides nothing */
};

struct config_texts {
    const char **items;
    size_t count;
};
struct config_text_pair {
    const char *name, *text;
};
struct config_text_map {
    struct config_text_pair *items;
    size_t count;
};
struct config_texts_pair {
    const char *name;
    struct config_texts texts;
};
struct config_texts_map {
    struct config_texts_pair *items;
    size_t count;
};
struct config_list { /* what every list of structs looks like: { struct x *items; size_t count; } */
    void *items;
    size_t count;
};

struct config_choice {
    const char *name;
    int value; /* two names with the same value are synonyms; the first is shown */
};

struct config_key {
    const char *name; /* within its section, dotted where deeper: "tls.cert_file" */
    enum config_type type;
    size_t offset;   /* in the section's struct */
    const char *def; /* default, as one would write it; NULL: empty */
    double min, max; /* bounds of numbers, durations (ms), sizes (bytes); 0, 0: none */
    const char *env; /* environment variable, or NULL */
    const char *help;
    unsigned flags;
    const struct config_choice *choices; /* ended by a NULL name */
    const struct config_keys *element;   /* of a CONFIG_LIST */
    const char *same_as;                 /* another name of that key (in full): both given must agree */
    bool (*check)(const char *text,
                  struct error **err); /* of a text, or of each in a list; "" is not asked */
};

struct config_keys {
    const char *name; /* of the section: "server"; of an element: what one is called */
    const char *help;
    size_t offset;                 /* of the section in struct config */
    size_t size;                   /* of an element's struct */
    const struct config_key *keys; /* ended by a NULL name */
};

extern const struct config_keys config_sections[]; /* ended by a NULL name; sections.c */

/* Checks for rows. */
bool config_check_url(const char *text, struct error **err); /* http or https, with a host */
bool config_check_host_port(const char *text, struct error **err);
bool config_check_cidr(const char *text, struct error **err);
bool config_check_path(const char *text, struct error **err);    /* of a URL: begins with '/' */
bool config_check_address(const char *text, struct error **err); /* an IP address, or localhost */
bool config_check_time(const char *text, struct error **err);    /* RFC 3339 */

#endif
