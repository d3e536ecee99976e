/* Reading GGUF. The file is somebody else's: each number in it is a claim, checked before it is used. */
#include "engine/gguf.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "engine/mapping.h"

enum {
    GGUF_MAGIC = 0x46554747, /* "GGUF" */
    GGUF_TENSORS_MAX = 100 * 1000,
    GGUF_VALUES_MAX = 100 * 1000,
    GGUF_STRING_MAX = 64 * 1024 * 1024,
    GGUF_ALIGNMENT_DEFAULT = 32,
};

struct gguf {
    struct mapping *mapping; /* NULL if the bytes are borrowed */
    const unsigned char *bytes;
    size_t len;
    uint32_t version;
    uint64_t alignment, data_offset;
    struct gguf_value *values;
    size_t value_count;
    struct gguf_tensor *tensors;
    size_t tensor_count;
    uint32_t *value_index, *tensor_index; /* hash tables: position + 1, open addressing */
    size_t value_slots, tensor_slots;
};

static const struct tensor_traits traits[TENSOR_TYPE_MAX] = {
    [TENSOR_F32] = { "F32", 1, 4 },       [TENSOR_F16] = { "F16", 1, 2 },
    [TENSOR_BF16] = { "BF16", 1, 2 },     [TENSOR_Q4_0] = { "Q4_0", 32, 18 },
    [TENSOR_Q4_1] = { "Q4_1", 32, 20 },   [TENSOR_Q5_0] = { "Q5_0", 32, 22 },
    [TENSOR_Q5_1] = { "Q5_1", 32, 24 },   [TENSOR_Q8_0] = { "Q8_0", 32, 34 },
    [TENSOR_Q4_K] = { "Q4_K", 256, 144 }, [TENSOR_Q5_K] = { "Q5_K", 256, 176 },
    [TENSOR_Q6_K] = { "Q6_K", 256, 210 },
};

static const unsigned char kind_bytes[GGUF_KIND_COUNT] = {
    [GGUF_U8] = 1,  [GGUF_I8] = 1,   [GGUF_U16] = 2, [GGUF_I16] = 2, [GGUF_U32] = 4, [GGUF_I32] = 4,
    [GGUF_F32] = 4, [GGUF_BOOL] = 1, [GGUF_U64] = 8, [GGUF_I64] = 8, [GGUF_F64] = 8,
};

const struct tensor_traits *tensor_traits(uint32_t type)
{
    static const struct tensor_traits unknown;
    return type < TENSOR_TYPE_MAX ? &traits[type] : &unknown;
}

/* ---- reading ---- */

/* Strings carry a 64-bit length; an array of n of them takes at least 8 n bytes, which bounds the loop. */
static bool skip_strings(struct reader *in, uint64_t count)
{
    for (uint64_t i = 0; i < count && reader_ok(in); i++)
        reader_str(in, GGUF_STRING_MAX);
    return reader_ok(in);
}

static bool skip_items(struct reader *in, enum gguf_kind kind, uint64_t count)
{
    if (kind == GGUF_STRING)
        return count <= reader_left(in) / 8 && skip_strings(in, count);
    size_t len;
    return kind_bytes[kind] != 0 && size_mul(kind_bytes[kind], count, &len) && reader_bytes(in, len) != NULL;
}

static bool read_value(struct reader *in, struct gguf_value *value, struct error **err)
{
    value->key = reader_str(in, GGUF_NAME_MAX);
    uint32_t kind = reader_u32(in), element = kind;
    value->count = 1;
    if (kind == GGUF_ARRAY) {
        element = reader_u32(in);
        value->count = reader_u64(in);
    }
    if (!reader_ok(in))
        return error_set(err, ERROR_INVALID, "the metadata ends at byte %zu, in the middle of an entry",
                         in->at);
    if (kind >= GGUF_KIND_COUNT || element >= GGUF_KIND_COUNT || element == GGUF_ARRAY)
        return error_set(err, ERROR_INVALID, "metadata " STR_FMT " is of unknown kind %u/%u",
                         STR_ARG(value->key), kind, element);
    value->kind = (enum gguf_kind)kind;
    value->element = (enum gguf_kind)element;
    size_t begin = in->at;
    value->bytes = in->bytes + begin;
    if (value->count > 0 && !skip_items(in, value->element, value->count))
        return error_set(err, ERROR_INVALID, "metadata " STR_FMT " with %llu items ends past the file",
                         STR_ARG(value->key), (unsigned long long)value->count);
    value->len = in->at - begin;
    return true;
}

