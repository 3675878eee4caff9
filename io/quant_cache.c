#include "io/quant_cache.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/output.h"

enum { N_METADATA = 4 };

static const char CONTENT[] = "inference-pio quantised weights";

pio_status pio_quant_cache_directory(const char *xdg_cache_home, const char *home, char **out, pio_error *error) {
    *out = NULL;
    bool has_xdg = xdg_cache_home && xdg_cache_home[0] == '/'; /* the specification: relative paths are ignored */
    if (!has_xdg && !(home && home[0] == '/'))
        return pio_fail(error, PIO_NOT_FOUND,
                        "neither XDG_CACHE_HOME nor HOME is an absolute path: set one to cache quantised weights");
    const char *base = has_xdg ? xdg_cache_home : home;
    size_t capacity = strlen(base) + sizeof "/.cache/inference-pio";
    *out = malloc(capacity);
    if (!*out) return pio_fail_memory(error, "the cache's path", capacity);
    snprintf(*out, capacity, "%s%s/inference-pio", base, has_xdg ? "" : "/.cache");
    return PIO_OK;
}

/* FNV-1a, 64 bits (Fowler, Noll, Vo), of the text up to `end`. */
static uint64_t hash_text(const char *text, const char *end) {
    uint64_t hash = 0xcbf29ce484222325u;
    for (; text < end; text++) hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
    return hash;
}

/* "directory/<model>-<hash of the source's path>-<weights>-v<format>.safetensors": the source's size and time are in
 * the metadata, not in the name, so that a changed checkpoint replaces its file and old ones do not pile up. */
pio_status pio_quant_cache_path(const pio_quant_cache_key *key, char **out, pio_error *error) {
    *out = NULL;
    const char *source = pio_checkpoint_identity(key->source), *end = source + strcspn(source, "\n");
    const char *base = end;
    while (base > source && base[-1] != '/') base--;
    char model[65];
    size_t n = PIO_MIN((size_t)(end - base), sizeof model - 1);
    for (size_t i = 0; i < n; i++) {
        char c = base[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-';
        model[i] = plain ? c : '_';
    }
    model[n] = 0;
    size_t capacity = strlen(key->directory) + strlen(key->weights) + sizeof model + 64;
    *out = malloc(capacity);
    if (!*out) return pio_fail_memory(error, "a cached file's path", capacity);
    snprintf(*out, capacity, "%s/%s-%016" PRIx64 "-%s-v%d.safetensors", key->directory, n ? model : "model",
             hash_text(source, end), key->weights, key->format_version);
    return PIO_OK;
}

/* What the file's metadata must be; `version` is the room for one of the texts. */
static void describe(const pio_quant_cache_key *key, char version[16], pio_safetensors_pair pairs[N_METADATA]) {
    snprintf(version, 16, "%d", key->format_version);
    pairs[0] = (pio_safetensors_pair){"content", CONTENT};
    pairs[1] = (pio_safetensors_pair){"format_version", version};
    pairs[2] = (pio_safetensors_pair){"weights", key->weights};
    pairs[3] = (pio_safetensors_pair){"source", pio_checkpoint_identity(key->source)};
}

static pio_status check_metadata(const pio_quant_cache_key *key, const char *path, const pio_safetensors *st,
                                 pio_error *error) {
    char version[16];
    pio_safetensors_pair pairs[N_METADATA];
    describe(key, version, pairs);
    for (int i = 0; i < N_METADATA; i++) {
        const char *text = pio_safetensors_metadata(st, pairs[i].key);
        if (!text || strcmp(text, pairs[i].text) != 0)
            return pio_fail(error, PIO_NOT_FOUND,
                            "the cached '%.400s' is of another %s than '%.300s' now: it is made again", path,
                            pairs[i].key, pio_checkpoint_directory(key->source));
    }
    return PIO_OK;
}

pio_status pio_quant_cache_open(const pio_quant_cache_key *key, pio_safetensors **out, pio_error *error) {
    *out = NULL;
    char *path;
    pio_safetensors *st = NULL;
    pio_status status = pio_quant_cache_path(key, &path, error);
    if (status != PIO_OK) return status;
    status = pio_safetensors_open(path, &st, error);
    if (status == PIO_OK) status = check_metadata(key, path, st, error);
    if (status == PIO_CORRUPT || status == PIO_UNSUPPORTED || status == PIO_INVALID_ARGUMENT)
        status = pio_fail(error, PIO_NOT_FOUND, "the cached '%.400s' is broken: it is made again", path);
    free(path);
    if (status != PIO_OK) {
        pio_safetensors_close(st);
        return status;
    }
    *out = st;
    return PIO_OK;
}

pio_status pio_quant_cache_begin(const pio_quant_cache_key *key, const pio_safetensors_spec *tensors, size_t n_tensors,
                                 pio_safetensors_writer **out, pio_error *error) {
    *out = NULL;
    pio_status status = pio_output_make_directories(key->directory, error);
    if (status != PIO_OK) return status;
    char *path;
    if ((status = pio_quant_cache_path(key, &path, error)) != PIO_OK) return status;
    char version[16];
    pio_safetensors_pair pairs[N_METADATA];
    describe(key, version, pairs);
    status = pio_safetensors_writer_create(path, tensors, n_tensors, pairs, N_METADATA, out, error);
    free(path);
    return status;
}
