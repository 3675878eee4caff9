#include "io/safetensors.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/json_scan.h"

enum { LENGTH_BYTES = 8, MAX_HEADER_BYTES = 100000000 };

typedef struct metadata_pair {
    const char *key, *text;
} metadata_pair;

struct pio_safetensors {
    pio_file *file; /* NULL when parsed from memory */
    char *path;
    const unsigned char *data; /* the whole file */
    uint64_t bytes, header_bytes;
    char *pool, *pool_at; /* the decoded strings */
    pio_stored_tensor *tensors;
    size_t n_tensors, tensors_capacity;
    const pio_stored_tensor **by_name;
    metadata_pair *metadata;
    size_t n_metadata, metadata_capacity;
};

static const struct {
    const char *name;
    unsigned bits;
} dtypes[PIO_STORED_DTYPE_COUNT] = {
    [PIO_STORED_BOOL] = {"BOOL", 8},
    [PIO_STORED_U8] = {"U8", 8},
    [PIO_STORED_I8] = {"I8", 8},
    [PIO_STORED_U16] = {"U16", 16},
    [PIO_STORED_I16] = {"I16", 16},
    [PIO_STORED_U32] = {"U32", 32},
    [PIO_STORED_I32] = {"I32", 32},
    [PIO_STORED_U64] = {"U64", 64},
    [PIO_STORED_I64] = {"I64", 64},
    [PIO_STORED_F16] = {"F16", 16},
    [PIO_STORED_BF16] = {"BF16", 16},
    [PIO_STORED_F32] = {"F32", 32},
    [PIO_STORED_F64] = {"F64", 64},
    [PIO_STORED_C64] = {"C64", 64},
    [PIO_STORED_F8_E4M3] = {"F8_E4M3", 8},
    [PIO_STORED_F8_E5M2] = {"F8_E5M2", 8},
    [PIO_STORED_F8_E4M3FNUZ] = {"F8_E4M3FNUZ", 8},
    [PIO_STORED_F8_E5M2FNUZ] = {"F8_E5M2FNUZ", 8},
    [PIO_STORED_F8_E8M0] = {"F8_E8M0", 8},
    [PIO_STORED_F6_E2M3] = {"F6_E2M3", 6},
    [PIO_STORED_F6_E3M2] = {"F6_E3M2", 6},
    [PIO_STORED_F4] = {"F4", 4},
};

const char *pio_stored_dtype_name(pio_stored_dtype dtype) {
    return (unsigned)dtype < PIO_STORED_DTYPE_COUNT ? dtypes[dtype].name : "unknown";
}

unsigned pio_stored_dtype_bits(pio_stored_dtype dtype) {
    return (unsigned)dtype < PIO_STORED_DTYPE_COUNT ? dtypes[dtype].bits : 0;
}

const char *pio_stored_tensor_shape(const pio_stored_tensor *tensor, char *text, size_t capacity) {
    size_t n = (size_t)snprintf(text, capacity, "[");
    for (int i = 0; i < tensor->rank && n < capacity; i++)
        n += (size_t)snprintf(text + n, capacity - n, "%s%" PRIu64, i ? ", " : "", tensor->dims[i]);
    if (n < capacity) snprintf(text + n, capacity - n, "]");
    return text;
}

/* The header is not JSON as the format wants it. */
static pio_status fail_json(const pio_safetensors *st, const pio_json_cursor *c, pio_error *error) {
    return pio_fail(error, PIO_CORRUPT, "'%.400s': the header is broken at byte %zu (%s): download the file again",
                    st->path, (size_t)(c->at - c->begin) + LENGTH_BYTES, c->reason ? c->reason : "unexpected contents");
}

static pio_status fail_tensor(const pio_safetensors *st, const char *name, const char *what, pio_error *error) {
    return pio_fail(error, PIO_CORRUPT, "'%.400s': tensor '%.200s' %s: download the file again", st->path, name, what);
}

/* Room for one more item in an array that doubles. */
static bool grow(void **items, size_t n, size_t *capacity, size_t item_bytes) {
    if (n < *capacity) return true;
    size_t wanted = *capacity ? *capacity * 2 : 64, bytes;
    if (wanted < *capacity || PIO_MUL_OVERFLOWS(wanted, item_bytes, &bytes)) return false;
    void *grown = realloc(*items, bytes);
    if (!grown) return false;
    *items = grown;
    *capacity = wanted;
    return true;
}

