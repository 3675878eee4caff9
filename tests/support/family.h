/* The model that a program of tests/models was started for: its row, its bundled checkpoint and its data. */
#ifndef PIO_TESTS_FAMILY_H
#define PIO_TESTS_FAMILY_H

#include <jansson.h>

#include "models/model.h"

enum { TEST_MOST_GOLDEN = 16, TEST_PATH_BYTES = 320 };

typedef struct test_family {
    const char *name; /* of its folder in models/, and in assets/tiny and tests/data/models */
    const pio_model_family *row;
    bool has_tiny;                                  /* it has a bundled checkpoint */
    char tiny[TEST_PATH_BYTES];                     /* that one, else the first of `golden` */
    char data[TEST_PATH_BYTES];                     /* tests/data/models/<name> */
    char golden[TEST_MOST_GOLDEN][TEST_PATH_BYTES]; /* its checkpoints in tests/data/golden, by name */
    int n_golden;
} test_family;

extern test_family the_family;

enum { TEST_SKIPPED = 77 }; /* what a program returns that needs a bundled checkpoint where there is none */

/* Finds the model that argv[1] names and moves into its data, where relative paths of questions begin. Prints why and
 * returns false when there is no such model. */
bool test_family_begin(int argc, char **argv);

/* Line after line of a file of the model's data, each a JSON object; a new reference each, NULL after the last. */
typedef struct test_lines {
    const char *file;
    void *stream;
    int line;
} test_lines;
test_lines test_lines_begin(const char *file);
json_t *test_lines_next(test_lines *lines);

#endif
