#include "io/kept.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "io/file.h"
#include "io/output.h"

typedef struct header {
    char magic[8];
    char key[PIO_KEPT_KEY_BYTES];
    uint64_t n_bytes, hash; /* of what follows */
} header;

static const char magic[8] = "PIOKEPT1";

static pio_status make_path(const char *directory, const char *key, char **path, pio_error *error) {
    const size_t capacity = strlen(directory) + strlen(key) + sizeof "/.kept";
    *path = malloc(capacity);
    if (!*path) return pio_fail_memory(error, "a cached file's path", capacity);
    snprintf(*path, capacity, "%s/%s.kept", directory, key);
    return PIO_OK;
}

static bool is_whole(const char *text, size_t n, const char *key) {
    header h;
    if (n < sizeof h) return false;
    memcpy(&h, text, sizeof h);
    return !memcmp(h.magic, magic, sizeof magic) && !strncmp(h.key, key, sizeof h.key) && h.n_bytes == n - sizeof h &&
           h.hash == pio_hash(text + sizeof h, n - sizeof h, 0);
}

pio_status pio_kept_read(const char *directory, const char *key, size_t limit, void **bytes, size_t *n_bytes,
                         pio_error *error) {
    char *path, *text = NULL;
    size_t n = 0;
    *bytes = NULL;
    *n_bytes = 0;
    pio_status status = make_path(directory, key, &path, error);
    if (status) return status;
    status = pio_file_read_text(path, limit + sizeof(header), &text, &n, error);
    if (!status && !is_whole(text, n, key)) {
        status = pio_fail(error, PIO_NOT_FOUND, "the cached '%.400s' is broken: it is made again", path);
        free(text);
    }
    free(path);
    if (status) return status;
    *n_bytes = n - sizeof(header);
    memmove(text, text + sizeof(header), *n_bytes);
    *bytes = text;
    return PIO_OK;
}

pio_status pio_kept_write(const char *directory, const char *key, const void *bytes, size_t n_bytes, pio_error *error) {
    header h = {.n_bytes = n_bytes, .hash = pio_hash(bytes, n_bytes, 0)};
    pio_output *output = NULL;
    char *path;
    memcpy(h.magic, magic, sizeof magic);
    snprintf(h.key, sizeof h.key, "%s", key);
    pio_status status = make_path(directory, key, &path, error);
    if (status) return status;
    status = pio_output_make_directories(directory, error);
    if (!status) status = pio_output_create(path, sizeof h + n_bytes, PIO_OUTPUT_ANY, &output, error);
    if (!status) status = pio_output_write(output, 0, &h, sizeof h, error);
    if (!status) status = pio_output_write(output, sizeof h, bytes, n_bytes, error);
    if (!status) status = pio_output_commit(output, error);
    pio_output_destroy(output);
    free(path);
    return status;
}
