/* The six detectors: each makes events of the past, and the bands of the configuration say how severe they are. */
#include <math.h>

#include "history/oscillation_internal.h"

#define ROUNDING 1e-9 /* three times 0.7 over three is a little less than 0.7 */

struct finding *finding_add(struct detection *d, enum pattern pattern, enum pattern_severity severity)
{
    if (severity == PATTERN_SEVERITY_NONE || d->result->count == FINDINGS_MAX)
        return NULL;
    struct finding *finding = &d->result->findings[d->result->count++];
    *finding = (struct finding){ .pattern = pattern, .severity = severity, .score = NAN, .trend = NAN };
    return finding;
}

static bool is_member(const struct finding *finding, const struct past *past)
{
    for (size_t i = 0; i < finding->member_count; i++)
        if (finding->members[i] == past)
            return true;
    return false;
}

/* Count, members (each once), times and average score of a run of events. */
void finding_take(struct detection *d, struct finding *finding, const struct event *events, size_t count)
{
    finding->members = ARENA_ARRAY(d->arena, const struct past *, count * 2);
    for (size_t i = 0; i < count; i++) {
        finding->gap_ms += (double)events[i].gap_ms / (double)count;
        for (size_t m = 0; m < 2 && events[i].members[m]; m++)
            if (!is_member(finding, events[i].members[m])) {
                finding->members[finding->member_count++] = events[i].members[m];
                finding->actions |= BIT(events[i].members[m]->action);
            }
    }
    finding->count = (double)count;
    finding->score = mean_score(events, count);
    finding->first_at = events[0].at;
    finding->last_at = events[count - 1].at;
}

double mean_score(const struct event *events, size_t count)
{
    double sum = 0;
    size_t known = 0;
    const struct past *last = NULL; /* events share members only with their neighbours */
    for (size_t i = 0; i < count; i++)
        for (size_t m = 0; m < 2 && events[i].members[m]; m++) {
            const struct past *past = events[i].members[m];
            if (past != last && !isnan(past->score)) {
                sum += past->score;
                known++;
            }
            last = past;
        }
    return known ? sum / (double)known : NAN;
}

/* An unknown average is below nothing: it reaches only bands that ask for no score. */
static bool reaches(const struct config_band *band, const struct event *events, size_t count)
{
    return (double)count >= band->at_least &&
           (!band->within_ms || events[count - 1].at - events[0].at <= band->within_ms) &&
           (!(band->score_below > 0) || mean_score(events, count) < band->score_below - ROUNDING);
}

static bool find_run(const struct config_band *band, const struct event *events, size_t count, size_t *from,
                     size_t *to)
{
    for (size_t end = count; (double)end >= band->at_least && end > 0; end--) {
        size_t start = 0;
        while (band->within_ms && events[end - 1].at - events[start].at > band->within_ms)
            start++;
        if (reaches(band, events + start, end - start)) {
            *from = start;
            *to = end;
            return true;
        }
        if (!band->within_ms)
            return false; /* without a time it is all of them or none */
    }
    return false;
}

enum pattern_severity band_of(const struct config_detector *detector, const struct event *events,
                              size_t count, size_t *from, size_t *to)
{
    const struct config_band *bands[PATTERN_SEVERITY_COUNT] = {
        [PATTERN_SEVERITY_LOW] = &detector->low,
        [PATTERN_SEVERITY_MEDIUM] = &detector->medium,
        [PATTERN_SEVERITY_HIGH] = &detector->high,
        [PATTERN_SEVERITY_CRITICAL] = &detector->critical,
    };
    for (int severity = PATTERN_SEVERITY_CRITICAL; severity > PATTERN_SEVERITY_NONE; severity--)
        if (find_run(bands[severity], events, count, from, to))
            return severity;
    return PATTERN_SEVERITY_NONE;
}

