/* Thirty days of fifty workloads. Faults come with alerts whose cures are known to the simulation alone; a small model
 * that is often wrong decides, first by itself, then with what the store has learned and with circles broken. With a
 * folder as argument it also draws docs/learning-*.svg. */
#include <math.h>
#include <stdlib.h>

#include "history/history.h"
#include "store/memory.h"
#include "store/outcomes.h"
#include "tests/history/scene.h"
#include "tests/test.h"

enum {
    DAYS = 30,
    WEEKS = 4,
    WORKLOADS = 50,
    NAMESPACES = 5,
    ALERTS = 40,
    FAULTS_A_DAY = 30,
    ATTEMPTS_MAX = 4,
    CHOICES = 9,
    SEED = 20261121,
    MIN_MS = 60 * 1000,
    DAY_MS = 24 * 60 * MIN_MS
};

static const enum action choices[CHOICES] = {
    ACTION_RESTART_POD,         ACTION_SCALE_DEPLOYMENT, ACTION_INCREASE_RESOURCES,
    ACTION_ROLLBACK_DEPLOYMENT, ACTION_CLEANUP_STORAGE,  ACTION_MIGRATE_WORKLOAD,
    ACTION_RESTART_NETWORK,     ACTION_ROTATE_SECRETS,   ACTION_OPTIMIZE_RESOURCES,
};

struct world {
    struct rng rng;
    double helps[ALERTS][NAMESPACES][CHOICES]; /* the chance that a choice ends the alert */
    double model[ALERTS][CHOICES];             /* what the small model thinks of it */
};

struct day {
    int faults, first_helped, executions, circles;
};
struct outcome_of_run {
    struct day days[DAYS];
};

static void normalise(double *p)
{
    double sum = 0;
    for (int c = 0; c < CHOICES; c++)
        sum += p[c];
    for (int c = 0; c < CHOICES; c++)
        p[c] /= sum;
}

/* Each alert has a cure; in one namespace of five another. The model favours the cure in four alerts of ten, else
 * something that seldom helps. */
static void make_world(struct world *w)
{
    w->rng = (struct rng){ SEED };
    for (int a = 0; a < ALERTS; a++) {
        int cure = (int)rng_below(&w->rng, CHOICES), other = (int)rng_below(&w->rng, CHOICES);
        for (int n = 0; n < NAMESPACES; n++)
            for (int c = 0; c < CHOICES; c++)
                w->helps[a][n][c] = c == (n == NAMESPACES - 1 ? other : cure) ? 0.85 : 0.05;
        int favourite = rng_unit(&w->rng) < 0.4 ? cure : (int)rng_below(&w->rng, CHOICES);
        for (int c = 0; c < CHOICES; c++)
            w->model[a][c] = 0.3 + rng_unit(&w->rng) + (c == favourite ? 3 : 0) + (c == cure ? 0.5 : 0);
        normalise(w->model[a]);
    }
}

static double logit(double p)
{
    return log(p / (1 - p));
}

/* The model's opinion and what the past says of it, held-back actions left out; -1: none is left. */
static int choose(const struct world *w, int alert, const struct history_context *known, uint32_t tried,
                  bool learns)
{
    int best = -1;
    double best_score = -INFINITY;
    for (int c = 0; c < CHOICES; c++) {
        const struct prediction *p = &known->success[choices[c]];
        double rate = MIN(MAX(p->rate, 0.01), 0.99);
        double score =
            log(w->model[alert][c]) + (learns ? logit(rate) - logit(predict_usual(choices[c])) : 0);
        if (((known->oscillation.held_back | tried) & BIT(choices[c])) && learns)
            continue;
        if (score > best_score) {
            best = c;
            best_score = score;
        }
    }
    return best;
}

struct fault {
    int64_t at;
    int workload, alert;
};

static int by_time(const void *a, const void *b)
{
    const struct fault *x = a, *y = b;
    return (x->at > y->at) - (x->at < y->at);
}

struct run {
    struct fixture *f;
    struct world *w;
    bool learns;
    struct outcome_of_run *out;
};

static void learn(struct run *r, const char *alert, const char *namespace, enum action action, double score)
{
    struct outcome outcome = { .action = action,
                               .alert_name = alert,
                               .kind = "Deployment",
                               .namespace = namespace,
                               .score = score,
                               .weight = 1,
                               .at = clock_utc_ms(),
                               .half_life_ms = scene_config(r->f)->learning.half_life_ms };
    AUTO(tx) struct tx *tx = tx_begin(r->f->store, TX_WRITE, &r->f->err);
    assert_ok(tx && rates_add(tx, &outcome, &r->f->err) && tx_commit(STEAL(tx), &r->f->err), r->f->err);
}

