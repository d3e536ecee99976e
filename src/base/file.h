/* Files: read whole, replace as one step, find the user's directories. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/str.h"

/* The whole file into a buffer that the caller frees (*text is ended by a NUL that len does not count).
 * ERROR_LIMIT if it is larger than `max` bytes. */
bool file_read(const char *path, size_t max, struct strbuf *text, struct error **err);

/* Write beside `path`, fsync, rename over it, fsync the folder: old or new content, never a mixture.
 * `mode` is that of the new file, 0600 for what holds secrets. */
bool file_replace(const char *path, struct str content, unsigned mode, struct error **err);

bool file_exists(const char *path);
bool file_make_directories(const char *path, struct error **err); /* as mkdir -p, mode 0700 */

/* The user's folder for our state, or cache: $XDG_STATE_HOME, $XDG_CACHE_HOME or their defaults, with
 * /prometheus-alerts-slm added; as root without HOME /var/lib and /var/cache. The caller frees. */
char *file_state_directory(void);
char *file_cache_directory(void);

#endif