static bool has_control_character(const char *text, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f) return true;
    }
    return false;
}

static pio_status parse_metadata(pio_safetensors *st, pio_json_cursor *c, pio_error *error) {
    if (pio_json_scan_peek(c) == 'n') return pio_json_scan_skip(c) ? PIO_OK : fail_json(st, c, error);
    if (!pio_json_scan_take(c, '{', "__metadata__ is not an object")) return fail_json(st, c, error);
    for (bool first = true; pio_json_scan_more(c, '}', &first);) {
        const char *key, *text;
        size_t key_bytes, text_bytes;
        if (!pio_json_scan_key(c, &st->pool_at, &key, &key_bytes) ||
            !pio_json_scan_string(c, &st->pool_at, &text, &text_bytes))
            return fail_json(st, c, error);
        if (!grow((void **)&st->metadata, st->n_metadata, &st->metadata_capacity, sizeof *st->metadata))
            return pio_fail_memory(error, st->path, (st->n_metadata + 1) * sizeof *st->metadata);
        st->metadata[st->n_metadata++] = (metadata_pair){key, text};
    }
    return c->reason ? fail_json(st, c, error) : PIO_OK;
}

static pio_status parse_dtype(pio_safetensors *st, pio_json_cursor *c, pio_stored_tensor *tensor, pio_error *error) {
    const char *name;
    size_t n;
    if (!pio_json_scan_string(c, &st->pool_at, &name, &n)) return fail_json(st, c, error);
    for (int i = 0; i < PIO_STORED_DTYPE_COUNT; i++) {
        if (strcmp(name, dtypes[i].name) == 0 && strlen(name) == n) {
            tensor->dtype = (pio_stored_dtype)i;
            return PIO_OK;
        }
    }
    return pio_fail(error, PIO_UNSUPPORTED,
                    "'%.400s': tensor '%.200s' has the unknown data type '%.32s': convert it to BF16, F16 or F32",
                    st->path, tensor->name, has_control_character(name, n) ? "?" : name);
}

static pio_status parse_shape(pio_safetensors *st, pio_json_cursor *c, pio_stored_tensor *tensor, pio_error *error) {
    if (!pio_json_scan_take(c, '[', "a shape is not a list")) return fail_json(st, c, error);
    tensor->rank = 0;
    for (bool first = true; pio_json_scan_more(c, ']', &first);) {
        uint64_t dim;
        if (!pio_json_scan_u64(c, &dim)) return fail_json(st, c, error);
        if (tensor->rank == PIO_STORED_MAX_RANK)
            return pio_fail(error, PIO_UNSUPPORTED,
                            "'%.400s': tensor '%.200s' has more than %d dimensions, the most supported", st->path,
                            tensor->name, PIO_STORED_MAX_RANK);
        tensor->dims[tensor->rank++] = dim;
    }
    return c->reason ? fail_json(st, c, error) : PIO_OK;
}

static pio_status parse_offsets(pio_safetensors *st, pio_json_cursor *c, uint64_t offsets[2], pio_error *error) {
    bool ok = pio_json_scan_take(c, '[', "data_offsets is not a list") && pio_json_scan_u64(c, &offsets[0]) &&
              pio_json_scan_take(c, ',', "data_offsets does not have two numbers") &&
              pio_json_scan_u64(c, &offsets[1]) && pio_json_scan_take(c, ']', "data_offsets does not have two numbers");
    return ok ? PIO_OK : fail_json(st, c, error);
}

