/* Who we are at this moment: tokens and certificates, read again when their files or plugins give new ones. */
#include "k8s/k8s.h"

#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "k8s/k8s_internal.h"

enum { PLUGIN_EARLY_MS = 30 * 1000 }; /* a plugin's credential is made anew so long before it expires */

struct auth {
    const struct kubeconfig *config;

    pthread_mutex_t
        lock; /* guards the rest; held while a plugin runs, so that it runs once for all threads */
    struct identity *identity;
    int64_t read_mono_ms, expires; /* expires: UTC ms of a plugin's credential; 0: never */
    uint64_t generation;
};

int memory_file(struct str bytes, char **path)
{
    int fd = memfd_create("credential", MFD_CLOEXEC);
    size_t done = 0;
    while (fd >= 0 && done < bytes.len) {
        ssize_t wrote = write(fd, bytes.ptr + done, bytes.len - done);
        if (wrote <= 0) {
            close(fd);
            return -1;
        }
        done += (size_t)wrote;
    }
    if (fd >= 0)
        *path = xasprintf("/proc/self/fd/%d", fd);
    return fd;
}

int64_t certificate_expires(struct str pem)
{
    gnutls_x509_crt_t certificate;
    gnutls_datum_t datum = { (unsigned char *)pem.ptr, (unsigned)pem.len };
    int64_t expires = 0;
    if (gnutls_x509_crt_init(&certificate) != 0)
        return 0;
    if (gnutls_x509_crt_import(certificate, &datum, GNUTLS_X509_FMT_PEM) == 0)
        expires = (int64_t)gnutls_x509_crt_get_expiration_time(certificate) * 1000;
    gnutls_x509_crt_deinit(certificate);
    return expires;
}

