/* What the audit log's files tell each other. */
#ifndef HISTORY_AUDIT_INTERNAL_H
#define HISTORY_AUDIT_INTERNAL_H

#include "history/audit.h"

struct audit_row {
    const char *replica;
    int64_t seq, at;
    const char *actor, *event, *subject_kind, *subject_id, *details;
    const char *previous_hash, *hash;
};
/* The hash of an entry: every field with its length, so that no two entries read the same. */
void audit_row_hash(const struct audit_row *row, char hex[SHA256_HEX_LEN + 1]);
/* What a checkpoint's signature is of. */
void audit_checkpoint_text(struct strbuf *out, const char *replica, int64_t seq, int64_t at,
                           const char *hash);
void audit_row_read(const struct rows *rows, struct arena *arena, struct audit_row *row);

#endif