static bool check_dims(struct gguf_tensor *tensor, struct error **err)
{
    const struct tensor_traits *type = tensor_traits(tensor->type);
    uint64_t count = 1;
    for (uint32_t i = 0; i < GGUF_DIMS_MAX; i++) {
        if (tensor->dims[i] == 0 || __builtin_mul_overflow(count, tensor->dims[i], &count) || count >> 60)
            return error_set(err, ERROR_INVALID, "tensor " STR_FMT " has a dimension of %llu",
                             STR_ARG(tensor->name), (unsigned long long)tensor->dims[i]);
    }
    if (!type->name)
        return true; /* shown by engine_describe(), refused when a model wants it */
    if (tensor->dims[0] % type->block != 0)
        return error_set(err, ERROR_INVALID, "tensor " STR_FMT ": rows of %llu are not whole %s blocks of %u",
                         STR_ARG(tensor->name), (unsigned long long)tensor->dims[0], type->name, type->block);
    if (__builtin_mul_overflow(count / type->block, (uint64_t)type->bytes, &tensor->bytes))
        return error_set(err, ERROR_INVALID, "tensor " STR_FMT " is too large", STR_ARG(tensor->name));
    return true;
}

static bool read_tensor(struct reader *in, struct gguf_tensor *tensor, struct error **err)
{
    tensor->name = reader_str(in, GGUF_NAME_MAX);
    tensor->n_dims = reader_u32(in);
    if (reader_ok(in) && (tensor->n_dims == 0 || tensor->n_dims > GGUF_DIMS_MAX))
        return error_set(err, ERROR_INVALID, "tensor " STR_FMT " has %u dimensions: 1 to %d are possible",
                         STR_ARG(tensor->name), tensor->n_dims, GGUF_DIMS_MAX);
    for (uint32_t i = 0; i < GGUF_DIMS_MAX; i++)
        tensor->dims[i] = i < tensor->n_dims ? reader_u64(in) : 1;
    tensor->type = reader_u32(in);
    tensor->offset = reader_u64(in);
    if (!reader_ok(in))
        return error_set(err, ERROR_INVALID, "the tensor list ends at byte %zu, in the middle of an entry",
                         in->at);
    return check_dims(tensor, err);
}

static bool place_tensor(const struct gguf *file, struct gguf_tensor *tensor, struct error **err)
{
    uint64_t begin, end;
    if (tensor->offset % file->alignment != 0)
        return error_set(
            err, ERROR_INVALID, "tensor " STR_FMT " begins at %llu, which is not a multiple of %llu",
            STR_ARG(tensor->name), (unsigned long long)tensor->offset, (unsigned long long)file->alignment);
    if (__builtin_add_overflow(file->data_offset, tensor->offset, &begin) ||
        __builtin_add_overflow(begin, tensor->bytes, &end) || end > file->len)
        return error_set(err, ERROR_INVALID,
                         "tensor " STR_FMT " ends past the file (%zu bytes): it is cut short",
                         STR_ARG(tensor->name), file->len);
    tensor->offset = begin;
    tensor->data = file->bytes + begin;
    return true;
}

/* ---- looking up: names are hostile too, so a full table of equal hashes is only slow, and bounded ---- */

static uint32_t *index_new(size_t count, size_t *slots)
{
    *slots = 16;
    while (*slots < count * 2)
        *slots *= 2;
    return xcalloc(*slots, sizeof(uint32_t));
}