/* Fills n_elements and bytes from shape and type, and holds them against the offsets. */
static pio_status check_size(const pio_safetensors *st, pio_stored_tensor *tensor, const uint64_t offsets[2],
                             pio_error *error) {
    char shape[192];
    uint64_t n = 1, bits;
    for (int i = 0; i < tensor->rank; i++) {
        if (PIO_MUL_OVERFLOWS(n, tensor->dims[i], &n)) goto overflow;
    }
    if (PIO_MUL_OVERFLOWS(n, (uint64_t)dtypes[tensor->dtype].bits, &bits)) goto overflow;
    tensor->n_elements = n;
    tensor->bytes = bits / 8;
    tensor->offset = offsets[0];
    if (offsets[1] < offsets[0])
        return pio_fail(error, PIO_CORRUPT,
                        "'%.400s': tensor '%.200s' has data_offsets [%" PRIu64 ", %" PRIu64
                        "], which run backwards: download the file again",
                        st->path, tensor->name, offsets[0], offsets[1]);
    if (bits % 8 != 0 || offsets[1] - offsets[0] != tensor->bytes)
        return pio_fail(error, PIO_CORRUPT,
                        "'%.400s': tensor '%.200s' has %" PRIu64 " bytes (data_offsets [%" PRIu64 ", %" PRIu64
                        "]), but its shape %s of %s needs %" PRIu64 ": download the file again",
                        st->path, tensor->name, offsets[1] - offsets[0], offsets[0], offsets[1],
                        pio_stored_tensor_shape(tensor, shape, sizeof shape), dtypes[tensor->dtype].name,
                        bits / 8 + (bits % 8 != 0));
    return PIO_OK;
overflow:
    return pio_fail(error, PIO_CORRUPT,
                    "'%.400s': tensor '%.200s' has the shape %s, more than 2^64 bits of %s: download the file again",
                    st->path, tensor->name, pio_stored_tensor_shape(tensor, shape, sizeof shape),
                    dtypes[tensor->dtype].name);
}

static pio_status parse_tensor(pio_safetensors *st, pio_json_cursor *c, const char *name, pio_error *error) {
    enum { DTYPE = 1, SHAPE = 2, OFFSETS = 4 };
    pio_stored_tensor tensor = {.name = name, .file = st->file};
    uint64_t offsets[2] = {0, 0};
    int seen = 0;
    if (!pio_json_scan_take(c, '{', "a tensor's entry is not an object")) return fail_json(st, c, error);
    for (bool first = true; pio_json_scan_more(c, '}', &first);) {
        const char *key;
        size_t n;
        if (!pio_json_scan_key(c, &st->pool_at, &key, &n)) return fail_json(st, c, error);
        pio_status status = PIO_OK;
        int field = 0;
        if (strcmp(key, "dtype") == 0) {
            field = DTYPE;
            status = parse_dtype(st, c, &tensor, error);
        } else if (strcmp(key, "shape") == 0) {
            field = SHAPE;
            status = parse_shape(st, c, &tensor, error);
        } else if (strcmp(key, "data_offsets") == 0) {
            field = OFFSETS;
            status = parse_offsets(st, c, offsets, error);
        } else if (!pio_json_scan_skip(c)) {
            return fail_json(st, c, error);
        }
        if (status != PIO_OK) return status;
        if (seen & field) return fail_tensor(st, name, "states its dtype, shape or data_offsets twice", error);
        seen |= field;
    }
    if (c->reason) return fail_json(st, c, error);
    if (!(seen & DTYPE)) return fail_tensor(st, name, "lacks its dtype", error);
    if (!(seen & SHAPE)) return fail_tensor(st, name, "lacks its shape", error);
    if (!(seen & OFFSETS)) return fail_tensor(st, name, "lacks its data_offsets", error);

    pio_status status = check_size(st, &tensor, offsets, error);
    if (status != PIO_OK) return status;
    if (!grow((void **)&st->tensors, st->n_tensors, &st->tensors_capacity, sizeof *st->tensors))
        return pio_fail_memory(error, st->path, (st->n_tensors + 1) * sizeof *st->tensors);
    st->tensors[st->n_tensors++] = tensor;
    return PIO_OK;
}

