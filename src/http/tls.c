/* The server's certificate, read again when its files change, and the names in a client's. */
#include "http/http_internal.h"

#include <gnutls/x509.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { CHAIN_MAX = 16, RETIRED_MS = 60 * 1000, PEM_MAX = 1024 * 1024, NAMES_MAX = 32, NAME_MAX_LEN = 256 };

struct tls {
    gnutls_pcert_st chain[CHAIN_MAX];
    unsigned chain_len;
    gnutls_privkey_t key;
    char *cert_file, *key_file;
    struct timespec cert_changed, key_changed;
    int64_t retired_ms;
    struct tls *next;
};

/* A handshake borrows the certificate for as long as it lasts, so a replaced one stays for a minute. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards current and retired */
static struct tls *current, *retired;

static void tls_free(struct tls *tls)
{
    if (!tls)
        return;
    for (unsigned i = 0; i < tls->chain_len; i++)
        gnutls_pcert_deinit(&tls->chain[i]);
    if (tls->key)
        gnutls_privkey_deinit(tls->key);
    free(tls->cert_file);
    free(tls->key_file);
    free(tls);
}
static void tls_cleanup(struct tls **tls)
{
    tls_free(*tls);
}

static bool fail(struct error **err, const char *file, int code)
{
    return error_set(err, ERROR_INVALID, "%s: %s", file, gnutls_strerror(code));
}

static struct timespec changed_at(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 ? status.st_mtim : (struct timespec){ 0 };
}

static bool load_chain(struct tls *tls, struct error **err)
{
    AUTO(strbuf) struct strbuf pem = { 0 };
    if (!file_read(tls->cert_file, PEM_MAX, &pem, err))
        return false;
    gnutls_datum_t data = { (unsigned char *)pem.ptr, (unsigned)pem.len };
    unsigned len = CHAIN_MAX;
    int code = gnutls_pcert_list_import_x509_raw(tls->chain, &len, &data, GNUTLS_X509_FMT_PEM, 0);
    if (code < 0)
        return fail(err, tls->cert_file, code);
    tls->chain_len = len;
    return len > 0 || error_set(err, ERROR_INVALID, "%s holds no certificate", tls->cert_file);
}

static bool load_key(struct tls *tls, struct error **err)
{
    AUTO(strbuf) struct strbuf pem = { 0 };
    if (!file_read(tls->key_file, PEM_MAX, &pem, err))
        return false;
    gnutls_datum_t data = { (unsigned char *)pem.ptr, (unsigned)pem.len };
    int code = gnutls_privkey_init(&tls->key);
    if (code >= 0)
        code = gnutls_privkey_import_x509_raw(tls->key, &data, GNUTLS_X509_FMT_PEM, NULL, 0);
    gnutls_memset(pem.ptr, 0, pem.len);
    return code >= 0 || fail(err, tls->key_file, code);
}

static bool key_id(gnutls_pubkey_t key, unsigned char id[64], size_t *len)
{
    *len = 64;
    return gnutls_pubkey_get_key_id(key, GNUTLS_KEYID_USE_SHA256, id, len) == 0;
}

/* A certificate renewed before its key, or the other way round, would fail every handshake: notice it here. */
static bool check_pair(const struct tls *tls, struct error **err)
{
    unsigned char of_cert[64], of_key[64];
    size_t cert_len, key_len;
    gnutls_pubkey_t public_key;
    if (gnutls_pubkey_init(&public_key) != 0)
        return error_set(err, ERROR_NO_MEMORY, "no memory for a key");
    bool ok = gnutls_pubkey_import_privkey(public_key, tls->key, 0, 0) == 0 &&
              key_id(public_key, of_key, &key_len) && key_id(tls->chain[0].pubkey, of_cert, &cert_len) &&
              cert_len == key_len && memcmp(of_cert, of_key, key_len) == 0;
    gnutls_pubkey_deinit(public_key);
    return ok || error_set(err, ERROR_INVALID, "%s is not the key of the certificate in %s", tls->key_file,
                           tls->cert_file);
}

static struct tls *tls_load(const char *cert_file, const char *key_file, struct error **err)
{
    AUTO(tls) struct tls *tls = xcalloc(1, sizeof *tls);
    tls->cert_file = xstrdup(cert_file);
    tls->key_file = xstrdup(key_file);
    tls->cert_changed = changed_at(cert_file);
    tls->key_changed = changed_at(key_file);
    if (!load_chain(tls, err) || !load_key(tls, err) || !check_pair(tls, err))
        return NULL;
    return STEAL(tls);
}

