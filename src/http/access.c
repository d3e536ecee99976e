/* Who may call: networks, rate, credentials. Secrets are kept as SHA-256 digests and compared in constant time: every
 * credential is looked at every time, so the time says nothing about which one nearly fitted. */
#include "http/http_internal.h"

#include <arpa/inet.h>
#include <gnutls/crypto.h>
#include <stdio.h>
#include <stdlib.h>

enum { DIGEST_LEN = 32, TOKENS_MAX = 16, RATE_SLOTS = 4096, RATE_PROBES = 8 };

struct secret {
    unsigned char digest[DIGEST_LEN];
};
struct holder {
    const char *name, *client_name;
    unsigned scopes;
    struct secret secrets[TOKENS_MAX]; /* of "Bearer token" or "Basic base64" */
    size_t secrets_len;
    int64_t expires_utc_ms;
};
struct network {
    unsigned char address[16];
    unsigned bits;
};
struct bucket {
    unsigned char address[16];
    double tokens;
    int64_t at_us;
};

struct access {
    struct arena *arena; /* all below is read-only once made, but for the buckets */
    struct holder *holders;
    size_t holders_len;
    unsigned open_scopes;
    struct network *networks;
    size_t networks_len;
    double rate_limit, rate_burst;
    uint64_t seed;

    pthread_mutex_t rate_lock; /* guards buckets */
    struct bucket *buckets;
};

static void digest_of(const char *scheme, struct str text, struct secret *secret)
{
    gnutls_hash_hd_t hash;
    if (gnutls_hash_init(&hash, GNUTLS_DIG_SHA256) != 0)
        abort();
    gnutls_hash(hash, scheme, strlen(scheme));
    gnutls_hash(hash, text.ptr ? text.ptr : "", text.len);
    gnutls_hash_deinit(hash, secret->digest);
}

static bool add_tokens(struct holder *holder, const struct http_credential *from, struct error **err)
{
    struct str rest = str_of(from->tokens), line;
    while (str_split(&rest, '\n', &line)) {
        line = str_trim(line);
        if (line.len == 0)
            continue;
        if (holder->secrets_len == TOKENS_MAX)
            return error_set(err, ERROR_LIMIT, "credential %s has more than %d tokens", from->name,
                             TOKENS_MAX);
        digest_of("bearer ", line, &holder->secrets[holder->secrets_len++]);
    }
    return true;
}

static void add_password(struct holder *holder, const struct http_credential *from)
{
    AUTO(text) char *pair = xasprintf("%s:%s", from->username, from->password ? from->password : "");
    if (holder->secrets_len < TOKENS_MAX)
        digest_of("basic ", str_of(pair), &holder->secrets[holder->secrets_len++]);
    gnutls_memset(pair, 0, strlen(pair));
}

static bool is_given(const char *text)
{
    return text && *text;
}

static bool add_holder(struct access *access, const struct http_credential *from, struct error **err)
{
    struct holder *holder = &access->holders[access->holders_len++];
    holder->name = arena_strdup(access->arena, from->name ? from->name : "");
    holder->client_name = is_given(from->client_name) ? arena_strdup(access->arena, from->client_name) : NULL;
    holder->scopes = from->scopes;
    holder->expires_utc_ms = from->expires_utc_ms;
    if (is_given(from->username))
        add_password(holder, from);
    return !is_given(from->tokens) || add_tokens(holder, from, err);
}

static void map_ipv4(const unsigned char from[4], unsigned char to[16])
{
    memset(to, 0, 10);
    to[10] = to[11] = 0xff;
    memcpy(to + 12, from, 4);
}

static bool add_network(struct access *access, const char *text, struct error **err)
{
    struct network *network = &access->networks[access->networks_len++];
    const char *slash = strchr(text, '/');
    AUTO(text) char *address = xstrndup(text, slash ? (size_t)(slash - text) : strlen(text));
    unsigned char v4[4];
    int64_t bits = -1;
    bool is_v4 = inet_pton(AF_INET, address, v4) == 1;
    if (is_v4)
        map_ipv4(v4, network->address);
    if ((!is_v4 && inet_pton(AF_INET6, address, network->address) != 1) ||
        (slash && (!str_to_i64(str_of(slash + 1), &bits) || bits < 0 || bits > (is_v4 ? 32 : 128))))
        return error_set(err, ERROR_INVALID, "%s is not a network", text);
    network->bits = (unsigned)(bits < 0 ? 128 : bits + (is_v4 ? 96 : 0));
    return true;
}

void access_free(struct access *access)
{
    if (!access)
        return;
    pthread_mutex_destroy(&access->rate_lock);
    free(access->buckets);
    arena_free(access->arena);
    free(access);
}
static void access_cleanup(struct access **access)
{
    access_free(*access);
}

struct access *access_new(const struct http_access *from, struct error **err)
{
    AUTO(access) struct access *access = xcalloc(1, sizeof *access);
    access->arena = arena_new(8 * 1024);
    pthread_mutex_init(&access->rate_lock, NULL);
    access->open_scopes = from->open_scopes;
    access->rate_limit = from->rate_limit;
    access->rate_burst = from->rate_burst > 0 ? from->rate_burst : 1;
    rand_bytes(&access->seed, sizeof access->seed);
    access->holders = ARENA_ARRAY(access->arena, struct holder, from->credentials_len + 1);
    access->networks = ARENA_ARRAY(access->arena, struct network, from->allowed_cidrs_len + 1);
    if (access->rate_limit > 0)
        access->buckets = xcalloc(RATE_SLOTS, sizeof *access->buckets);
    for (size_t i = 0; i < from->credentials_len; i++)
        if (!add_holder(access, &from->credentials[i], err))
            return NULL;
    for (size_t i = 0; i < from->allowed_cidrs_len; i++)
        if (!add_network(access, from->allowed_cidrs[i], err))
            return NULL;
    return STEAL(access);
}