/* One attempt: true if the alert ended. */
static bool attempt(struct run *r, const struct fault *fault, uint32_t *tried, struct day *day, bool *acted)
{
    char name[16], namespace[16], alert[16];
    snprintf(name, sizeof name, "app-%02d", fault->workload);
    snprintf(namespace, sizeof namespace, "ns-%d", fault->workload % NAMESPACES);
    snprintf(alert, sizeof alert, "Alert%02d", fault->alert);
    struct history_target target = { "", namespace, "Deployment", name };
    struct history_question question = { .target = target, .alert_name = r->learns ? alert : NULL };
    struct history_context known;
    assert_ok(history_context(r->f->store, r->f->arena, scene_config(r->f), &question, &known, &r->f->err),
              r->f->err);
    int choice = choose(r->w, fault->alert, &known, *tried, r->learns);
    *acted = choice >= 0;
    if (!*acted)
        return false;
    enum action action = choices[choice];
    if (r->learns) {
        struct history_proposal proposal = { .target = target, .action = action, .alert_name = alert };
        enum prevention prevention;
        struct oscillation found;
        assert_ok(history_judge(r->f->store, r->f->arena, scene_config(r->f), &proposal, &prevention, &found,
                                &r->f->err),
                  r->f->err);
        *acted = prevention == PREVENTION_NONE;
        *tried |= BIT(action);
        if (!*acted)
            return false;
    }
    bool helped = rng_unit(&r->w->rng) < r->w->helps[fault->alert][fault->workload % NAMESPACES][choice];
    double score = helped ? 0.9 + 0.1 * rng_unit(&r->w->rng) : 0.1 * rng_unit(&r->w->rng);
    scene_execution(r->f, &(struct scene_execution){ .action = action_name(action),
                                                     .namespace = namespace,
                                                     .name = name,
                                                     .alert_name = alert,
                                                     .score = score });
    clock_advance(&r->f->clock, 10 * MIN_MS);
    if (r->learns)
        learn(r, alert, namespace, action, score);
    assert_ok(history_context(r->f->store, r->f->arena, scene_config(r->f), &question, &known, &r->f->err),
              r->f->err);
    day->executions++;
    day->circles += known.oscillation.severity >= PATTERN_SEVERITY_MEDIUM;
    return helped;
}

static void work_on(struct run *r, const struct fault *fault, struct day *day)
{
    uint32_t tried = 0;
    day->faults++;
    for (int i = 0; i < ATTEMPTS_MAX; i++) {
        bool acted, helped = attempt(r, fault, &tried, day, &acted);
        day->first_helped += helped && i == 0;
        if (helped)
            return;
    }
}

static void simulate(struct run *r)
{
    int64_t began = r->f->clock.utc_ms;
    for (int d = 0; d < DAYS; d++) {
        struct fault faults[FAULTS_A_DAY];
        for (int i = 0; i < FAULTS_A_DAY; i++)
            faults[i] =
                (struct fault){ began + (int64_t)d * DAY_MS + (int64_t)rng_below(&r->w->rng, DAY_MS),
                                (int)rng_below(&r->w->rng, WORKLOADS), (int)rng_below(&r->w->rng, ALERTS) };
        qsort(faults, FAULTS_A_DAY, sizeof *faults, by_time);
        for (int i = 0; i < FAULTS_A_DAY; i++) {
            r->f->clock.utc_ms = MAX(r->f->clock.utc_ms, faults[i].at);
            work_on(r, &faults[i], &r->out->days[d]);
            arena_reset(r->f->arena);
        }
    }
}

static double first_share(const struct outcome_of_run *out, int week)
{
    int faults = 0, helped = 0;
    for (int d = week * 7; d < (week + 1) * 7; d++) {
        faults += out->days[d].faults;
        helped += out->days[d].first_helped;
    }
    return 100.0 * helped / faults;
}

static int circles(const struct outcome_of_run *out, int week)
{
    int sum = 0;
    for (int d = week * 7; d < (week + 1) * 7; d++)
        sum += out->days[d].circles;
    return sum;
}

/* --- plots */

enum { WIDTH = 640, HEIGHT = 320, LEFT = 52, RIGHT = 130, TOP = 34, BOTTOM = 40 };

struct series {
    const char *name, *colour;
    double values[DAYS];
};