static struct str value_name(const struct gguf *file, size_t i)
{
    return file->values[i].key;
}
static struct str tensor_name(const struct gguf *file, size_t i)
{
    return file->tensors[i].name;
}

typedef struct str name_of(const struct gguf *file, size_t i);

/* The slot that holds `name`, or the free one where it belongs. */
static size_t index_slot(const struct gguf *file, const uint32_t *index, size_t slots, name_of *name_of_entry,
                         struct str name)
{
    size_t at = str_hash(name, 0) & (slots - 1);
    while (index[at] != 0 && !str_eq(name_of_entry(file, index[at] - 1), name))
        at = (at + 1) & (slots - 1);
    return at;
}

static bool index_build(const struct gguf *file, uint32_t *index, size_t slots, name_of *name_of_entry,
                        size_t count, struct error **err)
{
    for (size_t i = 0; i < count; i++) {
        size_t at = index_slot(file, index, slots, name_of_entry, name_of_entry(file, i));
        if (index[at] != 0)
            return error_set(err, ERROR_INVALID, "\"" STR_FMT "\" is there twice",
                             STR_ARG(name_of_entry(file, i)));
        index[at] = (uint32_t)i + 1;
    }
    return true;
}

/* ---- opening ---- */

static bool read_values(struct gguf *file, struct reader *in, uint64_t count, struct error **err)
{
    if (count > GGUF_VALUES_MAX || count > reader_left(in) / 13)
        return error_set(err, ERROR_INVALID, "claims %llu metadata entries", (unsigned long long)count);
    file->values = xcalloc(count + 1, sizeof *file->values);
    for (file->value_count = 0; file->value_count < count; file->value_count++)
        if (!read_value(in, &file->values[file->value_count], err))
            return false;
    file->value_index = index_new(count, &file->value_slots);
    return index_build(file, file->value_index, file->value_slots, value_name, count, err);
}

static bool read_tensors(struct gguf *file, struct reader *in, uint64_t count, struct error **err)
{
    if (count > GGUF_TENSORS_MAX || count > reader_left(in) / 32)
        return error_set(err, ERROR_INVALID, "claims %llu tensors", (unsigned long long)count);
    file->tensors = xcalloc(count + 1, sizeof *file->tensors);
    for (file->tensor_count = 0; file->tensor_count < count; file->tensor_count++)
        if (!read_tensor(in, &file->tensors[file->tensor_count], err))
            return false;
    file->tensor_index = index_new(count, &file->tensor_slots);
    return index_build(file, file->tensor_index, file->tensor_slots, tensor_name, count, err);
}

static bool place_tensors(struct gguf *file, struct reader *in, struct error **err)
{
    file->alignment = GGUF_ALIGNMENT_DEFAULT;
    if (gguf_find(file, "general.alignment") && !gguf_get_u64(file, "general.alignment", &file->alignment))
        return error_set(err, ERROR_INVALID, "general.alignment is not a number");
    if (file->alignment == 0 || file->alignment > 1 << 20 || (file->alignment & (file->alignment - 1)) != 0)
        return error_set(err, ERROR_INVALID, "general.alignment is %llu: it must be a power of two",
                         (unsigned long long)file->alignment);
    reader_align(in, file->alignment);
    file->data_offset = reader_ok(in) ? in->at : file->len;
    for (size_t i = 0; i < file->tensor_count; i++)
        if (!place_tensor(file, &file->tensors[i], err))
            return false;
    return true;
}

static bool parse(struct gguf *file, struct error **err)
{
    struct reader in = reader_of(file->bytes, file->len);
    if (reader_u32(&in) != GGUF_MAGIC)
        return error_set(err, ERROR_INVALID, "not a GGUF file");
    file->version = reader_u32(&in);
    uint64_t tensors = reader_u64(&in), values = reader_u64(&in);
    if (!reader_ok(&in))
        return error_set(err, ERROR_INVALID, "the file ends in its header");
    if (file->version != 2 && file->version != 3)
        return error_set(err, ERROR_UNSUPPORTED, "GGUF version %u%s: 2 and 3 are supported", file->version,
                         file->version << 16 ? " (big-endian?)" : "");
    return read_values(file, &in, values, err) && read_tensors(file, &in, tensors, err) &&
           place_tensors(file, &in, err);
}

