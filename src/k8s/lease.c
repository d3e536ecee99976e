/* Leases of coordination.k8s.io, one attempt at a time. Another's lease counts as free only after its duration without a
 * change that we have seen ourselves, by our own monotonic clock: the clocks of two machines are never compared. */
#include "k8s/k8s.h"

#include <stdio.h>

#include "k8s/k8s_internal.h"

static int duration_s(const struct k8s_lease *lease)
{
    return lease->duration_s > 0 ? lease->duration_s : 15;
}

static const char *micro_time(char text[64])
{
    char seconds[CLOCK_TEXT_MAX];
    int64_t ns = clock_utc_ns();
    clock_format(ns / 1000000, seconds);
    char *dot = strchr(seconds, '.');
    if (dot)
        *dot = 0;
    snprintf(text, 64, "%s.%06uZ", seconds, (unsigned)(ns / 1000 % 1000000));
    return text;
}

static void lease_body(const struct k8s_lease *lease, const char *version, const char *holder,
                       const char *acquired, int64_t transitions, struct strbuf *body)
{
    char now[64];
    strbuf_add_text(body,
                    "{\"apiVersion\":\"coordination.k8s.io/v1\",\"kind\":\"Lease\",\"metadata\":{\"name\":");
    strbuf_add_json(body, str_of(lease->name));
    strbuf_add_text(body, ",\"namespace\":");
    strbuf_add_json(body, str_of(lease->namespace));
    if (*version)
        strbuf_addf(body, ",\"resourceVersion\":\"%s\"", version);
    strbuf_add_text(body, "},\"spec\":{\"holderIdentity\":");
    strbuf_add_json(body, str_of(holder));
    strbuf_addf(body, ",\"leaseDurationSeconds\":%d,\"renewTime\":\"%s\"", duration_s(lease),
                micro_time(now));
    strbuf_addf(body, ",\"acquireTime\":\"%s\",\"leaseTransitions\":%lld}}", *acquired ? acquired : now,
                (long long)transitions);
}

static bool settle(struct k8s_lease *lease, struct k8s_object *written, int64_t began_ms)
{
    lease->held = true;
    lease->renewed_mono_ms = lease->seen_mono_ms = began_ms;
    snprintf(lease->holder, sizeof lease->holder, "%s", lease->identity);
    snprintf(lease->seen_version, sizeof lease->seen_version, "%s", written->resource_version);
    return true;
}

/* Somebody was quicker: he has it, until we see otherwise. */
static bool lost(struct k8s_lease *lease, struct error **why, struct error **err)
{
    enum error_code code = error_code(*why);
    if (code != ERROR_CONFLICT && code != ERROR_EXISTS) {
        error_move(err, why);
        return false;
    }
    error_clear(why);
    lease->held = false;
    return true;
}

static bool write_lease(struct k8s *k8s, struct k8s_lease *lease, const struct k8s_object *seen,
                        bool is_taken_over, struct error **err)
{
    AUTO(strbuf) struct strbuf body = { 0 };
    struct k8s_ref ref = { &k8s_leases, lease->namespace, lease->name, NULL };
    struct k8s_write options = { .deadline_ms = duration_s(lease) * 1000 / 3 };
    struct error *why = NULL;
    int64_t began_ms = clock_mono_ms();
    const char *acquired = seen && !is_taken_over ? k8s_text_at(seen->root, "/spec/acquireTime") : "";
    int64_t transitions = seen ? k8s_int_at(seen->root, "/spec/leaseTransitions", 0) + is_taken_over : 0;
    lease_body(lease, seen ? seen->resource_version : "", lease->identity, acquired, transitions, &body);
    AUTO(k8s_object)
    struct k8s_object *written = seen ? k8s_replace(k8s, &ref, strbuf_str(&body), &options, &why)
                                      : k8s_create(k8s, &ref, strbuf_str(&body), &options, &why);
    return written ? settle(lease, written, began_ms) : lost(lease, &why, err);
}

static bool is_free(struct k8s_lease *lease, const struct k8s_object *seen)
{
    int64_t now = clock_mono_ms();
    int64_t life_ms = k8s_int_at(seen->root, "/spec/leaseDurationSeconds", duration_s(lease)) * 1000;
    if (strcmp(lease->seen_version, seen->resource_version)) {
        snprintf(lease->seen_version, sizeof lease->seen_version, "%s", seen->resource_version);
        lease->seen_mono_ms = now;
    }
    return !*lease->holder || now - lease->seen_mono_ms > life_ms;
}

bool k8s_lease_try(struct k8s *k8s, struct k8s_lease *lease, struct error **err)
{
    struct k8s_ref ref = { &k8s_leases, lease->namespace, lease->name, NULL };
    struct k8s_read options = { .deadline_ms = duration_s(lease) * 1000 / 3 };
    struct error *why = NULL;
    AUTO(k8s_object) struct k8s_object *seen = k8s_get(k8s, &ref, &options, &why);
    if (!seen && error_code(why) == ERROR_NOT_FOUND) {
        error_clear(&why);
        return write_lease(k8s, lease, NULL, false, err);
    }
    if (!seen) {
        error_move(err, &why);
        return false;
    }
    snprintf(lease->holder, sizeof lease->holder, "%s", k8s_text_at(seen->root, "/spec/holderIdentity"));
    bool ours = !strcmp(lease->holder, lease->identity);
    if (ours || is_free(lease, seen))
        return write_lease(k8s, lease, seen, !ours, err);
    lease->held = false;
    return true;
}

bool k8s_lease_held(const struct k8s_lease *lease)
{
    return lease->held && clock_mono_ms() - lease->renewed_mono_ms < duration_s(lease) * 1000 * 2 / 3;
}

void k8s_lease_release(struct k8s *k8s, struct k8s_lease *lease)
{
    AUTO(strbuf) struct strbuf body = { 0 };
    struct k8s_ref ref = { &k8s_leases, lease->namespace, lease->name, NULL };
    if (!lease->held)
        return;
    lease->held = false;
    lease_body(lease, lease->seen_version, "", "", 0,
               &body); /* update, as renewing: no further right is needed */
    k8s_object_free(k8s_replace(k8s, &ref, strbuf_str(&body), NULL, NULL));
}
