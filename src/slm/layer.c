#include "slm/layer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/mem.h"

enum { VERSION = 1, FILE_BYTES_MAX = 64 * 1024 * 1024, ROWS_MAX = 1 << 19, NOTE_MAX = 4096 };

static void add_bytes(struct strbuf *out, const void *bytes, size_t len)
{
    strbuf_add(out, (struct str){ bytes, len });
}

static void write_file(const struct layer *layer, struct strbuf *out)
{
    uint32_t head[4] = { VERSION, (uint32_t)layer->rows, layer->keys != NULL, (uint32_t)strlen(layer->note) };
    strbuf_add(out, STR("PASLAYER"));
    add_bytes(out, head, sizeof head);
    strbuf_add_text(out, layer->note);
    add_bytes(out, layer->bias, sizeof layer->bias);
    if (layer->keys)
        add_bytes(out, layer->keys, layer->rows * sizeof *layer->keys);
    add_bytes(out, layer->weights, layer->rows * ACTION_COUNT * sizeof *layer->weights);
}

struct layer *layer_new_take(struct softmax *fitted, uint64_t *keys, const char *note)
{
    struct layer *layer = xcalloc(1, sizeof *layer);
    layer->rows = fitted->columns;
    layer->keys = keys;
    layer->note = xstrdup(note);
    layer->weights = xcalloc(layer->rows * ACTION_COUNT, sizeof *layer->weights);
    for (size_t i = 0; i < layer->rows * ACTION_COUNT; i++)
        layer->weights[i] = (float)fitted->weights[i];
    for (int a = 0; a < ACTION_COUNT; a++)
        layer->bias[a] = (float)fitted->bias[a];
    softmax_free(fitted);
    AUTO(strbuf) struct strbuf file = { 0 };
    write_file(layer, &file);
    sha256_hex(strbuf_str(&file), layer->sha256);
    return layer;
}

void layer_free(struct layer *layer)
{
    if (!layer)
        return;
    free(layer->keys);
    free(layer->weights);
    free(layer->note);
    free(layer);
}

bool layer_save(const struct layer *layer, const char *path, struct error **err)
{
    AUTO(strbuf) struct strbuf file = { 0 };
    write_file(layer, &file);
    return file_replace(path, strbuf_str(&file), 0644, err);
}

/* A copy of the next `len` bytes, which the caller frees; NULL past the end. */
static void *copy_bytes(struct reader *in, size_t len)
{
    const void *bytes = reader_bytes(in, len);
    return bytes ? memcpy(xmalloc(len), bytes, len) : NULL;
}

static bool check_content(const struct layer *layer, struct error **err)
{
    for (size_t i = 0; i < layer->rows * ACTION_COUNT; i++)
        if (!isfinite(layer->weights[i]))
            return error_set(err, ERROR_CORRUPT, "weight %zu is not a number", i);
    for (int a = 0; a < ACTION_COUNT; a++)
        if (!isfinite(layer->bias[a]))
            return error_set(err, ERROR_CORRUPT, "bias %d is not a number", a);
    for (size_t i = 1; layer->keys && i < layer->rows; i++)
        if (layer->keys[i] <= layer->keys[i - 1])
            return error_set(err, ERROR_CORRUPT, "its keys are out of order at row %zu", i);
    return true;
}

static bool read_file(struct layer *layer, struct str text, struct error **err)
{
    struct reader in = reader_of(text.ptr, text.len);
    const char *magic = reader_bytes(&in, 8);
    uint32_t version = reader_u32(&in), rows = reader_u32(&in), keyed = reader_u32(&in),
             note = reader_u32(&in);
    if (!magic || memcmp(magic, "PASLAYER", 8) != 0 || version != VERSION)
        return error_set(err, ERROR_INVALID, "not a layer file of version %d", VERSION);
    const char *note_text = reader_bytes(&in, note <= NOTE_MAX ? note : SIZE_MAX);
    const void *bias = reader_bytes(&in, sizeof layer->bias);
    size_t row_bytes = (keyed ? sizeof *layer->keys : 0) + ACTION_COUNT * sizeof *layer->weights;
    if (!bias || rows > ROWS_MAX || keyed > 1 || reader_left(&in) != rows * row_bytes)
        return error_set(err, ERROR_CORRUPT, "its %zu bytes do not fit %u rows", text.len, rows);
    layer->rows = rows;
    layer->note = xstrndup(note_text, note);
    memcpy(layer->bias, bias, sizeof layer->bias);
    layer->keys = keyed ? copy_bytes(&in, rows * sizeof *layer->keys) : NULL;
    layer->weights = copy_bytes(&in, rows * ACTION_COUNT * sizeof *layer->weights);
    return check_content(layer, err);
}

struct layer *layer_parse(struct str bytes, struct error **err)
{
    AUTO(layer) struct layer *layer = xcalloc(1, sizeof *layer);
    if (!read_file(layer, bytes, err))
        return NULL;
    sha256_hex(bytes, layer->sha256);
    return STEAL(layer);
}

struct layer *layer_open(const char *path, struct error **err)
{
    AUTO(strbuf) struct strbuf text = { 0 };
    if (!file_read(path, FILE_BYTES_MAX, &text, err))
        return NULL;
    struct layer *layer = layer_parse(strbuf_str(&text), err);
    if (!layer)
        error_wrap(err, "%s", path);
    return layer;
}

bool layer_find(const struct layer *layer, uint64_t key, size_t *row)
{
    size_t low = 0, high = layer->rows;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (layer->keys[middle] < key)
            low = middle + 1;
        else
            high = middle;
    }
    *row = low;
    return low < layer->rows && layer->keys[low] == key;
}

void layer_ask(const struct layer *layer, const float *vector, double log_probabilities[ACTION_COUNT])
{
    for (int a = 0; a < ACTION_COUNT; a++)
        log_probabilities[a] = layer->bias[a];
    for (size_t i = 0; i < layer->rows; i++)
        for (int a = 0; a < ACTION_COUNT; a++)
            log_probabilities[a] += (double)vector[i] * layer->weights[i * ACTION_COUNT + a];
    log_normalise(log_probabilities, ACTION_SET_ALL);
}
