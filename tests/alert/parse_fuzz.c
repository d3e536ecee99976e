/* The webhook's body: whatever the bytes, an error or alerts whose every part can be used. */
#include <stdlib.h>

#include "alert/alert.h"

static void use(struct arena *arena, const struct alert *alert)
{
    struct strbuf out = { 0 };
    struct alert_target owner = alert_target_owner(&alert->target);
    alert_target_key(arena, &owner);
    alert_write_fields(&out, alert);
    if (!alert->fingerprint[0] || alert->severity >= SEVERITY_COUNT)
        abort();
    strbuf_clear(&out);
    label_list_write(&out, &alert->labels);
    struct label_list again;
    if (!label_list_parse(arena, strbuf_str(&out), &again, NULL) || again.count != alert->labels.count)
        abort(); /* what we store we must be able to read */
    strbuf_free(&out);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct str body = { (const char *)data, size };
    struct arena *arena = arena_new(16 * 1024);
    struct alert_payload payload;
    struct error *err = NULL;
    if (alert_parse(arena, body, &payload, &err)) {
        for (size_t i = 0; i < payload.count; i++)
            use(arena, &payload.alerts[i]);
    } else if (!error_message(err)[0]) {
        abort();
    }
    error_clear(&err);
    alert_parse_webhook(arena, body, &payload, NULL);
    arena_free(arena);
    return 0;
}