struct gguf *gguf_open(const char *path, struct error **err)
{
    AUTO(mapping) struct mapping *mapping = mapping_open(path, err);
    if (!mapping)
        return NULL;
    AUTO(gguf) struct gguf *file = xcalloc(1, sizeof *file);
    file->bytes = mapping->bytes;
    file->len = mapping->len;
    file->mapping = STEAL(mapping);
    if (!parse(file, err)) {
        error_wrap(err, "%s", path);
        return NULL;
    }
    if (mapping_failed(file->mapping)) {
        error_set(err, ERROR_IO, "%s: reading it failed", path);
        return NULL;
    }
    return STEAL(file);
}

struct gguf *gguf_open_bytes(const void *bytes, size_t len, struct error **err)
{
    AUTO(gguf) struct gguf *file = xcalloc(1, sizeof *file);
    file->bytes = bytes;
    file->len = len;
    return parse(file, err) ? STEAL(file) : NULL;
}

void gguf_close(struct gguf *file)
{
    if (!file)
        return;
    mapping_close(file->mapping);
    free(file->values);
    free(file->tensors);
    free(file->value_index);
    free(file->tensor_index);
    free(file);
}

/* ---- asking ---- */

uint32_t gguf_version(const struct gguf *file)
{
    return file->version;
}
size_t gguf_size(const struct gguf *file)
{
    return file->len;
}
const void *gguf_bytes(const struct gguf *file)
{
    return file->bytes;
}
const struct mapping *gguf_mapping(const struct gguf *file)
{
    return file->mapping;
}
size_t gguf_tensor_count(const struct gguf *file)
{
    return file->tensor_count;
}
size_t gguf_value_count(const struct gguf *file)
{
    return file->value_count;
}

const struct gguf_tensor *gguf_tensor_at(const struct gguf *file, size_t index)
{
    return index < file->tensor_count ? &file->tensors[index] : NULL;
}

const struct gguf_value *gguf_value_at(const struct gguf *file, size_t index)
{
    return index < file->value_count ? &file->values[index] : NULL;
}

const struct gguf_tensor *gguf_tensor_find(const struct gguf *file, const char *name)
{
    size_t at = index_slot(file, file->tensor_index, file->tensor_slots, tensor_name, str_of(name));
    return file->tensor_index[at] ? &file->tensors[file->tensor_index[at] - 1] : NULL;
}

const struct gguf_value *gguf_find(const struct gguf *file, const char *key)
{
    size_t at = index_slot(file, file->value_index, file->value_slots, value_name, str_of(key));
    return file->value_index[at] ? &file->values[file->value_index[at] - 1] : NULL;
}

/* An integer item as 64 bits; unsigned values above INT64_MAX do not occur in any key we read and are refused. */
static bool integer_at(const struct gguf_value *value, uint64_t i, int64_t *number)
{
    struct reader in = reader_of(value->bytes, value->len);
    reader_seek(&in, i * kind_bytes[value->element]);
    switch (value->element) {
    case GGUF_U8:
    case GGUF_BOOL:
        *number = reader_u8(&in);
        break;
    case GGUF_I8:
        *number = (int8_t)reader_u8(&in);
        break;
    case GGUF_U16:
        *number = reader_u16(&in);
        break;
    case GGUF_I16:
        *number = (int16_t)reader_u16(&in);
        break;
    case GGUF_U32:
        *number = reader_u32(&in);
        break;
    case GGUF_I32:
        *number = (int32_t)reader_u32(&in);
        break;
    case GGUF_U64:
    case GGUF_I64:
        *number = (int64_t)reader_u64(&in);
        break;
    default:
        return false;
    }
    return reader_ok(&in) && !(value->element == GGUF_U64 && *number < 0);
}