static void free_retired(int64_t before_ms)
{
    for (struct tls **at = &retired; *at;) {
        struct tls *tls = *at;
        if (tls->retired_ms > before_ms) {
            at = &tls->next;
            continue;
        }
        *at = tls->next;
        tls_free(tls);
    }
}

static void retire_current(void)
{
    if (!current)
        return;
    current->retired_ms = clock_mono_ms();
    current->next = retired;
    retired = STEAL(current);
}

bool tls_install(const char *cert_file, const char *key_file, struct error **err)
{
    struct tls *fresh = tls_load(cert_file, key_file, err);
    if (!fresh)
        return false;
    pthread_mutex_lock(&lock);
    free_retired(clock_mono_ms() - RETIRED_MS);
    retire_current();
    current = fresh;
    pthread_mutex_unlock(&lock);
    return true;
}

void tls_uninstall(void)
{
    pthread_mutex_lock(&lock);
    retire_current();
    free_retired(INT64_MAX);
    pthread_mutex_unlock(&lock);
}

static bool differs(struct timespec a, struct timespec b)
{
    return a.tv_sec != b.tv_sec || a.tv_nsec != b.tv_nsec;
}

bool tls_files_changed(void)
{
    pthread_mutex_lock(&lock);
    bool changed = current && (differs(current->cert_changed, changed_at(current->cert_file)) ||
                               differs(current->key_changed, changed_at(current->key_file)));
    pthread_mutex_unlock(&lock);
    return changed;
}

int tls_retrieve(gnutls_session_t session, const gnutls_datum_t *request_ca, int request_ca_len,
                 const gnutls_pk_algorithm_t *algorithms, int algorithms_len, gnutls_pcert_st **certificate,
                 unsigned *certificate_len, gnutls_privkey_t *key)
{
    (void)session, (void)request_ca, (void)request_ca_len, (void)algorithms, (void)algorithms_len;
    pthread_mutex_lock(&lock);
    int code = current ? 0 : -1;
    if (current) {
        *certificate = current->chain;
        *certificate_len = current->chain_len;
        *key = current->key;
    }
    pthread_mutex_unlock(&lock);
    return code;
}

/* Does the client's certificate come from our authority, is it within its time, and is it meant for clients? */
static bool is_verified(gnutls_session_t session)
{
    gnutls_typed_vdata_st purpose = { .type = GNUTLS_DT_KEY_PURPOSE_OID,
                                      .data = (unsigned char *)GNUTLS_KP_TLS_WWW_CLIENT };
    unsigned status = 0;
    return gnutls_certificate_verify_peers(session, &purpose, 1, &status) == 0 && status == 0;
}

static size_t read_names(struct arena *arena, gnutls_x509_crt_t certificate, const char **names)
{
    char text[NAME_MAX_LEN];
    size_t count = 0, len = sizeof text;
    if (gnutls_x509_crt_get_dn_by_oid(certificate, GNUTLS_OID_X520_COMMON_NAME, 0, 0, text, &len) == 0 &&
        strlen(text) == len)
        names[count++] = arena_strdup(arena, text);
    for (unsigned i = 0; count < NAMES_MAX; i++) {
        len = sizeof text - 1;
        int type = gnutls_x509_crt_get_subject_alt_name(certificate, i, text, &len, NULL);
        if (type == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
            return count;
        if (type != GNUTLS_SAN_DNSNAME && type != GNUTLS_SAN_URI)
            continue;
        text[MIN(len, sizeof text - 1)] = '\0';
        if (strlen(text) == len) /* a NUL within a name is an old trick */
            names[count++] = arena_strdup(arena, text);
    }
    return count;
}

const char *const *tls_client_names(struct arena *arena, struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    gnutls_session_t session = info ? info->tls_session : NULL;
    unsigned count = 0;
    const gnutls_datum_t *peers = session ? gnutls_certificate_get_peers(session, &count) : NULL;
    gnutls_x509_crt_t certificate;
    if (!peers || count == 0 || !is_verified(session) || gnutls_x509_crt_init(&certificate) != 0)
        return NULL;
    const char **names = NULL;
    if (gnutls_x509_crt_import(certificate, &peers[0], GNUTLS_X509_FMT_DER) == 0) {
        names = ARENA_ARRAY(arena, const char *, NAMES_MAX + 1);
        read_names(arena, certificate, names);
    }
    gnutls_x509_crt_deinit(certificate);
    return (const char *const *)names;
}