static void add_from(struct detection *d, enum pattern pattern, const struct event *events, size_t count)
{
    size_t from = 0, to = 0;
    struct finding *finding =
        finding_add(d, pattern, band_of(detector_of(d->config, pattern), events, count, &from, &to));
    if (finding)
        finding_take(d, finding, events + from, to - from);
}

static bool is_scaling(const struct past *past)
{
    return past->replicas >= 0 && (pattern_actions(PATTERN_SCALE) & BIT(past->action));
}

/* A change is an up that follows a down or the reverse; a scaling to the same number between them breaks it. */
void detect_scale(struct detection *d)
{
    struct event *events = ARENA_ARRAY(d->arena, struct event, MAX(d->count, 1));
    const struct past *previous = NULL;
    size_t count = 0;
    int before = 0;
    for (size_t i = 0; i < d->count; i++) {
        const struct past *past = d->past[i];
        if (!is_scaling(past))
            continue;
        int direction =
            previous ? (past->replicas > previous->replicas) - (past->replicas < previous->replicas) : 0;
        if (direction && direction == -before)
            events[count++] = (struct event){ .at = past->at, .members = { previous, past } };
        before = direction;
        previous = past;
    }
    add_from(d, PATTERN_SCALE, events, count);
}

void detect_thrashing(struct detection *d)
{
    const struct config_detector *bands = &d->config->thrashing;
    struct event *events = ARENA_ARRAY(d->arena, struct event, MAX(d->count, 1));
    const struct past *previous = NULL;
    size_t count = 0, from = 0, to = 0;
    double gaps = 0;
    for (size_t i = 0; i < d->count; i++) {
        const struct past *past = d->past[i];
        if (!(pattern_actions(PATTERN_THRASHING) & BIT(past->action)))
            continue;
        int64_t gap = previous ? past->at - previous->at : 0;
        bool turns = previous && (previous->action == ACTION_INCREASE_RESOURCES) !=
                                     (past->action == ACTION_INCREASE_RESOURCES);
        if (turns && gap < d->config->thrashing_gap_ms) {
            events[count++] = (struct event){ .at = past->at, .gap_ms = gap, .members = { previous, past } };
            gaps += (double)gap;
        }
        previous = past;
    }
    /* The medium band's time is an average gap, not a span. */
    struct config_detector spans = *bands;
    bool near = !bands->medium.within_ms || (count && gaps / (double)count < (double)bands->medium.within_ms);
    spans.medium.within_ms = 0;
    if (!near)
        spans.medium.at_least = (double)count + 1;
    struct finding *finding = finding_add(d, PATTERN_THRASHING, band_of(&spans, events, count, &from, &to));
    if (finding)
        finding_take(d, finding, events + from, to - from);
}

static double trend_of(const struct event *events, size_t count)
{
    double first = events[0].members[0]->score, last = events[count - 1].members[0]->score;
    return count >= 3 ? (last - first) / MAX(first, 0.1) : NAN;
}

/* The events of one action; a proposal, which has no outcome yet, only where it is asked for. */
static size_t events_of(const struct detection *d, uint32_t of, bool with_proposal, struct event *events)
{
    size_t count = 0;
    for (size_t i = 0; i < d->count; i++)
        if ((of & BIT(d->past[i]->action)) && (with_proposal || d->past[i]->id[0]))
            events[count++] = (struct event){ .at = d->past[i]->at, .members = { d->past[i] } };
    return count;
}

void detect_ineffective(struct detection *d)
{
    struct event *events = ARENA_ARRAY(d->arena, struct event, MAX(d->count, 1));
    for (int action = 0; action < ACTION_COUNT; action++) {
        size_t count = events_of(d, pattern_actions(PATTERN_INEFFECTIVE) & BIT(action), false, events);
        size_t before = d->result->count;
        add_from(d, PATTERN_INEFFECTIVE, events, count);
        if (d->result->count > before)
            d->result->findings[before].trend = trend_of(events, count);
    }
}

