#include "slm/fusion.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <yyjson.h>

#include "base/file.h"
#include "base/mem.h"
#include "slm/calibrate.h"
#include "slm/minimise.h"

enum { VERSION = 1, FILE_BYTES_MAX = 1024 * 1024, SETS = 1 << FUSED_SOURCES };

/* Evidence below this says no more than "certainly not", whatever the distance. */
static const double LOG_FLOOR = -14, L2 = 1e-3;

const char *const bias_names[BIAS_COUNT] = { "none", "class prior", "batch" };

/* ---- pooling ---- */

static unsigned sources_at_hand(const double (*evidence)[ACTION_COUNT])
{
    unsigned set = 0;
    for (int s = 0; s < FUSED_SOURCES; s++)
        if (!isnan(evidence[s][0]))
            set |= BIT(s);
    return set;
}

static double value_of(const struct fusion *fusion, const double (*evidence)[ACTION_COUNT], int source,
                       int action)
{
    double value = fmax(evidence[source][action], LOG_FLOOR);
    return source == EVIDENCE_TRIE ? value - fusion->trie_offset[action] : value;
}

static void pool(const struct fusion *fusion, const double weights[FUSED_SOURCES],
                 const double (*evidence)[ACTION_COUNT], unsigned sources, double scores[ACTION_COUNT])
{
    for (int a = 0; a < ACTION_COUNT; a++) {
        scores[a] = 0;
        for (int s = 0; s < FUSED_SOURCES; s++)
            if (sources & BIT(s))
                scores[a] += weights[s] * value_of(fusion, evidence, s, a);
    }
}

static bool is_fitted(const struct fusion *fusion, unsigned set)
{
    double sum = 0;
    for (int s = 0; s < FUSED_SOURCES; s++)
        sum += fusion->weights[set][s];
    return sum > 0;
}

/* The largest set of the sources at hand whose weights were fitted: what a source is worth that nobody measured is not
 * guessed. */
static unsigned usable(const struct fusion *fusion, unsigned sources)
{
    unsigned best = 0;
    for (unsigned set = 1; set < SETS; set++)
        if ((set & sources) == set && is_fitted(fusion, set) &&
            __builtin_popcount(set) > __builtin_popcount(best))
            best = set;
    return best;
}

enum action fusion_apply(const struct fusion *fusion, const double (*evidence)[ACTION_COUNT],
                         const double history[ACTION_COUNT], uint32_t set, double probabilities[ACTION_COUNT])
{
    unsigned sources = usable(fusion, sources_at_hand(evidence));
    int first = -1;
    pool(fusion, fusion->weights[sources], evidence, sources, probabilities);
    for (int a = 0; a < ACTION_COUNT && history; a++)
        probabilities[a] += history[a];
    log_normalise(probabilities, set);
    for (int a = 0; a < ACTION_COUNT; a++) {
        probabilities[a] = set & BIT(a) ? exp(probabilities[a]) : 0;
        if (set & BIT(a) && (first < 0 || probabilities[a] > probabilities[first]))
            first = a;
    }
    return first < 0 ? ACTION_NOTIFY_ONLY : (enum action)first;
}

double fusion_calibrate(const struct fusion *fusion, double p)
{
    return calibrate_apply(fusion->from, fusion->to, fusion->points, p);
}

/* ---- fitting ---- */

struct fit {
    const struct fusion *fusion;
    const struct fusion_data *data;
    unsigned sources;
};

static bool is_used(const struct fusion_data *data, size_t i, unsigned sources)
{
    return (!data->use || data->use[i]) && (sources_at_hand(data->evidence[i]) & sources) == sources;
}

/* x: the square root of each weight, so that none becomes negative: evidence is never turned around. */
static double loss_and_gradient(const double *x, double *gradient, size_t n, void *context)
{
    const struct fit *fit = context;
    double weights[FUSED_SOURCES], by_weight[FUSED_SOURCES] = { 0 }, loss = 0;
    size_t used = 0;
    for (size_t s = 0; s < n; s++)
        weights[s] = x[s] * x[s];
    for (size_t i = 0; i < fit->data->count; i++) {
        if (!is_used(fit->data, i, fit->sources))
            continue;
        double scores[ACTION_COUNT];
        const double *target = fit->data->target[i];
        pool(fit->fusion, weights, fit->data->evidence[i], fit->sources, scores);
        log_normalise(scores, ACTION_SET_ALL);
        for (int a = 0; a < ACTION_COUNT; a++) {
            loss -= target[a] * scores[a];
            double slope = exp(scores[a]) - target[a];
            for (int s = 0; s < FUSED_SOURCES; s++)
                if (fit->sources & BIT(s))
                    by_weight[s] += slope * value_of(fit->fusion, fit->data->evidence[i], s, a);
        }
        used++;
    }
    double scale = used ? 1.0 / (double)used : 0;
    loss *= scale;
    for (size_t s = 0; s < n; s++) {
        loss += L2 * weights[s] * weights[s];
        gradient[s] = 2 * x[s] * (by_weight[s] * scale + 2 * L2 * weights[s]);
    }
    return loss;
}

