/* The real program, run as a user would. $PROGRAM is its path. */
#ifndef TESTS_CLI_RUN_H
#define TESTS_CLI_RUN_H

#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* Through the shell, so that a test reads as what one types; standard error comes along. Returns the exit code. */
static inline int run(struct strbuf *out, const char *arguments)
{
    char piece[4096];
    size_t got;
    AUTO(text) char *command = xasprintf("%s %s 2>&1", getenv("PROGRAM"), arguments);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    strbuf_clear(out);
    while ((got = fread(piece, 1, sizeof piece, pipe)) > 0)
        strbuf_add(out, (struct str){ piece, got });
    int status = pclose(pipe);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static inline void says(const char *arguments, int code, const char *text)
{
    AUTO(strbuf) struct strbuf out = { 0 };
    int got = run(&out, arguments);
    if (got != code || !strstr(out.ptr ? out.ptr : "", text))
        fail_msg("%s: exit code %d, expected %d and \"%s\":\n%s", arguments, got, code, text,
                 out.ptr ? out.ptr : "");
}

#endif
