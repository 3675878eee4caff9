#include "engine/bundled.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/compiler.h"

static bool is_directory(const char *path) {
    struct stat info;
    return !stat(path, &info) && S_ISDIR(info.st_mode);
}

/* Looks for `name` below `base`/assets and `base`/share/inference-pio: as its product's folder, or as given. */
static bool find_below(const char *base, const char *name, char *path, size_t bytes) {
    static const char *const places[] = {"assets/tiny",         "assets", "share/inference-pio/tiny",
                                         "share/inference-pio", "tiny",   "."};
    for (size_t i = 0; i < PIO_COUNT(places); i++) {
        int n = snprintf(path, bytes, "%s/%s/%s", base, places[i], name);
        if (n > 0 && (size_t)n < bytes && is_directory(path)) return true;
    }
    return false;
}

pio_status pio_find_model(const char *model, const char *home, const char *beside, char *path, size_t bytes,
                          pio_error *error) {
    struct stat info;
    if (*model && (!stat(model, &info) || strchr(model, '/'))) {
        if ((size_t)snprintf(path, bytes, "%s", model) < bytes) return PIO_OK;
        return pio_fail(error, PIO_INVALID_ARGUMENT, "the path '%.100s...' is too long: a path has at most %zu bytes",
                        model, bytes - 1);
    }
    if (*model && home && *home && find_below(home, model, path, bytes)) return PIO_OK;
    char folder[4096];
    snprintf(folder, sizeof folder, "%s", beside ? beside : "");
    for (int up = 0; *model && up < 3; up++) { /* build/inference-pio, bin/inference-pio */
        char *slash = strrchr(folder, '/');
        if (!slash || slash == folder) break;
        *slash = 0;
        if (find_below(folder, model, path, bytes)) return PIO_OK;
    }
    return pio_fail(error, PIO_NOT_FOUND,
                    "'%s' is neither a directory nor a bundled model: give a checkpoint's directory, or set PIO_HOME "
                    "to the folder that holds assets/",
                    model);
}