static double fit_weights(struct fusion *fusion, const struct fusion_data *data, unsigned sources)
{
    struct fit fit = { fusion, data, sources };
    double x[FUSED_SOURCES];
    for (int s = 0; s < FUSED_SOURCES; s++)
        x[s] = sources & BIT(s) ? 0.7 : 0;
    double loss = minimise(x, FUSED_SOURCES, loss_and_gradient, &fit, NULL);
    for (int s = 0; s < FUSED_SOURCES; s++)
        fusion->weights[sources][s] = x[s] * x[s];
    return loss;
}

static void set_offset(struct fusion *fusion, const struct fusion_data *data, enum bias_correction bias)
{
    double mean[ACTION_COUNT] = { 0 };
    size_t used = 0;
    for (size_t i = 0; i < data->count && bias != BIAS_NONE; i++) {
        if (!is_used(data, i, BIT(EVIDENCE_TRIE)))
            continue;
        used++;
        for (int a = 0; a < ACTION_COUNT; a++) {
            double value = fmax(data->evidence[i][EVIDENCE_TRIE][a], LOG_FLOOR);
            mean[a] += bias == BIAS_CLASS_PRIOR ? exp(value) : value;
        }
    }
    fusion->bias = bias;
    for (int a = 0; a < ACTION_COUNT; a++) {
        double value = used ? mean[a] / (double)used : 0;
        fusion->trie_offset[a] = !used ? 0 : bias == BIAS_CLASS_PRIOR ? log(value) : value;
    }
}

/* The correction under which the trie alone predicts best. */
static void choose_bias(struct fusion *fusion, const struct fusion_data *data)
{
    double best_loss = INFINITY;
    enum bias_correction best = BIAS_NONE;
    for (int bias = 0; bias < BIAS_COUNT; bias++) {
        set_offset(fusion, data, (enum bias_correction)bias);
        double loss = fit_weights(fusion, data, BIT(EVIDENCE_TRIE));
        if (loss < best_loss) {
            best_loss = loss;
            best = (enum bias_correction)bias;
        }
    }
    set_offset(fusion, data, best);
}

static bool holds(const struct fusion_data *data, unsigned sources)
{
    for (size_t i = 0; i < data->count; i++)
        if (is_used(data, i, sources))
            return true;
    return false;
}

static void fit_calibration(struct fusion *fusion, const struct fusion_data *data)
{
    double *p = xcalloc(data->count, sizeof *p);
    uint8_t *right = xcalloc(data->count, sizeof *right);
    for (size_t i = 0; i < data->count; i++) {
        if (data->use && !data->use[i])
            continue;
        double probabilities[ACTION_COUNT];
        enum action first = fusion_apply(fusion, data->evidence[i], NULL, ACTION_SET_ALL, probabilities);
        p[fusion->samples] = probabilities[first];
        right[fusion->samples++] = (data->acceptable[i] & BIT(first)) != 0;
    }
    fusion->points =
        calibrate_fit(p, right, fusion->samples, CALIBRATION_POINTS_MAX, fusion->from, fusion->to);
    free(p);
    free(right);
}

static char *write_json(const struct fusion *fusion)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    yyjson_mut_doc_set_root(doc, root);
    yyjson_mut_obj_add_int(doc, root, "version", VERSION);
    yyjson_mut_obj_add_str(doc, root, "for", fusion->note);
    yyjson_mut_obj_add_str(doc, root, "bias_correction", bias_names[fusion->bias]);
    yyjson_mut_obj_add_val(doc, root, "trie_offset",
                           yyjson_mut_arr_with_double(doc, fusion->trie_offset, ACTION_COUNT));
    yyjson_mut_val *sets = yyjson_mut_obj_add_arr(doc, root, "weights");
    for (int set = 0; set < SETS; set++)
        yyjson_mut_arr_add_val(sets, yyjson_mut_arr_with_double(doc, fusion->weights[set], FUSED_SOURCES));
    yyjson_mut_val *calibration = yyjson_mut_obj_add_obj(doc, root, "calibration");
    yyjson_mut_obj_add_uint(doc, calibration, "samples", fusion->samples);
    yyjson_mut_obj_add_val(doc, calibration, "from",
                           yyjson_mut_arr_with_double(doc, fusion->from, fusion->points));
    yyjson_mut_obj_add_val(doc, calibration, "to",
                           yyjson_mut_arr_with_double(doc, fusion->to, fusion->points));
    char *text = yyjson_mut_write(doc, YYJSON_WRITE_PRETTY, NULL);
    yyjson_mut_doc_free(doc);
    return text;
}

