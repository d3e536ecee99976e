/* app.*, logging.*, audit.* */
#ifndef CONFIG_SECTIONS_APP_H
#define CONFIG_SECTIONS_APP_H

#include "config/keys.h"

struct config_app {
    const char *name;    /* shown in notifications and traces */
    const char *version; /* accepted from older files; ours is the program's own */
};

struct config_logging {
    int level;  /* enum log_level */
    int format; /* enum log_format */
};

struct config_audit {
    const char *key_file; /* Ed25519 private key (PEM) that signs checkpoints; "": made at first start */
    int64_t checkpoint_every_ms, max_age_ms;
};

extern const struct config_key config_keys_app[], config_keys_logging[], config_keys_audit[];

#endif
