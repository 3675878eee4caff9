/* The cache of quantised weights: one safetensors file per (source directory, weights type, format version), whose
 * metadata says what it was made from. A file that does not fit its source any more is simply not used, and replaced by
 * the next write. Nothing here is needed for a right answer: callers turn every failure into a warning and go on.
 *
 * Two processes that fill the cache at once both succeed (io/output.h); a full disk leaves nothing behind. */
#ifndef PIO_IO_QUANT_CACHE_H
#define PIO_IO_QUANT_CACHE_H

#include "io/checkpoint.h"
#include "io/safetensors_writer.h"

/* What a cached file must have been made from. Borrowed: all of it outlives the call. */
typedef struct pio_quant_cache_key {
    const char *directory; /* where cached files lie, as from pio_quant_cache_directory */
    const pio_checkpoint *source;
    const char *weights; /* the type and its variant: letters, digits, '_' and '-' */
    int format_version;  /* of the canonical form; raise it when its bytes change their meaning */
} pio_quant_cache_key;

/* The directory from the values of two environment variables, which the caller reads: "$XDG_CACHE_HOME/inference-pio"
 * when that is an absolute path, else "$HOME/.cache/inference-pio" (XDG Base Directory Specification 0.8); either may
 * be NULL. PIO_NOT_FOUND when neither serves. The caller frees *out. */
pio_status pio_quant_cache_directory(const char *xdg_cache_home, const char *home, char **out, pio_error *error);

/* The path of the key's file, for messages; the caller frees *out. */
pio_status pio_quant_cache_path(const pio_quant_cache_key *key, char **out, pio_error *error);

/* Opens the cached file if it is whole and made from this very source. Otherwise PIO_NOT_FOUND, with the reason as the
 * sentence: "there is no cached ..", "the source changed". The caller still checks names, types and shapes, as for any
 * file. Any other status is a failure to look (memory, input/output); it too only means that there is no cache. */
pio_status pio_quant_cache_open(const pio_quant_cache_key *key, pio_safetensors **out, pio_error *error);

/* Begins the key's file: makes the directory (mode 0700) and reserves the space. Write the tensors, then
 * pio_safetensors_writer_finish commits it, and pio_safetensors_writer_destroy without that leaves nothing behind. */
pio_status pio_quant_cache_begin(const pio_quant_cache_key *key, const pio_safetensors_spec *tensors, size_t n_tensors,
                                 pio_safetensors_writer **out, pio_error *error);

#endif
