/* health: ask a running server how it is; for people, and for a container's health check. */
#include "cli/cli_internal.h"

#include "http/client.h"

/* The address that we listen on, as one can be called on this machine. */
static char *own_url(const struct config *config, const char *path)
{
    const char *address = config->server.health_address;
    if (strcmp(address, "0.0.0.0") == 0)
        address = "127.0.0.1";
    else if (strcmp(address, "::") == 0)
        address = "::1";
    bool bracket = strchr(address, ':') != NULL;
    return xasprintf("%s://%s%s%s:%lld%s", *config->server.tls.cert_file ? "https" : "http",
                     bracket ? "[" : "", address, bracket ? "]" : "", (long long)config->server.health_port,
                     path);
}

/* Our own certificate need not name the loopback address, so it is not verified there, and no token is sent unasked. */
static bool ask(struct cli *cli, const char *url, bool is_own, struct http_reply *reply, struct error **err)
{
    int64_t timeout_ms;
    if (!cli_flag_duration(cli, "timeout", 3000, &timeout_ms, err))
        return false;
    AUTO(http_client)
    struct http_client *client =
        http_client_new(&(struct http_client_options){ .token = cli_flag(cli, "token", NULL),
                                                       .insecure = is_own,
                                                       .proxy = is_own ? "" : NULL,
                                                       .timeout_ms = timeout_ms });
    return http_client_call(client, &(struct http_call){ .url = url }, reply, err);
}

static int show_health(struct cli *cli)
{
    AUTO(error) struct error *err = NULL;
    AUTO(http_reply) struct http_reply reply = { 0 };
    const char *path = cli_has(cli, "ready") ? "/ready" : "/health", *base = cli_flag(cli, "url", NULL);
    const struct config *config = base ? NULL : cli_config(cli, &err);
    if (!base && !config)
        return cli_fail(&err);
    AUTO(text) char *url = base ? xasprintf("%s%s", base, path) : own_url(config, path);
    if (!ask(cli, url, !base, &reply, &err))
        return cli_fail(&err);
    if (!cli_show_object(cli, strbuf_str(&reply.body), NULL)) {
        error_set(&err, ERROR_UNAVAILABLE, "%s: HTTP %ld, and no JSON", url, reply.status);
        return cli_fail(&err);
    }
    return reply.status == 200 ? CLI_OK : CLI_FAILURE;
}

static const struct cli_flag flags[] = {
    CLI_FLAG_OUTPUT,
    { "ready", 'r', NULL, "ask whether alerts would be accepted (/ready)" },
    { "url", 'u', "URL", "of the server; else the one that the configuration describes, on this machine" },
    { "token", 't', "TOKEN", "bearer token, where health needs one" },
    { "timeout", 0, "DURATION", "longest wait (default 3s)" },
    { 0 },
};

const struct cli_command cli_health[] = {
    { "health", "", "ask a running server how it is", show_health, .flags = flags,
      .details = "Exit code 0 if it is healthy (with --ready: ready), 1 if not." },
    { 0 },
};
