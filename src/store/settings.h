/* Small facts with a name: what a command has set for all replicas, what was done last. Values are text. */
#ifndef STORE_SETTINGS_H
#define STORE_SETTINGS_H

#include "store/store.h"

bool setting_get(struct tx *tx, struct arena *arena, const char *name, struct str *value, bool *found,
                 struct error **err);
bool setting_set(struct tx *tx, const char *name, struct str value, struct error **err);
bool setting_delete(struct tx *tx, const char *name, struct error **err);

#endif
