/* Our side of bench-decision: one process that has a model loaded and decides about the alerts of a scenario file.
 *
 *   decision_tool SCENARIOS [KEY=VALUE]...
 *
 * Commands on standard input, answers on standard output, a line each:
 *   one I                ms from scenario I's alert to its action and parameters
 *   batch FIRST COUNT    ms for COUNT alerts decided together
 *   prompt I             {"system":…,"user":…} of scenario I: what the model reads
 *   count                scenarios in the file */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "config/config.h"
#include "slm/prompt.h"
#include "slm/scenario.h"
#include "slm/slm.h"

enum { SETTINGS_MAX = 32 };

static void check(bool ok, struct error *err)
{
    if (ok)
        return;
    fprintf(stderr, "decision_tool: %s\n", error_message(err));
    exit(1);
}

static struct slm_question question_of(const struct alert *alert)
{
    enum kind kind = KIND_NONE;
    kind_parse(alert->target.kind, &kind);
    return (struct slm_question){ .alert = alert, .alerts = 1, .kind = kind, .feasible = ACTION_SET_ALL };
}

static double decide_ms(struct slm *slm, const struct scenario *scenarios, size_t count)
{
    AUTO(arena) struct arena *arena = arena_new(1 << 20);
    struct slm_question *questions = ARENA_ARRAY(arena, struct slm_question, count);
    struct decision *decisions = ARENA_ARRAY(arena, struct decision, count);
    for (size_t i = 0; i < count; i++)
        questions[i] = question_of(&scenarios[i].alert);
    int64_t began = clock_mono_us();
    if (count == 1)
        slm_decide(slm, arena, questions, decisions);
    else
        slm_decide_batch(slm, arena, questions, count, decisions);
    double ms = (double)(clock_mono_us() - began) / 1000;
    for (size_t i = 0; i < count; i++)
        if (decisions[i].degraded[0] || decisions[i].cached) {
            fprintf(stderr, "decision_tool: not decided by the model: %s\n", decisions[i].degraded);
            exit(1);
        }
    return ms;
}

static void print_prompt(const struct alert *alert)
{
    AUTO(arena) struct arena *arena = arena_new(1 << 18);
    AUTO(strbuf) struct strbuf out = { 0 };
    struct slm_question question = question_of(alert);
    strbuf_add_text(&out, "{\"system\":");
    strbuf_add_json(&out, prompt_system());
    strbuf_add_text(&out, ",\"user\":");
    strbuf_add_json(&out, prompt_user(arena, &question, BIT(PROMPT_ALERT)));
    printf(STR_FMT "}\n", STR_ARG(strbuf_str(&out)));
}

static bool answer(struct slm *slm, const struct scenario_list *list, const char *line)
{
    size_t x = 0, y = 0;
    if (sscanf(line, "one %zu", &x) == 1 && x < list->count)
        printf("%.3f\n", decide_ms(slm, list->items + x, 1));
    else if (sscanf(line, "batch %zu %zu", &x, &y) == 2 && y && x <= list->count && y <= list->count - x)
        printf("%.3f\n", decide_ms(slm, list->items + x, y));
    else if (sscanf(line, "prompt %zu", &x) == 1 && x < list->count)
        print_prompt(&list->items[x].alert);
    else if (strncmp(line, "count", 5) == 0)
        printf("%zu\n", list->count);
    else
        return false;
    fflush(stdout);
    return true;
}

int main(int argc, char **argv)
{
    struct error *err = NULL;
    if (argc < 2 || argc > 2 + SETTINGS_MAX)
        return fprintf(stderr, "usage: decision_tool SCENARIOS [KEY=VALUE]...\n"), 2;
    AUTO(arena) struct arena *arena = arena_new(1 << 20);
    struct scenario_list list = { 0 };
    check(scenarios_read(arena, argv[1], &list, &err), err);
    /* argv ends with NULL, as the list of settings has to. */
    AUTO(config)
    struct config *config =
        config_load(&(struct config_options){ .set = (const char *const *)argv + 2 }, &err);
    check(config, err);
    AUTO(slm) struct slm *slm = slm_open(config, &err);
    check(slm, err);
    char line[128];
    while (fgets(line, sizeof line, stdin))
        if (!answer(slm, &list, line))
            return 2;
    free(list.items);
    return 0;
}
