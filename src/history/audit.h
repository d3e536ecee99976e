/* The audit log: who did what, and when. Append-only; each replica has a chain of its own, in which every entry holds the
 * hash of the one before. Once a minute the head of the chain is signed (Ed25519), kept, and written to the log as well,
 * so that a cut tail shows. */
#ifndef HISTORY_AUDIT_H
#define HISTORY_AUDIT_H

#include "store/store.h"

/* --- keys */

struct audit_key; /* read-only: any thread may use it */

/* The private key at `path` (PEM, PKCS #8). `make`: where there is no such file, a new key, and its public half beside
 * it as PATH.pub. A public key alone can only verify. ERROR_INVALID: another kind of key. */
struct audit_key *audit_key_open(const char *path, bool make, struct error **err);
void audit_key_free(struct audit_key *key);
static inline void audit_key_cleanup(struct audit_key **key)
{
    audit_key_free(*key);
}
const char *audit_key_id(const struct audit_key *key); /* of its public half */
bool audit_key_sign(const struct audit_key *key, struct str text, struct strbuf *hex, struct error **err);
bool audit_key_verify(const struct audit_key *key, struct str text, struct str hex);
char *audit_key_default_path(void); /* in the state directory; the caller frees */

/* --- writing */

struct audit; /* locks itself */
struct audit_options {
    struct store *store; /* outlives it */
    const char *replica; /* NULL: the host's name */
    struct audit_key *key;
    int64_t checkpoint_every_ms, max_age_ms;
};
struct audit *audit_open(const struct audit_options *options, struct error **err); /* takes the key over */
void audit_close(struct audit *audit); /* with a last checkpoint */
static inline void audit_cleanup(struct audit **audit)
{
    audit_close(*audit);
}

struct audit_entry {
    const char *actor;                     /* a person, a credential's name, or "system" */
    const char *event;                     /* "execution completed" */
    const char *subject_kind, *subject_id; /* "execution" and its id */
    const char *details;                   /* a JSON object; NULL: {} */
};
/* Within the transaction that does what it tells of: both are there, or neither. */
bool audit_append(struct audit *audit, struct tx *tx, const struct audit_entry *entry, struct error **err);
bool audit_write(struct audit *audit, const struct audit_entry *entry, struct error **err); /* in its own */

/* Verdicts, executions and approvals that are new since the last time become entries, on the chain of whichever
 * replica comes first; then, when it is due, a checkpoint and retention. To be called about once a second. */
bool audit_tend(struct audit *audit, struct error **err);
bool audit_checkpoint(struct audit *audit, struct error **err);

/* --- reading */

struct audit_problem {
    const char *replica;
    int64_t seq; /* of the entry; 0: of none */
    const char *what;
};
struct audit_verified {
    int64_t entries, checkpoints, unsigned_tail; /* entries after the last checkpoint */
    struct audit_problem *problems;
    size_t problem_count;
};
/* Every chain from its beginning, or from the checkpoint where retention cut it. Problems live as long as the arena; at
 * most a hundred are named. Keys: those whose checkpoints are believed. */
bool audit_verify(struct store *store, struct arena *arena, const struct audit_key *const *keys,
                  size_t key_count, struct audit_verified *verified, struct error **err);
void audit_verified_write(const struct audit_verified *verified, struct strbuf *out); /* a JSON object */

struct audit_report {
    int64_t from, to; /* UTC ms; 0: no bound */
    bool html;
    const struct audit_key *const *keys;
    size_t key_count;
};
bool audit_report(struct store *store, const struct audit_report *report, struct strbuf *out,
                  struct error **err);

/* Delete what is older, up to a checkpoint; that one stays as the new beginning. */
bool audit_retain(struct store *store, int64_t max_age_ms, int64_t *deleted, struct error **err);

#endif
