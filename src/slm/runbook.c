/* SQLite's FTS5 ranks by bm25 over title, words and text, each stemmed by words_of() as the alert is, so that both sides
 * split CamelCase and cut endings alike. The index is made anew at every start: some milliseconds for hundreds of files. */
#include "slm/runbook.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <sqlite3.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "slm/words.h"
#include "slm_runbooks.h"

enum {
    TITLE_MAX = 200,
    ACTIONS_MAX = 8,   /* that a passage names in its head */
    WORDS_MAX = 2000,  /* of a passage */
    QUERY_WORDS = 120, /* of an alert */
    CONSIDERED = 6,    /* passages whose actions are counted */
};
static const double SHARPNESS = 3.0;   /* how much a better passage counts than a worse one */
static const double FLOOR = 0.1;       /* spread over all actions: no passage makes one impossible */
static const double NEXT_ACTION = 0.5; /* each further action of a passage counts so much less */

struct passage {
    struct str title, text, source;
    enum action actions[ACTIONS_MAX];
    size_t action_count;
};

struct runbooks {
    struct arena *arena; /* of the passages; read-only once open */
    struct passage *passages;
    size_t count, cap;

    pthread_mutex_t lock; /* guards what follows */
    sqlite3 *index;
    sqlite3_stmt *query;
};

/* ---- reading --------------------------------------------------------------------------------------------------- */

static void name_action(struct passage *passage, struct str name)
{
    enum action action;
    name = str_trim(name);
    if (!name.len)
        return;
    if (!action_parse(name, &action))
        log_warn("runbook names an action that does not exist", KV_STR("runbook", passage->source),
                 KV_STR("action", name));
    else if (passage->action_count < ACTIONS_MAX)
        passage->actions[passage->action_count++] = action;
}

static void name_actions(struct passage *passage, struct str list)
{
    struct str one;
    if (list.len >= 2 && list.ptr[0] == '[' && list.ptr[list.len - 1] == ']')
        list = str_slice(list, 1, list.len - 1);
    while (str_split(&list, ',', &one))
        name_action(passage, one);
}

/* The lines between the two "---"; false if there are none. *text is then what follows. */
static bool read_head(struct passage *passage, struct str *text, struct str *words)
{
    struct str rest = *text, line;
    if (!str_split(&rest, '\n', &line) || !str_eq(str_trim(line), STR("---")))
        return false;
    while (str_split(&rest, '\n', &line)) {
        size_t colon;
        if (str_eq(str_trim(line), STR("---"))) {
            *text = rest;
            return true;
        }
        if (!str_find(line, STR(":"), &colon))
            continue;
        struct str key = str_trim(str_slice(line, 0, colon)),
                   value = str_trim(str_slice(line, colon + 1, line.len));
        if (str_eq(key, STR("title")))
            passage->title = value;
        else if (str_eq(key, STR("actions")))
            name_actions(passage, value);
        else if (str_eq(key, STR("words")))
            *words = value;
    }
    return false;
}

/* A file without a head: its first line, and the actions that it names, in their order. */
static void read_plain(struct passage *passage, struct str text)
{
    struct str rest = text;
    while (!passage->title.len && str_split(&rest, '\n', &passage->title))
        while (passage->title.len && (passage->title.ptr[0] == '#' || passage->title.ptr[0] == ' '))
            passage->title = str_slice(passage->title, 1, passage->title.len);
    for (size_t at = 0; at < text.len && passage->action_count < ACTIONS_MAX; at++)
        for (int i = 0; i < ACTION_COUNT; i++)
            if (str_starts_with(str_slice(text, at, text.len), str_of(action_name((enum action)i))))
                name_action(passage, str_of(action_name((enum action)i)));
}

static struct str stemmed(struct arena *arena, struct str text)
{
    struct word_list words = words_of(arena, text, WORDS_MAX, true);
    AUTO(strbuf) struct strbuf out = { 0 };
    for (size_t i = 0; i < words.count; i++)
        if (words.items[i].len && words.items[i].ptr[0] != '#') {
            strbuf_add(&out, words.items[i]);
            strbuf_add_char(&out, ' ');
        }
    return arena_str(arena, strbuf_str(&out));
}

static bool bind(sqlite3_stmt *statement, int at, struct str text)
{
    return sqlite3_bind_text(statement, at, text.ptr ? text.ptr : "", (int)text.len, SQLITE_TRANSIENT) ==
           SQLITE_OK;
}

static bool sqlite_failed(struct runbooks *runbooks, struct error **err)
{
    return error_set(err, ERROR_INTERNAL, "index of the runbooks: %s", sqlite3_errmsg(runbooks->index));
}

