/* `audit verify` and `audit report`. */
#include "cli/cli_internal.h"

#include <string.h>

#include "history/audit.h"
#include "store/store.h"

enum { KEYS_MAX = 32 };

#define FLAG_KEY                                                                                             \
    { "key", 0, "FILE", "believe checkpoints of this key too (PEM, private or public)", .repeatable = true }
static const char *const report_outputs[] = { "json", "html", NULL };
static const struct cli_flag verify_flags[] = { CLI_FLAG_OUTPUT, FLAG_KEY, { 0 } };
static const struct cli_flag report_flags[] = {
    { "output", 'o', "FORMAT", "json or html (default json)", report_outputs },
    { "from", 0, "TIME", "entries from this time on: 2027-01-31T00:00:00Z" },
    { "to", 0, "TIME", "entries up to this time" },
    FLAG_KEY,
    { 0 },
};

struct keys {
    struct audit_key *items[KEYS_MAX];
    size_t count;
};

static void keys_cleanup(struct keys *keys)
{
    for (size_t i = 0; i < keys->count; i++)
        audit_key_free(keys->items[i]);
}

static bool add_key(struct keys *keys, const char *path, struct error **err)
{
    if (keys->count == KEYS_MAX)
        return error_set(err, ERROR_LIMIT, "more than %d keys", KEYS_MAX);
    keys->items[keys->count] = audit_key_open(path, false, err);
    return keys->items[keys->count] && ++keys->count;
}

/* Those that were named, and this installation's own, where it can be read. */
static bool open_keys(struct cli *cli, const struct config *config, struct keys *keys, struct error **err)
{
    AUTO(text) char *otherwise = audit_key_default_path();
    const char *path = *config->audit.key_file ? config->audit.key_file : otherwise;
    for (size_t i = 0; i < cli_flag_count(cli, "key"); i++)
        if (!add_key(keys, cli_flag_at(cli, "key", i), err))
            return false;
    return !file_exists(path) || add_key(keys, path, err);
}

static int verify(struct cli *cli)
{
    AUTO(arena) struct arena *arena = arena_new(64 * 1024);
    AUTO(strbuf) struct strbuf json = { 0 };
    AUTO(keys) struct keys keys = { 0 };
    struct error *err = NULL;
    struct audit_verified verified;
    AUTO(store) struct store *store = cli_open_store(cli, &err);
    if (!store || !open_keys(cli, cli_config(cli, NULL), &keys, &err) ||
        !audit_verify(store, arena, (const struct audit_key *const *)keys.items, keys.count, &verified, &err))
        return cli_fail(&err);
    audit_verified_write(&verified, &json);
    if (!cli_show_object(cli, strbuf_str(&json), &err))
        return cli_fail(&err);
    return verified.problem_count ? CLI_FAILURE : CLI_OK;
}

static bool time_of(struct cli *cli, const char *flag, int64_t *ms, struct error **err)
{
    const char *text = cli_flag(cli, flag, NULL);
    *ms = 0;
    return !text || clock_parse(str_of(text), ms) ||
           error_set(err, ERROR_INVALID, "--%s %s: write a time as 2027-01-31T00:00:00Z", flag, text);
}

static int report(struct cli *cli)
{
    AUTO(strbuf) struct strbuf out = { 0 };
    AUTO(keys) struct keys keys = { 0 };
    struct error *err = NULL;
    struct audit_report wanted = { .html = strcmp(cli_flag(cli, "output", "json"), "html") == 0 };
    if (!time_of(cli, "from", &wanted.from, &err) || !time_of(cli, "to", &wanted.to, &err))
        return cli_fail(&err);
    AUTO(store) struct store *store = cli_open_store(cli, &err);
    if (!store || !open_keys(cli, cli_config(cli, NULL), &keys, &err))
        return cli_fail(&err);
    wanted.keys = (const struct audit_key *const *)keys.items;
    wanted.key_count = keys.count;
    if (!audit_report(store, &wanted, &out, &err))
        return cli_fail(&err);
    if (!wanted.html)
        strbuf_add_char(&out, '\n');
    cli_print(strbuf_str(&out));
    return CLI_OK;
}

const struct cli_command cli_audit[] = {
    { "audit verify", "", "find changed, missing or reordered entries of the audit log", verify,
      .flags = verify_flags, .details = "Exit code 1 where the log is not whole." },
    { "audit report", "", "write the audit log of a time, for those who have to show it", report,
      .flags = report_flags },
    { 0 },
};
