/* `history salvage`: a damaged SQLite file → a new one with what can still be read. */
#include "cli/cli_internal.h"

#include <stdlib.h>

#include "store/store.h"

static int salvage(struct cli *cli)
{
    AUTO(strbuf) struct strbuf json = { 0 };
    struct store_salvage result;
    struct error *err = NULL;
    const struct config *config = cli_config(cli, &err);
    if (!config || !store_salvage(config->store.url, &result, &err))
        return cli_fail(&err);
    strbuf_addf(&json, "{\"rows\":%lld,\"tables_damaged\":%lld,\"kept_as\":", (long long)result.rows,
                (long long)result.tables_damaged);
    strbuf_add_json(&json, str_of(result.kept_as));
    strbuf_add_char(&json, '}');
    free(result.kept_as);
    return cli_show_object(cli, strbuf_str(&json), &err) ? CLI_OK : cli_fail(&err);
}

const struct cli_command cli_salvage[] = {
    { "history salvage", "", "save what can be read of a damaged SQLite store", salvage,
      .flags = cli_output_flags,
      .details =
          "A new file takes the damaged one's place, which is kept beside it as PATH.damaged-TIME. A running server "
          "goes on with the new file by itself." },
    { 0 },
};