void detect_restart(struct detection *d)
{
    struct event *events = ARENA_ARRAY(d->arena, struct event, MAX(d->count, 1));
    add_from(d, PATTERN_RESTART, events, events_of(d, pattern_actions(PATTERN_RESTART), true, events));
}

/* An autoscaler fights us where what we asked for is found moved back towards where it was. */
static bool is_undone(const struct past *earlier, const struct past *later, int64_t gap_max)
{
    int64_t ours = earlier->replicas - earlier->replicas_before,
            theirs = later->replicas_before - earlier->replicas;
    return earlier->replicas_before >= 0 && later->replicas_before >= 0 && later->autoscaled &&
           later->at - earlier->at <= gap_max && ((ours > 0 && theirs < 0) || (ours < 0 && theirs > 0));
}

void detect_hpa_fight(struct detection *d)
{
    struct event *events = ARENA_ARRAY(d->arena, struct event, MAX(d->count, 1));
    const struct past *previous = NULL;
    size_t count = 0;
    for (size_t i = 0; i < d->count; i++) {
        if (!is_scaling(d->past[i]))
            continue;
        if (previous && is_undone(previous, d->past[i], d->config->hpa_fight_gap_ms))
            events[count++] = (struct event){ .at = d->past[i]->at, .members = { previous, d->past[i] } };
        previous = d->past[i];
    }
    add_from(d, PATTERN_HPA_FIGHT, events, count);
}

static bool is_same(const char *a, const char *b)
{
    return a && b && strcmp(a, b) == 0;
}

/* Distinct names of alerts other than its own that began within `after_ms` of the execution. */
static size_t new_alerts_after(const struct oscillation_input *input, const struct past *past,
                               int64_t after_ms)
{
    size_t count = 0;
    for (size_t i = 0; i < input->alert_count; i++) {
        const struct past_alert *alert = &input->alerts[i];
        bool counts = alert->at > past->at && alert->at <= past->at + after_ms &&
                      !is_same(alert->name, past->alert_name);
        for (size_t j = 0; j < i && counts; j++)
            counts = !(is_same(input->alerts[j].name, alert->name) && input->alerts[j].at > past->at &&
                       input->alerts[j].at <= past->at + after_ms);
        count += counts;
    }
    return count;
}

static bool came_again(const struct oscillation_input *input, const struct past *past)
{
    for (size_t i = 0; i < input->alert_count; i++)
        if (input->alerts[i].at > past->at && is_same(input->alerts[i].name, past->alert_name))
            return true;
    return false;
}

static enum pattern_severity cascade_severity(const struct config_oscillation *c, double news, double again)
{
    if (news > c->cascade_critical.new_alerts && again > c->cascade_critical.recurrence)
        return PATTERN_SEVERITY_CRITICAL;
    if (news > c->cascade_high.new_alerts || again > c->cascade_high.recurrence)
        return PATTERN_SEVERITY_HIGH;
    if (news > c->cascade_medium.new_alerts || again > c->cascade_medium.recurrence)
        return PATTERN_SEVERITY_MEDIUM;
    return PATTERN_SEVERITY_LOW;
}

void detect_cascade(struct detection *d)
{
    struct event *events = ARENA_ARRAY(d->arena, struct event, MAX(d->count, 1));
    for (int action = 0; action < ACTION_COUNT; action++) {
        size_t count = events_of(d, pattern_actions(PATTERN_CASCADE) & BIT(action), false, events);
        double news = 0, again = 0;
        for (size_t i = 0; i < count; i++) {
            news += (double)new_alerts_after(d->input, events[i].members[0], d->config->cascade_after_ms);
            again += came_again(d->input, events[i].members[0]);
        }
        if (!(news > 0))
            continue;
        news /= (double)count;
        again /= (double)count;
        struct finding *finding = finding_add(d, PATTERN_CASCADE, cascade_severity(d->config, news, again));
        finding_take(d, finding, events, count);
        finding->count = news;
        finding->recurrence = again;
    }
}
