#include "io/safetensors_writer.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/json_scan.h"
#include "io/output.h"

enum { LENGTH_BYTES = 8, MAX_HEADER_BYTES = 100000000, ALIGNMENT = 64 };

typedef struct planned_tensor {
    char *name;
    uint64_t offset; /* from the start of the file */
    uint64_t bytes;
    _Atomic uint64_t written; /* bytes */
} planned_tensor;

struct pio_safetensors_writer {
    char *path;
    pio_output *output;
    planned_tensor *tensors;
    size_t n_tensors;
    uint64_t file_bytes;
};

/* Text that grows; `failed` after an allocation did, checked once at the end. */
typedef struct text_buffer {
    char *text;
    size_t n, capacity;
    bool failed;
} text_buffer;

static void put(text_buffer *b, const char *text, size_t n) {
    if (b->failed) return;
    if (n > b->capacity - b->n) {
        size_t capacity = PIO_MAX(b->capacity * 2, b->n + n + 4096);
        char *grown = realloc(b->text, capacity);
        if (!grown) {
            b->failed = true;
            return;
        }
        b->text = grown;
        b->capacity = capacity;
    }
    memcpy(b->text + b->n, text, n);
    b->n += n;
}

static void put_text(text_buffer *b, const char *text) {
    put(b, text, strlen(text));
}

static void put_u64(text_buffer *b, uint64_t value) {
    char digits[24];
    put(b, digits, (size_t)snprintf(digits, sizeof digits, "%" PRIu64, value));
}

static void put_quoted(text_buffer *b, const char *text) {
    put(b, "\"", 1);
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        char escaped[8];
        if (c == '"' || c == '\\')
            put(b, (char[]){'\\', (char)c}, 2);
        else if (c < 0x20)
            put(b, escaped, (size_t)snprintf(escaped, sizeof escaped, "\\u%04x", c));
        else
            put(b, text, 1);
    }
    put(b, "\"", 1);
}

static pio_status spec_bytes(const char *path, const pio_safetensors_spec *spec, uint64_t *bytes, pio_error *error) {
    bool ok = spec->rank >= 0 && spec->rank <= PIO_STORED_MAX_RANK && pio_stored_dtype_bits(spec->dtype) > 0;
    uint64_t bits = ok ? pio_stored_dtype_bits(spec->dtype) : 0;
    for (int i = 0; ok && i < spec->rank; i++) ok = !PIO_MUL_OVERFLOWS(bits, spec->dims[i], &bits);
    for (const char *c = spec->name; *c; c++) ok = ok && (unsigned char)*c >= 0x20 && *c != 0x7f;
    if (!ok || bits % 8 != 0 || strcmp(spec->name, "__metadata__") == 0)
        return pio_fail(
            error, PIO_INVALID_ARGUMENT,
            "cannot write '%.400s': tensor '%.200s' has a name, type or shape that the format does not allow", path,
            spec->name);
    *bytes = bits / 8;
    return PIO_OK;
}