static pio_status parse_header(pio_safetensors *st, pio_error *error) {
    const char *header = (const char *)st->data + LENGTH_BYTES;
    st->pool = st->pool_at =
        malloc(st->header_bytes + 1); /* see pio_json_scan_string; pages never touched cost nothing */
    if (!st->pool) return pio_fail_memory(error, st->path, st->header_bytes + 1);

    pio_json_cursor c;
    pio_json_scan_begin(&c, header, st->header_bytes);
    bool has_metadata = false;
    if (!pio_json_scan_take(&c, '{', "it does not begin with '{'")) return fail_json(st, &c, error);
    for (bool first = true; pio_json_scan_more(&c, '}', &first);) {
        const char *name;
        size_t n;
        if (!pio_json_scan_key(&c, &st->pool_at, &name, &n)) return fail_json(st, &c, error);
        if (has_control_character(name, n)) {
            c.reason = "a tensor's name has a control character";
            return fail_json(st, &c, error);
        }
        pio_status status;
        if (strcmp(name, "__metadata__") != 0) {
            status = parse_tensor(st, &c, name, error);
        } else if (has_metadata) {
            c.reason = "there are two __metadata__ entries";
            status = fail_json(st, &c, error);
        } else {
            has_metadata = true;
            status = parse_metadata(st, &c, error);
        }
        if (status != PIO_OK) return status;
    }
    if (!c.reason) {
        pio_json_scan_peek(&c); /* writers pad the header with spaces */
        if (c.at != c.end) c.reason = "something follows the closing '}'";
    }
    return c.reason ? fail_json(st, &c, error) : PIO_OK;
}