/* Take a file's text in. It is copied. */
static bool add(struct runbooks *runbooks, struct str source, struct str text, sqlite3_stmt *insert,
                struct error **err)
{
    struct passage passage = { .source = arena_str(runbooks->arena, source) };
    struct str words = { 0 };
    text = arena_str(runbooks->arena, text);
    passage.text = text;
    if (!read_head(&passage, &passage.text, &words))
        read_plain(&passage, text);
    passage.title = str_slice(str_trim(passage.title), 0, TITLE_MAX), passage.text = str_trim(passage.text);
    if (runbooks->count == runbooks->cap) {
        runbooks->cap = runbooks->cap ? 2 * runbooks->cap : 64;
        runbooks->passages = xrealloc(runbooks->passages, runbooks->cap * sizeof *runbooks->passages);
    }
    AUTO(arena) struct arena *scratch = arena_new(16 * 1024);
    if (sqlite3_bind_int64(insert, 1, (int64_t)runbooks->count) != SQLITE_OK ||
        !bind(insert, 2, stemmed(scratch, passage.title)) || !bind(insert, 3, stemmed(scratch, words)) ||
        !bind(insert, 4, stemmed(scratch, passage.text)) || sqlite3_step(insert) != SQLITE_DONE)
        return sqlite_failed(runbooks, err);
    sqlite3_reset(insert);
    runbooks->passages[runbooks->count++] = passage;
    return true;
}

/* ---- the user's folder ----------------------------------------------------------------------------------------- */