static int compare_texts(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static pio_status check_names(const char *path, const pio_safetensors_spec *tensors, size_t n_tensors,
                              pio_error *error) {
    const char **names = malloc((n_tensors + 1) * sizeof *names);
    if (!names) return pio_fail_memory(error, path, (n_tensors + 1) * sizeof *names);
    for (size_t i = 0; i < n_tensors; i++) names[i] = tensors[i].name;
    qsort(names, n_tensors, sizeof *names, compare_texts);
    pio_status status = PIO_OK;
    for (size_t i = 1; i < n_tensors && status == PIO_OK; i++) {
        if (strcmp(names[i - 1], names[i]) == 0)
            status = pio_fail(error, PIO_INVALID_ARGUMENT, "cannot write '%.400s': two tensors are called '%.200s'",
                              path, names[i]);
    }
    free(names);
    return status;
}

/* Fills the writer's tensors and the header behind 8 bytes for its length. */
static pio_status plan(pio_safetensors_writer *writer, const pio_safetensors_spec *tensors,
                       const pio_safetensors_pair *metadata, size_t n_metadata, text_buffer *header, pio_error *error) {
    uint64_t offset = 0;
    put(header, "\0\0\0\0\0\0\0\0{", LENGTH_BYTES + 1);
    for (size_t i = 0; i < n_metadata; i++) {
        put_text(header, i ? "," : "\"__metadata__\":{");
        put_quoted(header, metadata[i].key);
        put_text(header, ":");
        put_quoted(header, metadata[i].text);
    }
    if (n_metadata) put_text(header, "}");
    for (size_t i = 0; i < writer->n_tensors; i++) {
        const pio_safetensors_spec *spec = &tensors[i];
        planned_tensor *tensor = &writer->tensors[i];
        pio_status status = spec_bytes(writer->path, spec, &tensor->bytes, error);
        if (status != PIO_OK) return status;
        tensor->offset = offset;
        if (PIO_ADD_OVERFLOWS(offset, tensor->bytes, &offset) || offset > (uint64_t)INT64_MAX / 2)
            return pio_fail(error, PIO_INVALID_ARGUMENT, "cannot write '%.400s': its tensors have more than 2^62 bytes",
                            writer->path);
        if (!(tensor->name = strdup(spec->name))) return pio_fail_memory(error, writer->path, strlen(spec->name) + 1);
        put_text(header, i || n_metadata ? "," : "");
        put_quoted(header, spec->name);
        put_text(header, ":{\"dtype\":\"");
        put_text(header, pio_stored_dtype_name(spec->dtype));
        put_text(header, "\",\"shape\":[");
        for (int d = 0; d < spec->rank; d++) {
            if (d) put_text(header, ",");
            put_u64(header, spec->dims[d]);
        }
        put_text(header, "],\"data_offsets\":[");
        put_u64(header, tensor->offset);
        put_text(header, ",");
        put_u64(header, offset);
        put_text(header, "]}");
    }
    put_text(header, "}");
    while (!header->failed && header->n % ALIGNMENT != 0) put(header, " ", 1);
    if (header->failed) return pio_fail_memory(error, writer->path, header->n);

    pio_json_cursor c; /* the reader's own eyes: names and texts that are not UTF-8 end here */
    pio_json_scan_begin(&c, header->text + LENGTH_BYTES, header->n - LENGTH_BYTES);
    if (!pio_json_scan_skip(&c) || header->n - LENGTH_BYTES > MAX_HEADER_BYTES)
        return pio_fail(error, PIO_INVALID_ARGUMENT, "cannot write '%.400s': %s", writer->path,
                        c.reason ? c.reason : "the header would have more than 100 MB");
    for (int i = 0; i < LENGTH_BYTES; i++)
        header->text[i] = (char)((uint64_t)(header->n - LENGTH_BYTES) >> 8 * i & 0xff);
    for (size_t i = 0; i < writer->n_tensors; i++) writer->tensors[i].offset += header->n;
    writer->file_bytes = header->n + offset;
    return PIO_OK;
}

pio_status pio_safetensors_writer_create(const char *path, const pio_safetensors_spec *tensors, size_t n_tensors,
                                         const pio_safetensors_pair *metadata, size_t n_metadata,
                                         pio_safetensors_writer **out, pio_error *error) {
    *out = NULL;
    pio_status status = check_names(path, tensors, n_tensors, error);
    if (status != PIO_OK) return status;

    text_buffer header = {0};
    pio_safetensors_writer *writer = calloc(1, sizeof *writer);
    if (writer) {
        writer->path = strdup(path);
        writer->tensors = calloc(n_tensors + 1, sizeof *writer->tensors);
    }
    if (!writer || !writer->path || !writer->tensors) {
        status = pio_fail_memory(error, path, (n_tensors + 1) * sizeof *writer->tensors);
        goto fail;
    }
    writer->n_tensors = n_tensors;
    if ((status = plan(writer, tensors, metadata, n_metadata, &header, error)) != PIO_OK ||
        (status = pio_output_create(path, writer->file_bytes, PIO_OUTPUT_ANY, &writer->output, error)) != PIO_OK ||
        (status = pio_output_write(writer->output, 0, header.text, header.n, error)) != PIO_OK)
        goto fail;
    free(header.text);
    *out = writer;
    return PIO_OK;
fail:
    free(header.text);
    pio_safetensors_writer_destroy(writer);
    return status;
}

pio_status pio_safetensors_writer_write(pio_safetensors_writer *writer, size_t tensor, uint64_t offset,
                                        const void *data, uint64_t bytes, pio_error *error) {
    if (tensor >= writer->n_tensors || offset > writer->tensors[tensor].bytes ||
        bytes > writer->tensors[tensor].bytes - offset)
        return pio_fail(error, PIO_INVALID_ARGUMENT,
                        "'%.400s': %" PRIu64 " bytes at %" PRIu64 " lie outside tensor %zu of %zu", writer->path, bytes,
                        offset, tensor, writer->n_tensors);
    planned_tensor *planned = &writer->tensors[tensor];
    pio_status status = pio_output_write(writer->output, planned->offset + offset, data, bytes, error);
    if (status == PIO_OK) atomic_fetch_add(&planned->written, bytes);
    return status;
}

uint64_t pio_safetensors_writer_bytes(const pio_safetensors_writer *writer) {
    return writer->file_bytes;
}

pio_status pio_safetensors_writer_finish(pio_safetensors_writer *writer, pio_error *error) {
    for (size_t i = 0; i < writer->n_tensors; i++) {
        planned_tensor *tensor = &writer->tensors[i];
        uint64_t written = atomic_load(&tensor->written);
        if (written != tensor->bytes)
            return pio_fail(error, PIO_INTERNAL,
                            "'%.400s': %" PRIu64 " of the %" PRIu64 " bytes of tensor '%.200s' were written",
                            writer->path, written, tensor->bytes, tensor->name);
    }
    return pio_output_commit(writer->output, error);
}

void pio_safetensors_writer_destroy(pio_safetensors_writer *writer) {
    if (!writer) return;
    for (size_t i = 0; writer->tensors && i < writer->n_tensors; i++) free(writer->tensors[i].name);
    pio_output_destroy(writer->output);
    free(writer->tensors);
    free(writer->path);
    free(writer);
}
