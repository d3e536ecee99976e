/* Where the files that decisions are made with are found: the model, and what was fitted for it. A user's own (in the
 * state directory, written by `model train-head`) go before those that the program carries. */
#ifndef SLM_FILES_H
#define SLM_FILES_H

#include <stdbool.h>

#include "base/error.h"
#include "config/config.h"
#include "slm/fusion.h"
#include "slm/layer.h"

/* slm.model as a path: itself if it names a file, else NAME.gguf in slm.model_dir. The caller frees. */
char *files_model_path(const struct config *config);
/* "smollm2-135m" of either. The caller frees. */
char *files_model_name(const struct config *config);
char *files_cache_directory(const struct config *config);     /* slm.cache_dir or its default; the caller frees */
char *files_fitted_directory(void);               /* the state directory's `decisions`; the caller frees */

/* The prior; the head of `model`, if one was fitted for exactly this model and prompt (`note`); the fusion, of the
 * model where it has one, else that for decisions without a model. NULL: there is none. Damaged files of the user are
 * logged and passed over. */
struct layer *files_prior(void);
struct layer *files_head(const char *model, const char *note);
struct fusion *files_fusion(const char *model, const char *note);

#endif