static const struct gguf_value *scalar(const struct gguf *file, const char *key)
{
    const struct gguf_value *value = gguf_find(file, key);
    return value && value->kind != GGUF_ARRAY ? value : NULL;
}

bool gguf_get_i64(const struct gguf *file, const char *key, int64_t *value)
{
    const struct gguf_value *found = scalar(file, key);
    return found && integer_at(found, 0, value);
}

bool gguf_get_u64(const struct gguf *file, const char *key, uint64_t *value)
{
    int64_t number;
    if (!gguf_get_i64(file, key, &number) || number < 0)
        return false;
    *value = (uint64_t)number;
    return true;
}

bool gguf_get_u32(const struct gguf *file, const char *key, uint32_t *value)
{
    uint64_t number;
    if (!gguf_get_u64(file, key, &number) || number > UINT32_MAX)
        return false;
    *value = (uint32_t)number;
    return true;
}

static bool float_at(const struct gguf_value *value, uint64_t i, float *number)
{
    struct reader in = reader_of(value->bytes, value->len);
    reader_seek(&in, i * kind_bytes[value->element]);
    if (value->element == GGUF_F32)
        *number = reader_f32(&in);
    else if (value->element == GGUF_F64)
        *number = (float)reader_f64(&in);
    else
        return false;
    return reader_ok(&in);
}

bool gguf_get_f32(const struct gguf *file, const char *key, float *value)
{
    const struct gguf_value *found = scalar(file, key);
    int64_t integer;
    if (found && float_at(found, 0, value))
        return true;
    if (!found || !integer_at(found, 0, &integer))
        return false;
    *value = (float)integer;
    return true;
}

bool gguf_get_bool(const struct gguf *file, const char *key, bool *value)
{
    const struct gguf_value *found = scalar(file, key);
    if (!found || found->kind != GGUF_BOOL)
        return false;
    *value = found->bytes[0] != 0;
    return true;
}

bool gguf_get_str(const struct gguf *file, const char *key, struct str *value)
{
    const struct gguf_value *found = scalar(file, key);
    if (!found || found->kind != GGUF_STRING)
        return false;
    struct reader in = reader_of(found->bytes, found->len);
    *value = reader_str(&in, GGUF_STRING_MAX);
    return reader_ok(&in);
}

static const struct gguf_value *array(const struct gguf *file, const char *key, size_t *count)
{
    const struct gguf_value *value = gguf_find(file, key);
    *count = value && value->kind == GGUF_ARRAY ? value->count : 0;
    return *count ? value : NULL;
}

struct str *gguf_get_strings(const struct gguf *file, const char *key, size_t *count)
{
    const struct gguf_value *value = array(file, key, count);
    if (!value || value->element != GGUF_STRING) {
        *count = 0;
        return NULL;
    }
    struct str *strings = xcalloc(*count, sizeof *strings);
    struct reader in = reader_of(value->bytes, value->len);
    for (size_t i = 0; i < *count; i++)
        strings[i] = reader_str(&in, GGUF_STRING_MAX);
    return strings;
}

int32_t *gguf_get_ints(const struct gguf *file, const char *key, size_t *count)
{
    const struct gguf_value *value = array(file, key, count);
    int32_t *numbers = value ? xcalloc(*count, sizeof *numbers) : NULL;
    for (size_t i = 0; i < *count; i++) {
        int64_t number;
        if (!integer_at(value, i, &number)) {
            free(numbers);
            *count = 0;
            return NULL;
        }
        numbers[i] = (int32_t)number;
    }
    return numbers;
}

float *gguf_get_floats(const struct gguf *file, const char *key, size_t *count)
{
    const struct gguf_value *value = array(file, key, count);
    float *numbers = value ? xcalloc(*count, sizeof *numbers) : NULL;
    for (size_t i = 0; i < *count; i++) {
        if (!float_at(value, i, &numbers[i])) {
            free(numbers);
            *count = 0;
            return NULL;
        }
    }
    return numbers;
}
