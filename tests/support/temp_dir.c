#include "tests/support/temp_dir.h"

#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void require(int ok, const char *what, const char *path) {
    if (ok) return;
    fprintf(stderr, "temp_dir: cannot %s '%s'\n", what, path);
    abort();
}

char *temp_dir_make(void) {
    const char *base = getenv("TMPDIR");
    char path[512];
    snprintf(path, sizeof path, "%s/pio-test-XXXXXX", base && *base ? base : "/tmp");
    require(mkdtemp(path) != NULL, "make", path);
    return strdup(path);
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *walk) {
    (void)info, (void)kind, (void)walk;
    return remove(path);
}

void temp_dir_remove(char *directory) {
    if (!directory) return;
    require(nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0, "remove", directory);
    free(directory);
}

const char *temp_dir_path(const char *directory, const char *name) {
    static char paths[8][768];
    static unsigned turn;
    char *path = paths[turn++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

const char *temp_dir_write(const char *directory, const char *name, const void *data, size_t n_bytes) {
    const char *path = temp_dir_path(directory, name);
    FILE *file = fopen(path, "wb");
    require(file != NULL, "write", path);
    require(fwrite(data, 1, n_bytes, file) == n_bytes, "write", path);
    require(fclose(file) == 0, "write", path);
    return path;
}

size_t temp_dir_count(const char *directory) {
    DIR *entries = opendir(directory);
    require(entries != NULL, "list", directory);
    size_t n = 0;
    for (const struct dirent *entry; (entry = readdir(entries));)
        n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(entries);
    return n;
}
