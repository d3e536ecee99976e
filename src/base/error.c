#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct error {
    enum error_code code;
    long retry_after_ms;
    char *message;
};

static const char *const code_names[ERROR_CODE_COUNT] = {
    [ERROR_INVALID] = "invalid",         [ERROR_NOT_FOUND] = "not found",
    [ERROR_CONFLICT] = "conflict",       [ERROR_EXISTS] = "exists already",
    [ERROR_DENIED] = "denied",           [ERROR_UNAUTHENTICATED] = "not authenticated",
    [ERROR_UNSUPPORTED] = "unsupported", [ERROR_UNAVAILABLE] = "unavailable",
    [ERROR_TIMEOUT] = "timeout",         [ERROR_LIMIT] = "over a limit",
    [ERROR_NO_MEMORY] = "out of memory", [ERROR_IO] = "input or output failed",
    [ERROR_CORRUPT] = "corrupt",         [ERROR_CANCELLED] = "cancelled",
    [ERROR_INTERNAL] = "internal error",
};

static char *format_text(const char *format, va_list args)
{
    char *text = NULL;
    return vasprintf(&text, format, args) < 0 ? xstrdup("out of memory") : text;
}

static bool set_text(struct error **err, enum error_code code, char *message_take)
{
    error_clear(err);
    struct error *error = xcalloc(1, sizeof *error);
    error->code = code;
    error->message = message_take;
    *err = error;
    return false;
}

bool error_set(struct error **err, enum error_code code, const char *format, ...)
{
    if (!err)
        return false;
    va_list args;
    va_start(args, format);
    char *message = format_text(format, args);
    va_end(args);
    return set_text(err, code, message);
}

bool error_wrap(struct error **err, const char *format, ...)
{
    if (!err || !*err)
        return false;
    va_list args;
    va_start(args, format);
    AUTO(text) char *what = format_text(format, args);
    va_end(args);
    char *message = xasprintf("%s: %s", what, (*err)->message);
    free((*err)->message);
    (*err)->message = message;
    return false;
}

static enum error_code code_of_errno(int number)
{
    switch (number) {
    case ENOENT:
    case ENOTDIR:
        return ERROR_NOT_FOUND;
    case EACCES:
    case EPERM:
        return ERROR_DENIED;
    case EEXIST:
        return ERROR_EXISTS;
    case ENOMEM:
        return ERROR_NO_MEMORY;
    case ETIMEDOUT:
        return ERROR_TIMEOUT;
    case EAGAIN:
    case EBUSY:
    case ENOSPC:
    case EMFILE:
    case ENFILE:
    case ECONNREFUSED:
        return ERROR_UNAVAILABLE;
    default:
        return ERROR_IO;
    }
}

bool error_errno(struct error **err, int number, const char *format, ...)
{
    if (!err)
        return false;
    va_list args;
    va_start(args, format);
    AUTO(text) char *what = format_text(format, args);
    va_end(args);
    char buffer[256];
    return set_text(err, code_of_errno(number),
                    xasprintf("%s: %s", what, strerror_r(number, buffer, sizeof buffer)));
}

void error_free(struct error *error)
{
    if (!error)
        return;
    free(error->message);
    free(error);
}

void error_clear(struct error **err)
{
    if (err)
        error_free(STEAL(*err));
}

void error_move(struct error **to, struct error **from)
{
    if (!to) {
        error_clear(from);
        return;
    }
    error_free(*to);
    *to = STEAL(*from);
}

const char *error_message(const struct error *error)
{
    return error ? error->message : "";
}

enum error_code error_code(const struct error *error)
{
    return error ? error->code : ERROR_INTERNAL;
}

const char *error_code_name(enum error_code code)
{
    return (unsigned)code < ERROR_CODE_COUNT ? code_names[code] : "unknown";
}

bool error_is_retryable(const struct error *error)
{
    enum error_code code = error_code(error);
    return error && (code == ERROR_UNAVAILABLE || code == ERROR_TIMEOUT || code == ERROR_CONFLICT);
}

void error_set_retry_after_ms(struct error *error, long ms)
{
    if (error)
        error->retry_after_ms = ms;
}

long error_retry_after_ms(const struct error *error)
{
    return error ? error->retry_after_ms : 0;
}