static void draw_line(FILE *file, const struct series *series, double top, int index)
{
    fprintf(file, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2\" points=\"", series->colour);
    for (int d = 0; d < DAYS; d++)
        fprintf(file, "%.1f,%.1f ", LEFT + (double)(WIDTH - LEFT - RIGHT) * d / (DAYS - 1),
                HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * series->values[d] / top);
    fprintf(file, "\"/>\n<text x=\"%d\" y=\"%d\" fill=\"%s\">%s</text>\n", WIDTH - RIGHT + 10,
            TOP + 20 + 20 * index, series->colour, series->name);
}

static void draw(const char *folder, const char *name, const char *title, const struct series *series,
                 int count, double top)
{
    AUTO(text) char *path = xasprintf("%s/%s", folder, name);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fprintf(file,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" "
            "font-size=\"12\">\n<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n<text x=\"%d\" y=\"20\" "
            "font-size=\"14\">%s</text>\n",
            WIDTH, HEIGHT, WIDTH, HEIGHT, LEFT, title);
    for (int i = 0; i <= 4; i++) {
        double y = HEIGHT - BOTTOM - (double)(HEIGHT - TOP - BOTTOM) * i / 4;
        fprintf(
            file,
            "<line x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\" stroke=\"#ddd\"/><text x=\"%d\" y=\"%.1f\" "
            "text-anchor=\"end\">%g</text>\n",
            LEFT, y, WIDTH - RIGHT, y, LEFT - 6, y + 4, top * i / 4);
    }
    for (int d = 0; d < DAYS; d += 7)
        fprintf(file, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">day %d</text>\n",
                LEFT + (double)(WIDTH - LEFT - RIGHT) * d / (DAYS - 1), HEIGHT - BOTTOM + 18, d + 1);
    for (int i = 0; i < count; i++)
        draw_line(file, &series[i], top, i);
    fprintf(file, "</svg>\n");
    assert_int_equal(fclose(file), 0);
}

/* Of a day with the two before and after it. */
static void smooth(const struct outcome_of_run *out, bool share, double values[DAYS])
{
    for (int d = 0; d < DAYS; d++) {
        double a = 0, b = 0;
        for (int e = MAX(d - 2, 0); e <= MIN(d + 2, DAYS - 1); e++) {
            a += share ? out->days[e].first_helped : out->days[e].circles;
            b += share ? out->days[e].faults : 1;
        }
        values[d] = share ? 100 * a / b : a / b;
    }
}

static const char *folder;

static void draw_all(const struct outcome_of_run *alone, const struct outcome_of_run *learning)
{
    struct series series[2] = { { "model alone", "#888", { 0 } }, { "with learning", "#06c", { 0 } } };
    double top = 1;
    smooth(alone, true, series[0].values);
    smooth(learning, true, series[1].values);
    draw(folder, "learning-first-actions.svg", "First actions that help, % (five-day mean)", series, 2, 100);
    smooth(alone, false, series[0].values);
    smooth(learning, false, series[1].values);
    for (int d = 0; d < DAYS; d++)
        top = MAX(top, series[0].values[d]);
    draw(folder, "learning-oscillations.svg", "Executions in a circle a day (five-day mean)", series, 2,
         ceil(top / 4) * 4);
}

static void with_learning_first_actions_help_more_often_and_circles_end(void **state)
{
    struct fixture *f = *state;
    static struct world world;
    static struct outcome_of_run alone, learning;
    make_world(&world);
    simulate(&(struct run){ f, &world, false, &alone });
    fixture_teardown(state);
    fixture_setup(state);
    f = *state;
    make_world(&world);
    simulate(&(struct run){ f, &world, true, &learning });
    for (int week = 0; week < WEEKS; week++)
        printf(
            "week %d: first actions that help %.1f %% alone, %.1f %% with learning; in a circle %d and %d\n",
            week + 1, first_share(&alone, week), first_share(&learning, week), circles(&alone, week),
            circles(&learning, week));
    assert_true(first_share(&learning, 3) >= first_share(&learning, 0) + 15);
    assert_int_equal(circles(&learning, 3), 0);
    assert_true(circles(&alone, 3) > 0);
    if (folder)
        draw_all(&alone, &learning);
}

static int end(void **state)
{
    scene_end();
    return fixture_teardown(state);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(with_learning_first_actions_help_more_often_and_circles_end,
                                        fixture_setup, end),
    };
    folder = argc > 1 ? argv[1] : NULL;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
