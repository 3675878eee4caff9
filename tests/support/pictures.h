/* Pictures as golden files hold them: `pixel_values` and `image_grid_thw` of a checkpoint with eyes. */
#ifndef PIO_TESTS_PICTURES_H
#define PIO_TESTS_PICTURES_H

#include "io/safetensors.h"
#include "models/picture.h"
#include "tests/support/random.h"

enum { TEST_MOST_PICTURES = 16 };

typedef struct test_pictures {
    pio_picture items[TEST_MOST_PICTURES];
    const pio_picture *list[TEST_MOST_PICTURES]; /* as a request takes them */
    int32_t n;
} test_pictures;

/* The pictures of a golden file, whose patches stay in it; none where it has none. */
void test_pictures_load(const pio_safetensors *file, int32_t merge, test_pictures *out);

/* A picture of random patches; its patches are the caller's to free. */
pio_picture test_picture_random(test_random *random, int32_t rows, int32_t cols, int32_t merge, int32_t patch_values);

#endif