struct listing {
    char **paths;
    size_t count;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool list_folder(const char *folder, int depth, struct listing *listing, struct error **err)
{
    DIR *dir = opendir(folder);
    if (!dir)
        return error_errno(err, errno, "folder of runbooks %s", folder);
    for (struct dirent *entry; (entry = readdir(dir)) && listing->count < RUNBOOK_FILES_MAX;) {
        struct stat info;
        if (entry->d_name[0] == '.') /* also the "..data" of mounted ConfigMaps, which its links lead to */
            continue;
        char *path = xasprintf("%s/%s", folder, entry->d_name);
        bool known = stat(path, &info) == 0;
        if (known && S_ISDIR(info.st_mode) && depth > 1)
            list_folder(path, depth - 1, listing, NULL);
        if (known && S_ISREG(info.st_mode) && str_ends_with(str_of(path), STR(".md"))) {
            listing->paths = xrealloc(listing->paths, (listing->count + 1) * sizeof *listing->paths);
            listing->paths[listing->count++] = STEAL(path);
        }
        free(path);
    }
    closedir(dir);
    return true;
}

static bool add_file(struct runbooks *runbooks, const char *path, sqlite3_stmt *insert, struct error **err)
{
    AUTO(strbuf) struct strbuf text = { 0 };
    AUTO(error) struct error *why = NULL;
    if (!file_read(path, RUNBOOK_FILE_MAX, &text, &why)) {
        log_warn("runbook left out", KV("runbook", path), KV("error", error_message(why)));
        return true;
    }
    return add(runbooks, str_of(path), strbuf_str(&text), insert, err);
}

static bool add_folder(struct runbooks *runbooks, const char *folder, sqlite3_stmt *insert,
                       struct error **err)
{
    struct listing listing = { 0 };
    bool ok = list_folder(folder, RUNBOOK_DEPTH_MAX, &listing, err);
    if (listing.count)
        qsort(listing.paths, listing.count, sizeof *listing.paths, by_name);
    for (size_t i = 0; i < listing.count; i++) {
        ok = ok && add_file(runbooks, listing.paths[i], insert, err);
        free(listing.paths[i]);
    }
    free(listing.paths);
    return ok;
}

/* ---- open, ask ------------------------------------------------------------------------------------------------- */

static const char schema[] =
    "CREATE VIRTUAL TABLE passage USING fts5(title, words, text, tokenize = 'unicode61')";
static const char insertion[] = "INSERT INTO passage (rowid, title, words, text) VALUES (?, ?, ?, ?)";
static const char question[] =
    "SELECT rowid, -bm25(passage, 3.0, 2.0, 1.0) AS score FROM passage WHERE passage MATCH ? ORDER BY score DESC, rowid LIMIT ?";

static bool add_built_in(struct runbooks *runbooks, sqlite3_stmt *insert, struct error **err)
{
    for (size_t i = 0; runbook_files[i]; i++)
        if (!add(runbooks, STR("built-in"), *runbook_files[i], insert, err))
            return false;
    return true;
}

static bool fill(struct runbooks *runbooks, const char *folder, struct error **err)
{
    sqlite3_stmt *insert = NULL;
    if (sqlite3_open_v2(":memory:", &runbooks->index, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) !=
            SQLITE_OK ||
        sqlite3_exec(runbooks->index, schema, NULL, NULL, NULL) != SQLITE_OK ||
        sqlite3_prepare_v2(runbooks->index, insertion, -1, &insert, NULL) != SQLITE_OK ||
        sqlite3_prepare_v2(runbooks->index, question, -1, &runbooks->query, NULL) != SQLITE_OK)
        return sqlite_failed(runbooks, err);
    bool ok = add_built_in(runbooks, insert, err) &&
              (!folder || !*folder || add_folder(runbooks, folder, insert, err));
    sqlite3_finalize(insert);
    return ok;
}

struct runbooks *runbooks_open(const char *folder, struct error **err)
{
    AUTO(runbooks) struct runbooks *runbooks = xcalloc(1, sizeof *runbooks);
    pthread_mutex_init(&runbooks->lock, NULL);
    runbooks->arena = arena_new(64 * 1024);
    if (!fill(runbooks, folder, err))
        return NULL;
    return STEAL(runbooks);
}

void runbooks_close(struct runbooks *runbooks)
{
    if (!runbooks)
        return;
    sqlite3_finalize(runbooks->query);
    sqlite3_close(runbooks->index);
    pthread_mutex_destroy(&runbooks->lock);
    arena_free(runbooks->arena);
    free(runbooks->passages);
    free(runbooks);
}

size_t runbooks_count(const struct runbooks *runbooks)
{
    return runbooks->count;
}

/* "pod" OR "crash" OR …: of the alert's name, summary and description. Words hold letters alone, so none can be syntax. */
static struct str query_of(struct arena *arena, const struct alert *alert)
{
    const char *text =
        arena_printf(arena, STR_FMT " " STR_FMT " " STR_FMT, STR_ARG(alert->name),
                     STR_ARG(label_get(&alert->annotations, STR("summary"))), STR_ARG(alert->description));
    struct word_list words = words_of(arena, str_of(text), QUERY_WORDS, true);
    AUTO(strbuf) struct strbuf query = { 0 };
    for (size_t i = 0; i < words.count; i++)
        if (words.items[i].len > 1 && words.items[i].ptr[0] != '#')
            strbuf_addf(&query, "%s\"" STR_FMT "\"", query.len ? " OR " : "", STR_ARG(words.items[i]));
    return arena_str(arena, strbuf_str(&query));
}

struct hit {
    const struct passage *passage;
    double score;
};

static size_t find(struct runbooks *runbooks, struct str query, struct hit *hits, size_t max)
{
    size_t count = 0;
    pthread_mutex_lock(&runbooks->lock);
    if (bind(runbooks->query, 1, query) && sqlite3_bind_int64(runbooks->query, 2, (int64_t)max) == SQLITE_OK)
        while (count < max && sqlite3_step(runbooks->query) == SQLITE_ROW) {
            hits[count].passage = &runbooks->passages[sqlite3_column_int64(runbooks->query, 0)];
            hits[count++].score = sqlite3_column_double(runbooks->query, 1);
        }
    sqlite3_reset(runbooks->query);
    pthread_mutex_unlock(&runbooks->lock);
    return count;
}

static void weigh(const struct hit *hits, size_t count, double log_scores[ACTION_COUNT])
{
    double shares[ACTION_COUNT] = { 0 }, sum = 0;
    for (size_t i = 0; i < MIN(count, CONSIDERED); i++) {
        double weight = pow(hits[i].score / hits[0].score, SHARPNESS);
        for (size_t k = 0; k < hits[i].passage->action_count; k++, weight *= NEXT_ACTION) {
            shares[hits[i].passage->actions[k]] += weight;
            sum += weight;
        }
    }
    for (int i = 0; i < ACTION_COUNT; i++)
        log_scores[i] = sum > 0 ? log((1 - FLOOR) * shares[i] / sum + FLOOR / ACTION_COUNT) : NAN;
}

size_t runbooks_ask(struct runbooks *runbooks, struct arena *arena, const struct alert *alert,
                    double log_scores[ACTION_COUNT], struct runbook_passage *passages, size_t max)
{
    struct str query = query_of(arena, alert);
    size_t wanted = MAX(max, CONSIDERED);
    struct hit *hits = ARENA_ARRAY(arena, struct hit, wanted);
    size_t count = query.len ? find(runbooks, query, hits, wanted) : 0;
    weigh(hits, count, log_scores);
    for (size_t i = 0; i < MIN(count, max); i++) {
        const struct passage *passage = hits[i].passage;
        passages[i] = (struct runbook_passage){ passage->title, passage->text, passage->source, 0,
                                                hits[i].score / hits[0].score };
        for (size_t k = 0; k < passage->action_count; k++)
            passages[i].actions |= BIT(passage->actions[k]);
    }
    return MIN(count, max);
}
