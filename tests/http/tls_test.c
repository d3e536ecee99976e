/* Certificates are made anew with openssl in every run, so that none expires in the repository. */
#include "tests/http/fixture.h"

#include "http/client.h"

static char folder[] = "/tmp/tls_test.XXXXXX";

static char *in_folder(const char *name)
{
    return xasprintf("%s/%s", folder, name);
}

static void run(const char *script)
{
    AUTO(text) char *command = xasprintf("cd %s && { %s; } >log 2>&1 || { cat log; false; }", folder, script);
    assert_int_equal(system(command), 0);
}

#define ISSUE(name, subject, extensions, days)                                                               \
    "openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout " name ".key -out " name    \
    ".csr -subj '" subject "' && printf '" extensions "' >ext && openssl x509 -req -in " name                \
    ".csr -CA ca.pem -CAkey ca.key -CAcreateserial -out " name ".pem -extfile ext " days

static int start(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    run("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ca.key -out ca.pem -subj /CN=ours "
        "-days 2 && cp ca.pem other-ca.pem");
    run(ISSUE("server", "/CN=localhost",
              "subjectAltName=DNS:localhost,IP:127.0.0.1\\nextendedKeyUsage=serverAuth", "-days 1"));
    run(ISSUE("second", "/CN=second", "subjectAltName=IP:127.0.0.1\\nextendedKeyUsage=serverAuth",
              "-days 1"));
    run(ISSUE("client", "/CN=someone",
              "subjectAltName=DNS:alertmanager.monitoring\\nextendedKeyUsage=clientAuth", "-days 1"));
    run(ISSUE(
        "expired", "/CN=old", "subjectAltName=DNS:alertmanager.monitoring\\nextendedKeyUsage=clientAuth",
        "-not_before 20200101000000Z -not_after 20200102000000Z") " || " ISSUE("expired", "/CN=old",
                                                                               "subjectAltName=DNS:alertmanager.monitoring\\nextendedKeyUsage=clientAuth",
                                                                               "-days -1"));
    run(ISSUE("stranger", "/CN=other", "subjectAltName=DNS:other\\nextendedKeyUsage=clientAuth", "-days 1"));
    return 0;
}

static int stop(void **state)
{
    (void)state;
    AUTO(text) char *command = xasprintf("rm -r %s", folder);
    return system(command);
}

static void caller(struct http_request *request, void *context)
{
    (void)context;
    http_respond_json(request, 200, str_of(http_request_caller(request)));
}
static const struct http_route routes[] = {
    { "GET", "/caller", HTTP_GROUP_API, HTTP_SCOPE_READ, caller },
    { 0 },
};

static struct http_server *serve(const char *cert, const char *key, const char *client_ca, struct error **err)
{
    AUTO(text)
    char *cert_file = in_folder(cert), *key_file = in_folder(key),
         *ca_file = client_ca ? in_folder(client_ca) : NULL;
    const struct http_listener listener = { "127.0.0.1", 0, HTTP_GROUP_API };
    struct http_server *server = http_server_new(&(struct http_server_options){ .listeners = &listener,
                                                                                .listeners_len = 1,
                                                                                .cert_file = cert_file,
                                                                                .key_file = key_file,
                                                                                .client_ca_file = ca_file });
    http_server_add(server, routes, NULL);
    const struct http_credential named = { .name = "am",
                                           .scopes = BIT(HTTP_SCOPE_READ),
                                           .client_name = "alertmanager.monitoring" };
    if (client_ca && !http_server_set_access(
                         server, &(struct http_access){ .credentials = &named, .credentials_len = 1 }, err))
        return NULL;
    if (http_server_start(server, err))
        return server;
    http_server_free(server);
    return NULL;
}

static long get(const struct http_server *server, const char *cert, struct error **err)
{
    AUTO(text) char *ca = in_folder("ca.pem"), *pem = cert ? xasprintf("%s/%s.pem", folder, cert) : NULL;
    AUTO(text) char *key = cert ? xasprintf("%s/%s.key", folder, cert) : NULL;
    AUTO(text) char *url = xasprintf("https://127.0.0.1:%u/caller", http_server_port(server, HTTP_GROUP_API));
    AUTO(http_client)
    struct http_client *client =
        http_client_new(&(struct http_client_options){ .ca_file = ca, .cert_file = pem, .key_file = key });
    AUTO(http_reply) struct http_reply reply = { 0 };
    return http_client_call(client, &(struct http_call){ .url = url }, &reply, err) ? reply.status : 0;
}

