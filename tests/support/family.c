#include "tests/support/family.h"
#include "tests/support/test.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

test_family the_family;

static const pio_model_family *row_of(const char *name) {
    const pio_model_family *row;
    for (int i = 0; (row = pio_model_family_at(i)); i++) {
        const char *slash = strrchr(row->bundled, '/');
        if (!strcmp(slash ? slash + 1 : row->bundled, name)) return row;
    }
    return NULL;
}

static int is_of_the_family(const struct dirent *entry) {
    char path[2 * TEST_PATH_BYTES];
    snprintf(path, sizeof path, "%s/golden/%s/config.json", PIO_TEST_DATA, entry->d_name);
    json_t *config = json_load_file(path, 0, NULL);
    const char *type = json_string_value(json_object_get(config, "model_type"));
    const bool is = type && !strcmp(type, the_family.row->model_type);
    json_decref(config);
    return is;
}

bool test_family_begin(int argc, char **argv) {
    test_family *f = &the_family;
    f->name = argc > 1 ? argv[1] : "";
    f->row = row_of(f->name);
    if (!f->row) {
        fprintf(stderr, "usage: %s MODEL, the name of a folder in tests/data/models; '%s' is none\n", argv[0], f->name);
        return false;
    }
    snprintf(f->tiny, sizeof f->tiny, "%s/assets/tiny/%s", PIO_SOURCE_DIR, f->name);
    f->has_tiny = !access(f->tiny, R_OK);
    snprintf(f->data, sizeof f->data, "%s/models/%s", PIO_TEST_DATA, f->name);
    struct dirent **entries = NULL;
    const int n = scandir(PIO_TEST_DATA "/golden", &entries, is_of_the_family, alphasort);
    for (int i = 0; i < n; i++) {
        if (f->n_golden < TEST_MOST_GOLDEN)
            snprintf(f->golden[f->n_golden++], TEST_PATH_BYTES, "%s/golden/%.100s", PIO_TEST_DATA, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    if (!f->has_tiny) memcpy(f->tiny, f->golden[0], sizeof f->tiny);
    if (!f->n_golden || chdir(f->data)) {
        fprintf(stderr, "%s/golden or %s: the data of '%s' is missing\n", PIO_TEST_DATA, f->data, f->name);
        return false;
    }
    return true;
}

test_lines test_lines_begin(const char *file) {
    const test_lines lines = {file, fopen(file, "r"), 0};
    if (!lines.stream) fail_msg("%s/%s cannot be read", the_family.data, file);
    return lines;
}

json_t *test_lines_next(test_lines *lines) {
    json_error_t error;
    json_t *object = NULL;
    char *text = NULL;
    size_t room = 0;
    if (getline(&text, &room, lines->stream) >= 0) {
        lines->line++;
        object = json_loads(text, 0, &error);
        if (!json_is_object(object))
            fail_msg("%s/%s, line %d: no JSON object: %s", the_family.data, lines->file, lines->line, error.text);
    } else {
        fclose(lines->stream);
    }
    free(text);
    return object;
}