struct fusion *fusion_fit(const struct fusion_data *data, const char *note)
{
    struct fusion *fusion = xcalloc(1, sizeof *fusion);
    fusion->note = xstrdup(note);
    if (holds(data, BIT(EVIDENCE_TRIE)))
        choose_bias(fusion, data);
    for (unsigned set = 1; set < SETS; set++)
        if (holds(data, set))
            fit_weights(fusion, data, set);
    fit_calibration(fusion, data);
    AUTO(text) char *text = write_json(fusion);
    sha256_hex(str_of(text), fusion->sha256);
    return fusion;
}

void fusion_free(struct fusion *fusion)
{
    if (!fusion)
        return;
    free(fusion->note);
    free(fusion);
}

/* ---- the file ---- */

bool fusion_save(const struct fusion *fusion, const char *path, struct error **err)
{
    AUTO(text) char *text = write_json(fusion);
    return file_replace(path, str_of(text), 0644, err);
}

/* An array of exactly `count` finite numbers. */
static bool read_numbers(yyjson_val *array, double *numbers, size_t count)
{
    if (yyjson_arr_size(array) != count)
        return false;
    for (size_t i = 0; i < count; i++) {
        yyjson_val *number = yyjson_arr_get(array, i);
        if (!yyjson_is_num(number) || !isfinite(yyjson_get_num(number)))
            return false;
        numbers[i] = yyjson_get_num(number);
    }
    return true;
}

static bool read_bias(struct fusion *fusion, yyjson_val *root)
{
    for (int bias = 0; bias < BIAS_COUNT; bias++)
        if (yyjson_equals_str(yyjson_obj_get(root, "bias_correction"), bias_names[bias])) {
            fusion->bias = (enum bias_correction)bias;
            return true;
        }
    return false;
}

static bool read_json(struct fusion *fusion, yyjson_val *root, struct error **err)
{
    yyjson_val *sets = yyjson_obj_get(root, "weights"), *calibration = yyjson_obj_get(root, "calibration");
    yyjson_val *from = yyjson_obj_get(calibration, "from");
    if (yyjson_get_int(yyjson_obj_get(root, "version")) != VERSION)
        return error_set(err, ERROR_INVALID, "not a fusion file of version %d", VERSION);
    const char *note = yyjson_get_str(yyjson_obj_get(root, "for"));
    fusion->note = xstrdup(note ? note : "");
    fusion->points = yyjson_arr_size(from);
    fusion->samples = yyjson_get_uint(yyjson_obj_get(calibration, "samples"));
    bool ok = read_bias(fusion, root) && yyjson_arr_size(sets) == SETS &&
              fusion->points <= CALIBRATION_POINTS_MAX &&
              read_numbers(yyjson_obj_get(root, "trie_offset"), fusion->trie_offset, ACTION_COUNT) &&
              read_numbers(from, fusion->from, fusion->points) &&
              read_numbers(yyjson_obj_get(calibration, "to"), fusion->to, fusion->points);
    for (size_t set = 0; ok && set < SETS; set++)
        ok = read_numbers(yyjson_arr_get(sets, set), fusion->weights[set], FUSED_SOURCES);
    for (size_t i = 0; ok && i < fusion->points; i++)
        ok = fusion->to[i] >= 0 && fusion->to[i] <= 1 &&
             (i == 0 || (fusion->from[i] >= fusion->from[i - 1] && fusion->to[i] >= fusion->to[i - 1]));
    return ok || error_set(err, ERROR_CORRUPT, "a fusion file with parts missing or out of range");
}

struct fusion *fusion_parse(struct str json, struct error **err)
{
    AUTO(fusion) struct fusion *fusion = xcalloc(1, sizeof *fusion);
    yyjson_read_err why;
    yyjson_doc *doc = yyjson_read_opts((char *)json.ptr, json.len, 0, NULL, &why);
    bool ok = doc ? read_json(fusion, yyjson_doc_get_root(doc), err)
                  : error_set(err, ERROR_INVALID, "not JSON: %s at byte %zu", why.msg, why.pos);
    yyjson_doc_free(doc);
    sha256_hex(json, fusion->sha256);
    return ok ? STEAL(fusion) : NULL;
}

struct fusion *fusion_open(const char *path, struct error **err)
{
    AUTO(strbuf) struct strbuf text = { 0 };
    if (!file_read(path, FILE_BYTES_MAX, &text, err))
        return NULL;
    struct fusion *fusion = fusion_parse(strbuf_str(&text), err);
    if (!fusion)
        error_wrap(err, "%s", path);
    return fusion;
}