static int compare_offsets(const void *a, const void *b) {
    const pio_stored_tensor *x = a, *y = b;
    if (x->offset != y->offset) return x->offset < y->offset ? -1 : 1;
    return (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

static int compare_names(const void *a, const void *b) {
    return strcmp((*(const pio_stored_tensor *const *)a)->name, (*(const pio_stored_tensor *const *)b)->name);
}

/* Sorts by offset, demands that the tensors fill the data exactly, and turns offsets into places in the file. */
static pio_status place_tensors(pio_safetensors *st, pio_error *error) {
    uint64_t data_start = LENGTH_BYTES + st->header_bytes, data_bytes = st->bytes - data_start, expected = 0;
    for (size_t i = 1; i < st->n_tensors; i++) {
        if (compare_offsets(&st->tensors[i - 1], &st->tensors[i]) > 0) {
            qsort(st->tensors, st->n_tensors, sizeof *st->tensors, compare_offsets);
            break;
        }
    }
    for (size_t i = 0; i < st->n_tensors; i++) {
        pio_stored_tensor *tensor = &st->tensors[i];
        if (tensor->offset + tensor->bytes > data_bytes) /* the sum is the end offset of the header: no overflow */
            return pio_fail(error, PIO_CORRUPT,
                            "'%.400s': tensor '%.200s' ends at byte %" PRIu64
                            " of the data, but the file holds only %" PRIu64
                            ": the file is truncated or its offsets are wrong; download it again",
                            st->path, tensor->name, tensor->offset + tensor->bytes, data_bytes);
        if (tensor->offset != expected)
            return pio_fail(error, PIO_CORRUPT,
                            "'%.400s': tensor '%.200s' begins at byte %" PRIu64 " of the data, %s byte %" PRIu64
                            " where the one before it ends: download the file again",
                            st->path, tensor->name, tensor->offset,
                            tensor->offset < expected ? "which overlaps" : "which leaves a hole after", expected);
        expected = tensor->offset + tensor->bytes;
        tensor->offset += data_start;
        tensor->data = st->data + tensor->offset;
    }
    if (expected != data_bytes)
        return pio_fail(error, PIO_CORRUPT,
                        "'%.400s': %" PRIu64 " bytes follow the last tensor: download the file again", st->path,
                        data_bytes - expected);
    return PIO_OK;
}

static pio_status index_names(pio_safetensors *st, pio_error *error) {
    st->by_name = malloc((st->n_tensors + 1) * sizeof *st->by_name);
    if (!st->by_name) return pio_fail_memory(error, st->path, (st->n_tensors + 1) * sizeof *st->by_name);
    for (size_t i = 0; i < st->n_tensors; i++) st->by_name[i] = &st->tensors[i];
    qsort(st->by_name, st->n_tensors, sizeof *st->by_name, compare_names);
    for (size_t i = 1; i < st->n_tensors; i++) {
        if (compare_names(&st->by_name[i - 1], &st->by_name[i]) == 0)
            return fail_tensor(st, st->by_name[i]->name, "is there twice", error);
    }
    return PIO_OK;
}

/* The header's length, and what people hand over instead of a safetensors file. */
static pio_status check_length(pio_safetensors *st, pio_error *error) {
    static const char lfs[] = "version https://git-lfs";
    if (st->bytes >= sizeof lfs - 1 && memcmp(st->data, lfs, sizeof lfs - 1) == 0)
        return pio_fail(
            error, PIO_CORRUPT,
            "'%.400s' is a Git LFS pointer, not the weights themselves: run 'git lfs pull' in its directory", st->path);
    if (st->bytes < LENGTH_BYTES)
        return pio_fail(error, PIO_CORRUPT,
                        "'%.400s' has %" PRIu64
                        " bytes, too few for a safetensors file: it is truncated; download it again",
                        st->path, st->bytes);
    uint64_t length = 0;
    for (int i = LENGTH_BYTES - 1; i >= 0; i--) length = length << 8 | st->data[i];
    if (length > MAX_HEADER_BYTES)
        return pio_fail(
            error, PIO_CORRUPT,
            "'%.400s' states a header of %" PRIu64
            " bytes, more than the format's limit of %d: it is no safetensors file, or broken; download it again",
            st->path, length, MAX_HEADER_BYTES);
    if (length > st->bytes - LENGTH_BYTES)
        return pio_fail(error, PIO_CORRUPT,
                        "'%.400s' has %" PRIu64 " bytes, but its header alone needs %" PRIu64
                        ": the file is truncated; download it again",
                        st->path, st->bytes, length + LENGTH_BYTES);
    st->header_bytes = length;
    return PIO_OK;
}

/* Takes over `file` (may be NULL), also when it fails. */
static pio_status open_bytes(const char *name, pio_file *file, const void *data, uint64_t bytes, pio_safetensors **out,
                             pio_error *error) {
    pio_status status;
    pio_safetensors *st = calloc(1, sizeof *st);
    if (!st) {
        pio_file_close(file);
        return pio_fail_memory(error, name, sizeof *st);
    }
    st->file = file;
    st->data = data;
    st->bytes = bytes;
    st->path = strdup(name);
    if (!st->path) {
        status = pio_fail_memory(error, name, strlen(name) + 1);
        goto fail;
    }
    if ((status = check_length(st, error)) != PIO_OK || (status = parse_header(st, error)) != PIO_OK ||
        (status = place_tensors(st, error)) != PIO_OK || (status = index_names(st, error)) != PIO_OK)
        goto fail;
    if (file) pio_file_release(file, 0, LENGTH_BYTES + st->header_bytes);
    *out = st;
    return PIO_OK;
fail:
    pio_safetensors_close(st);
    return status;
}

pio_status pio_safetensors_open(const char *path, pio_safetensors **out, pio_error *error) {
    *out = NULL;
    pio_file *file;
    pio_status status = pio_file_open(path, &file, error);
    if (status != PIO_OK) return status;
    return open_bytes(path, file, pio_file_data(file), pio_file_bytes(file), out, error);
}

pio_status pio_safetensors_parse(const char *name, const void *data, uint64_t bytes, pio_safetensors **out,
                                 pio_error *error) {
    *out = NULL;
    return open_bytes(name, NULL, data, bytes, out, error);
}

void pio_safetensors_close(pio_safetensors *st) {
    if (!st) return;
    free(st->by_name);
    free(st->tensors);
    free(st->metadata);
    free(st->pool);
    free(st->path);
    pio_file_close(st->file);
    free(st);
}

const char *pio_safetensors_path(const pio_safetensors *st) {
    return st->path;
}
const pio_file *pio_safetensors_file(const pio_safetensors *st) {
    return st->file;
}
size_t pio_safetensors_n_tensors(const pio_safetensors *st) {
    return st->n_tensors;
}

const pio_stored_tensor *pio_safetensors_tensor(const pio_safetensors *st, size_t index) {
    return index < st->n_tensors ? &st->tensors[index] : NULL;
}

const pio_stored_tensor *pio_safetensors_find(const pio_safetensors *st, const char *name) {
    pio_stored_tensor wanted = {.name = name};
    const pio_stored_tensor *key = &wanted;
    const pio_stored_tensor **found = bsearch(&key, st->by_name, st->n_tensors, sizeof *st->by_name, compare_names);
    return found ? *found : NULL;
}

const char *pio_safetensors_metadata(const pio_safetensors *st, const char *key) {
    for (size_t i = 0; i < st->n_metadata; i++) {
        if (strcmp(st->metadata[i].key, key) == 0) return st->metadata[i].text;
    }
    return NULL;
}
