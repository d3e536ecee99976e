/* Errors: a code that decides (HTTP status, retry or not, exit code) and a message that explains.
 * Functions that can fail take a trailing `struct error **err`; NULL there means "I do not want to know why". */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <stdbool.h>
#include <stddef.h>

enum error_code {
    ERROR_INVALID, /* bad input: it will never be accepted */
    ERROR_NOT_FOUND,
    ERROR_CONFLICT, /* the thing has changed, or is in a state that does not allow it */
    ERROR_EXISTS,
    ERROR_DENIED, /* not allowed: credentials, RBAC, policy */
    ERROR_UNAUTHENTICATED,
    ERROR_UNSUPPORTED, /* what is needed is not there: a CRD, a format, a feature */
    ERROR_UNAVAILABLE, /* it may pass: try again later */
    ERROR_TIMEOUT,
    ERROR_LIMIT, /* over a limit that was set: size, rate, depth, budget */
    ERROR_NO_MEMORY,
    ERROR_IO,
    ERROR_CORRUPT, /* stored data is damaged */
    ERROR_CANCELLED,
    ERROR_INTERNAL,
    ERROR_CODE_COUNT
};

struct error;

/* Set *err (if err is not NULL) and return false. An error already there is replaced. */
__attribute__((format(printf, 3, 4))) bool error_set(struct error **err, enum error_code code,
                                                     const char *format, ...);

/* Put "what was being done: " in front of the message. Returns false. */
__attribute__((format(printf, 2, 3))) bool error_wrap(struct error **err, const char *format, ...);

/* The code and text of an errno value, after what `format` says: "open /x: no such file or directory". Returns false. */
__attribute__((format(printf, 3, 4))) bool error_errno(struct error **err, int number, const char *format,
                                                       ...);

void error_free(struct error *error);
static inline void error_cleanup(struct error **error)
{
    error_free(*error);
}
void error_clear(struct error **err);                    /* free and set to NULL */
void error_move(struct error **to, struct error **from); /* to may be NULL: then it is freed */

const char *error_message(const struct error *error);  /* "" for NULL */
enum error_code error_code(const struct error *error); /* ERROR_INTERNAL for NULL */
const char *error_code_name(enum error_code code);     /* "not found" */
bool error_is_retryable(const struct error *error); /* unavailable, timeout, conflict: may pass by itself */

/* A hint from the other side: not before so many milliseconds (Retry-After); 0 if none was given. */
void error_set_retry_after_ms(struct error *error, long ms);
long error_retry_after_ms(const struct error *error);

#endif
