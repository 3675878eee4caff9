/* Writing safetensors files: all names, types and shapes first, then the tensors' bytes, in any order and in pieces of
 * any size. The file gets its name only at the end (see io/output.h): readers never see half of one. */
#ifndef PIO_IO_SAFETENSORS_WRITER_H
#define PIO_IO_SAFETENSORS_WRITER_H

#include "io/safetensors.h"

typedef struct pio_safetensors_spec {
    const char *name;
    pio_stored_dtype dtype;
    int rank;
    uint64_t dims[PIO_STORED_MAX_RANK];
} pio_safetensors_spec;

typedef struct pio_safetensors_pair {
    const char *key, *text; /* UTF-8 */
} pio_safetensors_pair;

typedef struct pio_safetensors_writer pio_safetensors_writer;

/* Reserves the disk space and writes the header. The tensors' bytes lie in the order of `tensors`, the first one
 * aligned to 64 bytes: who wants alignment for all of them puts larger elements first. Copies what it is given. Ends
 * with PIO_INVALID_ARGUMENT for a list that no file can hold (two equal names, an overflowing shape, text that is not
 * UTF-8, 4- and 6-bit elements that do not fill bytes), PIO_NOT_FOUND without the directory, PIO_IO (a full disk). */
pio_status pio_safetensors_writer_create(const char *path, const pio_safetensors_spec *tensors, size_t n_tensors,
                                         const pio_safetensors_pair *metadata, size_t n_metadata,
                                         pio_safetensors_writer **out, pio_error *error);

/* Writes `bytes` at `offset` within tensor number `tensor`, each byte once. Several threads may write at once. */
pio_status pio_safetensors_writer_write(pio_safetensors_writer *writer, size_t tensor, uint64_t offset,
                                        const void *data, uint64_t bytes, pio_error *error);

/* Bytes of the whole file. */
uint64_t pio_safetensors_writer_bytes(const pio_safetensors_writer *writer);

/* Demands that all was written, makes the file durable and renames it over `path`. Destroy follows in any case. */
pio_status pio_safetensors_writer_finish(pio_safetensors_writer *writer, pio_error *error);

/* Accepts NULL. Without a successful finish nothing is left behind. */
void pio_safetensors_writer_destroy(pio_safetensors_writer *writer);

#endif