static void wipe(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

static struct identity *identity_new(void)
{
    struct identity *identity = xcalloc(1, sizeof *identity);
    atomic_store(&identity->references, 1);
    identity->cert_fd = identity->key_fd = -1;
    return identity;
}

void identity_free(struct identity *identity)
{
    if (!identity || atomic_fetch_sub(&identity->references, 1) != 1)
        return;
    wipe(identity->authorization);
    free(identity->cert_path);
    free(identity->key_path);
    if (identity->cert_fd >= 0)
        close(identity->cert_fd);
    if (identity->key_fd >= 0)
        close(identity->key_fd);
    free(identity);
}

static bool bear(struct identity *identity, struct str token, const char *from, struct error **err)
{
    token = str_trim(token);
    for (size_t i = 0; i < token.len; i++)
        if ((unsigned char)token.ptr[i] <= ' ' || (unsigned char)token.ptr[i] >= 0x7f)
            return error_set(err, ERROR_INVALID, "the token of %s holds a byte that no token has", from);
    if (!token.len)
        return error_set(err, ERROR_UNAUTHENTICATED, "the token of %s is empty", from);
    identity->authorization = xasprintf("Bearer " STR_FMT, STR_ARG(token));
    return true;
}

static bool take_token_file(struct identity *identity, const char *path, struct error **err)
{
    AUTO(strbuf) struct strbuf text = { 0 };
    bool ok = file_read(path, 64 * 1024, &text, err) && bear(identity, strbuf_str(&text), path, err);
    if (text.ptr)
        explicit_bzero(text.ptr, text.cap);
    return ok;
}

static void take_basic(struct identity *identity, const char *username, const char *password)
{
    AUTO(text) char *pair = xasprintf("%s:%s", username, password ? password : "");
    gnutls_datum_t in = { (unsigned char *)pair, (unsigned)strlen(pair) }, out = { 0 };
    if (gnutls_base64_encode2(&in, &out) == 0)
        identity->authorization = xasprintf("Basic %.*s", (int)out.size, out.data);
    explicit_bzero(pair, strlen(pair));
    gnutls_free(out.data);
}

static bool take_pem(struct str data, const char *file, const char *what, int *fd, char **path,
                     struct error **err)
{
    if (data.len) {
        *fd = memory_file(data, path);
        return *fd >= 0 || error_set(err, ERROR_IO, "no memory file for the client %s", what);
    }
    *path = xstrdup(file);
    if (!file || access(file, R_OK) == 0)
        return true;
    return error_set(err, ERROR_NOT_FOUND, "client %s %s cannot be read", what, file);
}

static bool take_certificate(struct identity *identity, const struct kubeconfig *config, struct error **err)
{
    AUTO(strbuf) struct strbuf text = { 0 };
    if (!config->cert_file && !config->cert_data.len)
        return true;
    if (!take_pem(config->cert_data, config->cert_file, "certificate", &identity->cert_fd,
                  &identity->cert_path, err) ||
        !take_pem(config->key_data, config->key_file, "key", &identity->key_fd, &identity->key_path, err))
        return false;
    if (config->cert_data.len)
        identity->cert_expires = certificate_expires(config->cert_data);
    else if (file_read(config->cert_file, K8S_FILE_MAX, &text, NULL))
        identity->cert_expires = certificate_expires(strbuf_str(&text));
    return true;
}

static bool take_plugin(struct auth *auth, struct identity *identity, struct error **err)
{
    struct plugin_credential made = { 0 };
    if (!plugin_run(auth->config, K8S_EXEC_PLUGIN_MS, &made, err))
        return false;
    struct kubeconfig pem = { .cert_data = str_of(made.cert), .key_data = str_of(made.key) };
    bool ok = (!made.token || bear(identity, str_of(made.token), "the exec plugin", err)) &&
              take_certificate(identity, &pem, err);
    auth->expires = made.expires;
    plugin_credential_free(&made);
    return ok;
}

/* Whichever there are: a token file wins over a token, both over a plugin's. */
static bool fill(struct auth *auth, struct identity *identity, struct error **err)
{
    const struct kubeconfig *config = auth->config;
    if (!take_certificate(identity, config, err))
        return false;
    if (config->token_file)
        return take_token_file(identity, config->token_file, err);
    if (config->token)
        return bear(identity, str_of(config->token), config->user_name, err);
    if (config->username)
        take_basic(identity, config->username, config->password);
    return !config->exec || take_plugin(auth, identity, err);
}

static bool is_fresh(const struct auth *auth, uint64_t rejected)
{
    const struct kubeconfig *config = auth->config;
    if (!auth->identity || (rejected && auth->identity->generation <= rejected))
        return false;
    bool reads_files = config->token_file || (config->cert_file && !config->exec);
    if (reads_files && clock_mono_ms() - auth->read_mono_ms >= K8S_TOKEN_FRESH_MS)
        return false;
    return !auth->expires || clock_utc_ms() < auth->expires - PLUGIN_EARLY_MS;
}

static bool same_text(const char *a, const char *b)
{
    return (!a && !b) || (a && b && !strcmp(a, b));
}

/* Read anew but unchanged: connections stay. A certificate's file may have changed under the same name. */
static bool is_same(const struct identity *a, const struct identity *b)
{
    return a && same_text(a->authorization, b->authorization) && a->cert_fd < 0 && b->cert_fd < 0 &&
           same_text(a->cert_path, b->cert_path) && a->cert_expires == b->cert_expires;
}

static bool read_again(struct auth *auth, uint64_t rejected, struct error **err)
{
    struct identity *identity = identity_new();
    if (!fill(auth, identity, err)) {
        identity_free(identity);
        return false;
    }
    bool same = is_same(auth->identity, identity);
    identity->generation = same && !rejected ? auth->identity->generation : ++auth->generation;
    auth->read_mono_ms = clock_mono_ms();
    identity_free(auth->identity);
    auth->identity = identity;
    return true;
}

struct auth *auth_new(const struct kubeconfig *config, struct error **err)
{
    struct auth *auth = xcalloc(1, sizeof *auth);
    auth->config = config;
    pthread_mutex_init(&auth->lock, NULL);
    /* A plugin first runs when the first call needs it: opening a client must not wait for it. */
    if (config->exec || read_again(auth, 0, err))
        return auth;
    auth_free(auth);
    return NULL;
}

void auth_free(struct auth *auth)
{
    if (!auth)
        return;
    identity_free(auth->identity);
    pthread_mutex_destroy(&auth->lock);
    free(auth);
}

struct identity *auth_identity(struct auth *auth, uint64_t rejected, struct error **err)
{
    struct identity *identity = NULL;
    pthread_mutex_lock(&auth->lock);
    if (is_fresh(auth, rejected) || read_again(auth, rejected, err)) {
        identity = auth->identity;
        atomic_fetch_add(&identity->references, 1);
    }
    pthread_mutex_unlock(&auth->lock);
    return identity;
}