static bool is_within(const unsigned char address[16], const struct network *network)
{
    unsigned whole = network->bits / 8, rest = network->bits % 8;
    if (memcmp(address, network->address, whole) != 0)
        return false;
    return rest == 0 || ((address[whole] ^ network->address[whole]) >> (8 - rest)) == 0;
}

bool access_network_allowed(const struct access *access, const struct http_connection *connection)
{
    bool allowed = access->networks_len == 0 || connection->is_loopback;
    for (size_t i = 0; i < access->networks_len && !allowed; i++)
        allowed = is_within(connection->address, &access->networks[i]);
    return allowed;
}

/* The address' bucket, or the one longest unused among its neighbours: a table of fixed size, so that a flood from many
 * addresses costs no memory. IPv6 clients are told apart by /64, which is what one of them can choose from. */
static struct bucket *find_bucket(struct access *access, const unsigned char address[16])
{
    struct bucket *oldest = NULL;
    uint64_t hash = str_hash((struct str){ (const char *)address, 16 }, access->seed);
    for (unsigned i = 0; i < RATE_PROBES; i++) {
        struct bucket *bucket = &access->buckets[(hash + i) % RATE_SLOTS];
        if (bucket->at_us && memcmp(bucket->address, address, 16) == 0)
            return bucket;
        if (!oldest || bucket->at_us < oldest->at_us)
            oldest = bucket;
    }
    memcpy(oldest->address, address, 16);
    oldest->tokens = access->rate_burst;
    oldest->at_us = clock_mono_us();
    return oldest;
}

bool access_take_turn(struct access *access, const struct http_connection *connection)
{
    static const unsigned char mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
    unsigned char address[16];
    if (access->rate_limit <= 0)
        return true;
    memcpy(address, connection->address, 16);
    if (memcmp(address, mapped, sizeof mapped) != 0)
        memset(address + 8, 0, 8);
    pthread_mutex_lock(&access->rate_lock);
    struct bucket *bucket = find_bucket(access, address);
    int64_t now = clock_mono_us();
    double refilled = bucket->tokens + (double)(now - bucket->at_us) * access->rate_limit / 1e6;
    bucket->tokens = MIN(refilled, access->rate_burst);
    bucket->at_us = now;
    bool allowed = bucket->tokens >= 1;
    if (allowed)
        bucket->tokens -= 1;
    pthread_mutex_unlock(&access->rate_lock);
    return allowed;
}

static bool decode_base64(struct str text, struct strbuf *out)
{
    gnutls_datum_t in = { (unsigned char *)text.ptr, (unsigned)text.len }, raw = { 0 };
    if (text.len == 0 || text.len > 4096 || gnutls_base64_decode2(&in, &raw) != 0)
        return false;
    strbuf_add(out, (struct str){ (const char *)raw.data, raw.size });
    gnutls_memset(raw.data, 0, raw.size);
    gnutls_free(raw.data);
    return true;
}

/* What the Authorization header holds, as a digest. */
static bool digest_presented(struct str header, struct secret *secret)
{
    struct str scheme, rest = header;
    if (header.len == 0 || !str_split(&rest, ' ', &scheme))
        return false;
    rest = str_trim(rest);
    if (str_eq_nocase(scheme, STR("bearer"))) {
        digest_of("bearer ", rest, secret);
        return true;
    }
    AUTO(strbuf) struct strbuf pair = { 0 };
    bool ok = str_eq_nocase(scheme, STR("basic")) && decode_base64(rest, &pair);
    if (ok)
        digest_of("basic ", strbuf_str(&pair), secret);
    if (pair.len)
        gnutls_memset(pair.ptr, 0, pair.len);
    return ok;
}

static bool holds(const struct holder *holder, const struct secret *secret, const struct presented *presented)
{
    bool found = false;
    for (size_t i = 0; secret && i < holder->secrets_len; i++)
        found |= gnutls_memcmp(holder->secrets[i].digest, secret->digest, DIGEST_LEN) == 0;
    for (const char *const *name = presented->names; name && *name && holder->client_name; name++)
        found |= strcmp(*name, holder->client_name) == 0;
    return found;
}

enum access_answer access_judge(const struct access *access, int scope, const struct presented *presented,
                                char *caller, size_t caller_size)
{
    struct secret secret;
    bool has_secret = digest_presented(presented->authorization, &secret), known = false;
    const struct holder *granted = NULL;
    int64_t now = clock_utc_ms();
    for (size_t i = 0; i < access->holders_len; i++) {
        const struct holder *holder = &access->holders[i];
        if (!holds(holder, has_secret ? &secret : NULL, presented) ||
            (holder->expires_utc_ms && now >= holder->expires_utc_ms))
            continue;
        known = true;
        if (scope < 0 || (holder->scopes & BIT(scope)))
            granted = granted ? granted : holder;
    }
    snprintf(caller, caller_size, "%s", granted ? granted->name : "");
    if (granted || scope < 0 || (access->open_scopes & BIT(scope)))
        return ACCESS_GRANTED;
    return known ? ACCESS_FORBIDDEN : ACCESS_UNKNOWN;
}
