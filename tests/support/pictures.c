#include "tests/support/pictures.h"
#include "tests/support/test.h"

#include <stdlib.h>
#include <string.h>

void test_pictures_load(const pio_safetensors *file, int32_t merge, test_pictures *out) {
    memset(out, 0, sizeof *out);
    const pio_stored_tensor *pixels = pio_safetensors_find(file, "pixel_values");
    const pio_stored_tensor *grids = pio_safetensors_find(file, "image_grid_thw");
    if (!pixels || !grids) return;
    assert_int_equal(pixels->dtype, PIO_STORED_F32);
    assert_int_equal(grids->dtype, PIO_STORED_I32);
    assert_in_range(grids->dims[0], 1, TEST_MOST_PICTURES);
    float *at = (float *)(uintptr_t)pixels->data;
    for (; out->n < (int32_t)grids->dims[0]; out->n++) {
        int32_t grid[3];
        memcpy(grid, (const char *)grids->data + sizeof grid * (size_t)out->n, sizeof grid);
        assert_int_equal(grid[0], 1);
        pio_picture *p = &out->items[out->n];
        *p = (pio_picture){.rows = grid[1],
                           .cols = grid[2],
                           .merge = merge,
                           .patch_values = (int32_t)pixels->dims[1],
                           .patches = at,
                           .hash = {0x1234567u * (uint64_t)(out->n + 1), (uint64_t)out->n}};
        out->list[out->n] = p;
        at += (size_t)(grid[1] * grid[2]) * (size_t)pixels->dims[1];
    }
}

pio_picture test_picture_random(test_random *random, int32_t rows, int32_t cols, int32_t merge, int32_t patch_values) {
    const size_t n = (size_t)(rows * cols) * (size_t)patch_values;
    pio_picture picture = {.rows = rows, .cols = cols, .merge = merge, .patch_values = patch_values};
    picture.patches = malloc(sizeof *picture.patches * n);
    assert_non_null(picture.patches);
    for (size_t i = 0; i < n; i++) picture.patches[i] = (float)test_random_below(random, 256) / 127.5f - 1.0f;
    for (int i = 0; i < 2; i++) picture.hash[i] = test_random_below(random, UINT64_MAX);
    return picture;
}