static void client_certificates_are_credentials(void **state)
{
    (void)state;
    struct error *err = NULL;
    AUTO(http_server) struct http_server *server = serve("server.pem", "server.key", "ca.pem", &err);
    assert_ok(server != NULL, err);
    assert_int_equal(get(server, "client", &err), 200);
    assert_int_equal(get(server, NULL, &err), 401);
    assert_int_equal(get(server, "stranger", &err), 401);
    assert_int_equal(get(server, "expired", &err), 401);
    error_clear(&err);
}

static void server_that_cannot_be_verified_is_not_talked_to(void **state)
{
    (void)state;
    struct error *err = NULL;
    AUTO(http_server) struct http_server *server = serve("server.pem", "server.key", NULL, &err);
    assert_ok(server != NULL, err);
    AUTO(text) char *url = xasprintf("https://127.0.0.1:%u/caller", http_server_port(server, HTTP_GROUP_API));
    AUTO(http_client) struct http_client *client = http_client_new(&(struct http_client_options){ 0 });
    AUTO(http_reply) struct http_reply reply = { 0 };
    assert_fails(http_client_call(client, &(struct http_call){ .url = url }, &reply, &err), err, ERROR_DENIED,
                 "https://127.0.0.1");
    AUTO(http_client)
    struct http_client *careless = http_client_new(&(struct http_client_options){ .insecure = true });
    assert_ok(http_client_call(careless, &(struct http_call){ .url = url }, &reply, &err), err);
    AUTO(text) char *ca = in_folder("ca.pem");
    AUTO(http_client)
    struct http_client *renamed =
        http_client_new(&(struct http_client_options){ .ca_file = ca, .server_name = "localhost" });
    assert_ok(http_client_call(renamed, &(struct http_call){ .url = url }, &reply, &err), err);
    AUTO(http_client)
    struct http_client *wrong =
        http_client_new(&(struct http_client_options){ .ca_file = ca, .server_name = "elsewhere" });
    assert_fails(http_client_call(wrong, &(struct http_call){ .url = url }, &reply, &err), err, ERROR_DENIED,
                 "");
}

static void certificate_is_read_again(void **state)
{
    (void)state;
    struct error *err = NULL;
    run("cp server.pem live.pem && cp server.key live.key");
    AUTO(http_server) struct http_server *server = serve("live.pem", "live.key", NULL, &err);
    assert_ok(server != NULL, err);
    AUTO(text)
    char *show = xasprintf("openssl s_client -connect 127.0.0.1:%u -CAfile ca.pem </dev/null 2>/dev/null | "
                           "openssl x509 -noout -subject | grep -q ",
                           http_server_port(server, HTTP_GROUP_API));
    AUTO(text) char *first = xasprintf("%s localhost", show), *second = xasprintf("%s second", show);
    run(first);
    run("cp second.pem live.pem"); /* the old key no longer fits: the old pair stays */
    assert_fails(http_server_reload_tls(server, &err), err, ERROR_INVALID,
                 "is not the key of the certificate");
    run(first);
    run("cp second.key live.key");
    assert_ok(http_server_reload_tls(server, &err), err);
    run(second);
}

static void broken_certificate_files_are_refused_at_start(void **state)
{
    (void)state;
    struct error *err = NULL;
    assert_fails(serve("server.pem", "second.key", NULL, &err) != NULL, err, ERROR_INVALID,
                 "is not the key of the certificate");
    assert_fails(serve("server.key", "server.key", NULL, &err) != NULL, err, ERROR_INVALID, "server.key");
    assert_fails(serve("nowhere.pem", "server.key", NULL, &err) != NULL, err, ERROR_NOT_FOUND, "nowhere.pem");
}

int main(void)
{
    log_configure(LOG_ERROR, LOG_FORMAT_TEXT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(client_certificates_are_credentials),
        cmocka_unit_test(server_that_cannot_be_verified_is_not_talked_to),
        cmocka_unit_test(certificate_is_read_again),
        cmocka_unit_test(broken_certificate_files_are_refused_at_start),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
