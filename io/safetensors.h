/* Reading safetensors files (format: huggingface/safetensors, README "Format"): 8 bytes, little-endian, the length N of
 * the header; N bytes of JSON {name: {"dtype", "shape", "data_offsets": [begin, end]}, "__metadata__": {key: text}};
 * the tensors' bytes, which fill the rest of the file without holes, overlaps or anything after them.
 *
 * All of this is checked at open, with one sentence for what is wrong, so that users of an opened file need no checks
 * but those of shape and type. Threads: an opened file may be read from several threads at once. */
#ifndef PIO_IO_SAFETENSORS_H
#define PIO_IO_SAFETENSORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "io/file.h"

enum { PIO_STORED_MAX_RANK = 8 };

/* The element types that files may hold. Not all can be computed with: see base's data types. */
typedef enum pio_stored_dtype {
    PIO_STORED_BOOL,
    PIO_STORED_U8,
    PIO_STORED_I8,
    PIO_STORED_U16,
    PIO_STORED_I16,
    PIO_STORED_U32,
    PIO_STORED_I32,
    PIO_STORED_U64,
    PIO_STORED_I64,
    PIO_STORED_F16,
    PIO_STORED_BF16,
    PIO_STORED_F32,
    PIO_STORED_F64,
    PIO_STORED_C64, /* two float32 */
    PIO_STORED_F8_E4M3,
    PIO_STORED_F8_E5M2,
    PIO_STORED_F8_E4M3FNUZ,
    PIO_STORED_F8_E5M2FNUZ,
    PIO_STORED_F8_E8M0,
    PIO_STORED_F6_E2M3,
    PIO_STORED_F6_E3M2,
    PIO_STORED_F4,
    PIO_STORED_DTYPE_COUNT
} pio_stored_dtype;

const char *pio_stored_dtype_name(pio_stored_dtype dtype); /* as in the file: "BF16"; never NULL */
unsigned pio_stored_dtype_bits(pio_stored_dtype dtype);    /* bits per element: F4 has 4 */

/* One tensor of an opened file; it and all it points to live as long as the file. */
typedef struct pio_stored_tensor {
    const char *name; /* UTF-8, without control characters */
    pio_stored_dtype dtype;
    int rank;
    uint64_t dims[PIO_STORED_MAX_RANK]; /* row-major: the last one is contiguous */
    uint64_t n_elements;
    uint64_t bytes;
    uint64_t offset;      /* from the start of the file, for pio_file_release */
    const void *data;     /* of any alignment: published files promise none */
    const pio_file *file; /* NULL when it was parsed from memory */
} pio_stored_tensor;

/* "[1024, 2560]" into `text`, cut where it does not fit; returns text. */
const char *pio_stored_tensor_shape(const pio_stored_tensor *tensor, char *text, size_t capacity);

typedef struct pio_safetensors pio_safetensors;

/* Ends with PIO_NOT_FOUND, PIO_IO, PIO_CORRUPT (truncated, or against the format), PIO_UNSUPPORTED (an unknown element
 * type) or PIO_OUT_OF_MEMORY; the sentence names file, tensor, value and cure. */
pio_status pio_safetensors_open(const char *path, pio_safetensors **out, pio_error *error);

/* The same for bytes in memory, which must outlive *out; `name` stands for the path in errors. */
pio_status pio_safetensors_parse(const char *name, const void *data, uint64_t bytes, pio_safetensors **out,
                                 pio_error *error);

/* Accepts NULL; closes the file. */
void pio_safetensors_close(pio_safetensors *st);

const char *pio_safetensors_path(const pio_safetensors *st);
const pio_file *pio_safetensors_file(const pio_safetensors *st); /* NULL when parsed from memory */

/* Tensors in the order of their bytes; index < n_tensors. */
size_t pio_safetensors_n_tensors(const pio_safetensors *st);
const pio_stored_tensor *pio_safetensors_tensor(const pio_safetensors *st, size_t index);

/* NULL when there is none; a binary search. */
const pio_stored_tensor *pio_safetensors_find(const pio_safetensors *st, const char *name);

/* The text of a key of "__metadata__", or NULL. */
const char *pio_safetensors_metadata(const pio_safetensors *st, const char *key);

#endif
