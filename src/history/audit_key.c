#include <gnutls/abstract.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>

#include "history/audit.h"

enum { KEY_FILE_MAX = 16 * 1024, SIGNATURE_MAX = 64, ID_LEN = 16 };

struct audit_key {
    gnutls_privkey_t private_key; /* NULL: it can only verify */
    gnutls_pubkey_t public_key;
    char id[SHA256_HEX_LEN + 1];
};

static bool fail(struct error **err, int code, const char *what)
{
    return error_set(err, ERROR_INVALID, "%s: %s", what, gnutls_strerror(code));
}

void audit_key_free(struct audit_key *key)
{
    if (!key)
        return;
    if (key->private_key)
        gnutls_privkey_deinit(key->private_key);
    if (key->public_key)
        gnutls_pubkey_deinit(key->public_key);
    free(key);
}

static bool export_public(gnutls_pubkey_t key, gnutls_x509_crt_fmt_t format, struct strbuf *out,
                          struct error **err)
{
    gnutls_datum_t data = { 0 };
    int code = gnutls_pubkey_export2(key, format, &data);
    if (code < 0)
        return fail(err, code, "export the public key");
    strbuf_add(out, (struct str){ (const char *)data.data, data.size });
    gnutls_free(data.data);
    return true;
}

static bool set_id(struct audit_key *key, struct error **err)
{
    AUTO(strbuf) struct strbuf der = { 0 };
    if (gnutls_pubkey_get_pk_algorithm(key->public_key, NULL) != GNUTLS_PK_EDDSA_ED25519)
        return error_set(err, ERROR_INVALID,
                         "not an Ed25519 key: make one with `openssl genpkey -algorithm ed25519`");
    if (!export_public(key->public_key, GNUTLS_X509_FMT_DER, &der, err))
        return false;
    sha256_hex(strbuf_str(&der), key->id);
    key->id[ID_LEN] = '\0';
    return true;
}

static bool import_private(struct audit_key *key, const gnutls_datum_t *pem)
{
    gnutls_x509_privkey_t x509;
    if (gnutls_x509_privkey_init(&x509) < 0)
        return false;
    bool ok = gnutls_x509_privkey_import2(x509, pem, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN) >= 0 &&
              gnutls_privkey_init(&key->private_key) >= 0 &&
              gnutls_privkey_import_x509(key->private_key, x509, GNUTLS_PRIVKEY_IMPORT_COPY) >= 0 &&
              gnutls_pubkey_import_privkey(key->public_key, key->private_key, 0, 0) >= 0;
    gnutls_x509_privkey_deinit(x509);
    return ok;
}

static bool write_new(const char *path, gnutls_x509_privkey_t x509, struct error **err)
{
    gnutls_datum_t pem = { 0 };
    int code = gnutls_x509_privkey_export2_pkcs8(x509, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN, &pem);
    if (code < 0)
        return fail(err, code, "export the audit key");
    bool ok = file_replace(path, (struct str){ (const char *)pem.data, pem.size }, 0600, err);
    gnutls_memset(pem.data, 0, pem.size);
    gnutls_free(pem.data);
    return ok;
}

static bool make_key(const char *path, struct error **err)
{
    gnutls_x509_privkey_t x509;
    AUTO(text) char *folder = xstrdup(path);
    char *slash = strrchr(folder, '/');
    if (slash && slash != folder) {
        *slash = '\0';
        if (!file_make_directories(folder, err))
            return false;
    }
    int code = gnutls_x509_privkey_init(&x509);
    if (code >= 0)
        code = gnutls_x509_privkey_generate(x509, GNUTLS_PK_EDDSA_ED25519,
                                            GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_ED25519), 0);
    bool ok = code < 0 ? fail(err, code, "make an audit key") : write_new(path, x509, err);
    gnutls_x509_privkey_deinit(x509);
    return ok;
}

static bool write_public(const struct audit_key *key, const char *path, struct error **err)
{
    AUTO(strbuf) struct strbuf pem = { 0 };
    AUTO(text) char *beside = xasprintf("%s.pub", path);
    return export_public(key->public_key, GNUTLS_X509_FMT_PEM, &pem, err) &&
           file_replace(beside, strbuf_str(&pem), 0644, err);
}

struct audit_key *audit_key_open(const char *path, bool make, struct error **err)
{
    AUTO(strbuf) struct strbuf text = { 0 };
    AUTO(audit_key) struct audit_key *key = xcalloc(1, sizeof *key);
    bool is_new = make && !file_exists(path);
    if ((is_new && !make_key(path, err)) || !file_read(path, KEY_FILE_MAX, &text, err)) {
        error_wrap(err, "audit key");
        return NULL;
    }
    gnutls_datum_t pem = { (unsigned char *)text.ptr, (unsigned)text.len };
    gnutls_pubkey_init(&key->public_key);
    if (!import_private(key, &pem)) {
        if (key->private_key)
            gnutls_privkey_deinit(key->private_key);
        key->private_key = NULL;
        int code = gnutls_pubkey_import(key->public_key, &pem, GNUTLS_X509_FMT_PEM);
        if (code < 0)
            fail(err, code, path);
        if (code < 0)
            return NULL;
    }
    bool ok = set_id(key, err) && (!is_new || write_public(key, path, err));
    gnutls_memset(text.ptr, 0, text.len);
    if (!ok)
        error_wrap(err, "%s", path);
    return ok ? STEAL(key) : NULL;
}

const char *audit_key_id(const struct audit_key *key)
{
    return key->id;
}

bool audit_key_sign(const struct audit_key *key, struct str text, struct strbuf *hex, struct error **err)
{
    gnutls_datum_t data = { (unsigned char *)(uintptr_t)text.ptr, (unsigned)text.len }, signature = { 0 };
    if (!key->private_key)
        return error_set(err, ERROR_INVALID, "this is a public key: it cannot sign");
    int code = gnutls_privkey_sign_data2(key->private_key, GNUTLS_SIGN_EDDSA_ED25519, 0, &data, &signature);
    if (code < 0)
        return fail(err, code, "sign a checkpoint");
    for (unsigned i = 0; i < signature.size; i++)
        strbuf_addf(hex, "%02x", signature.data[i]);
    gnutls_free(signature.data);
    return true;
}

static int nibble(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool audit_key_verify(const struct audit_key *key, struct str text, struct str hex)
{
    unsigned char bytes[SIGNATURE_MAX];
    if (hex.len != 2 * SIGNATURE_MAX)
        return false;
    for (int i = 0; i < SIGNATURE_MAX; i++) {
        int high = nibble(hex.ptr[2 * i]), low = nibble(hex.ptr[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        bytes[i] = (unsigned char)(high << 4 | low);
    }
    gnutls_datum_t data = { (unsigned char *)(uintptr_t)text.ptr, (unsigned)text.len };
    gnutls_datum_t signature = { bytes, sizeof bytes };
    return gnutls_pubkey_verify_data2(key->public_key, GNUTLS_SIGN_EDDSA_ED25519, 0, &data, &signature) >= 0;
}

char *audit_key_default_path(void)
{
    AUTO(text) char *folder = file_state_directory();
    return xasprintf("%s/audit.key", folder);
}
