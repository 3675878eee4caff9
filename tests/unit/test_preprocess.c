/* Pictures of files become the reference's patches, bit by bit: resized, normalised and cut as
 * tests/data/golden/qwen3_vl_odd has them (tools/make_golden_vl.py); and sizes follow its rule. */
#include "tests/support/test.h"

#include <stdlib.h>
#include <string.h>

#include "models/preprocess.h"
#include "models/resize.h"
#include "tests/support/pictures.h"
#include "tests/support/temp_dir.h"

#define GOLDEN PIO_TEST_DATA "/golden/qwen3_vl_odd"

static pio_preprocess settings_of(const char *directory) {
    pio_preprocess settings;
    pio_error error;
    if (pio_preprocess_read(directory, &settings, &error)) fail_msg("%s", error.text);
    return settings;
}

static void patches_are_the_references(void **state) {
    (void)state;
    const pio_preprocess settings = settings_of(GOLDEN);
    pio_safetensors *file;
    pio_error error;
    test_pictures wanted;
    if (pio_safetensors_open(GOLDEN "/golden.safetensors", &file, &error)) fail_msg("%s", error.text);
    test_pictures_load(file, settings.merge, &wanted);
    assert_int_equal(wanted.n, 3);
    for (int i = 0; i < wanted.n; i++) {
        char path[256];
        pio_image image;
        pio_picture got;
        snprintf(path, sizeof path, GOLDEN "/image%d.png", i);
        if (pio_image_read(path, &image, &error)) fail_msg("%s", error.text);
        if (pio_preprocess_picture(&settings, &image, &got, &error)) fail_msg("%s", error.text);
        assert_int_equal(got.rows, wanted.items[i].rows);
        assert_int_equal(got.cols, wanted.items[i].cols);
        assert_int_equal(got.patch_values, wanted.items[i].patch_values);
        const size_t n = (size_t)(got.rows * got.cols) * (size_t)got.patch_values;
        for (size_t k = 0; k < n; k++)
            if (memcmp(&got.patches[k], &wanted.items[i].patches[k], sizeof(float)))
                fail_msg("picture %d, number %zu is %.9g and should be %.9g", i, k, (double)got.patches[k],
                         (double)wanted.items[i].patches[k]);
        pio_picture_free(&got);
        pio_image_free(&image);
    }
    pio_safetensors_close(file);
}

/* Shares of 20,000 columns are so small that the fixed point has as many bits as it may. The number is torchvision's
 * result (resize to [96, 8], BICUBIC, antialias) of the same pixels, folded alike. */
static void columns_by_the_thousand_are_the_references(void **state) {
    (void)state;
    enum { WIDTH = 20000, HEIGHT = 96, RESIZED = 8 };
    pio_image from = {.rgb = malloc(3 * WIDTH * HEIGHT), .width = WIDTH, .height = HEIGHT}, to;
    pio_error error;
    uint32_t random = 7;
    uint64_t folded = 0;
    assert_non_null(from.rgb);
    for (int i = 0; i < 3 * WIDTH * HEIGHT; i++) {
        random = random * 1664525u + 1013904223u;
        from.rgb[i] = random >> 24 > 128 ? 255 : 0;
    }
    if (pio_image_resize(&from, RESIZED, HEIGHT, &to, &error)) fail_msg("%s", error.text);
    for (int i = 0; i < 3 * RESIZED * HEIGHT; i++) folded = folded * 31 + to.rgb[i];
    assert_true(folded == 0x336073d97fedb45bu);
    pio_image_free(&from);
    pio_image_free(&to);
}

static void sizes_follow_the_rule(void **state) {
    (void)state;
    const pio_preprocess settings = settings_of("/nowhere/at/all"); /* Qwen3-VL's own */
    static const struct {
        int32_t width, height, to_width, to_height;
    } cases[] = {
        {1024, 1024, 1024, 1024}, {1000, 700, 992, 704}, /* to the nearest multiple of 32 */
        {592, 688, 576, 704},                            /* halves to even: 18.5 and 21.5 of them */
        {100, 77, 320, 256},                             /* too few pixels: up */
        {5000, 4000, 4576, 3648},                        /* too many: down */
        {64, 12800, 64, 12800},   {10, 2000, 32, 3648},  /* thin */
    };
    pio_error error;
    for (size_t i = 0; i < PIO_COUNT(cases); i++) {
        int32_t width, height;
        if (pio_preprocess_size(&settings, 1, cases[i].width, cases[i].height, &width, &height, &error))
            fail_msg("%s", error.text);
        if (width != cases[i].to_width || height != cases[i].to_height)
            fail_msg("%d x %d becomes %d x %d", cases[i].width, cases[i].height, width, height);
    }
    int32_t width, height;
    assert_int_equal(pio_preprocess_size(&settings, 1, 10, 2001, &width, &height, &error), PIO_INVALID_ARGUMENT);
    assert_non_null(strstr(error.text, "10 x 2001"));
    assert_non_null(strstr(error.text, "200"));
}

/* The limits are those of all frames together. */
static void videos_follow_their_own_rule(void **state) {
    (void)state;
    static const struct {
        int32_t n_frames, width, height, to_width, to_height;
    } sizes[] = {{8, 640, 360, 416, 224},
                 {3, 100, 77, 256, 192},
                 {768, 1920, 1080, 32, 32},
                 {4, 20, 50, 128, 288},
                 {2, 64, 64, 256, 256}};
    static const struct {
        int32_t n_frames;
        double fps;
        int32_t n, last, sum; /* of the indices */
    } samples[] = {
        {5, 2, 5, 4, 10}, {8, 4, 4, 7, 14}, {100, 24, 8, 99, 396}, {3, 30, 3, 2, 3}, {4000, 2, 768, 3999, 1535616},
        {1, 2, 1, 0, 0}};
    static int32_t indices[4000];
    pio_preprocess settings;
    pio_error error;
    if (pio_preprocess_read_video("/nowhere/at/all", &settings, &error)) fail_msg("%s", error.text);
    for (size_t i = 0; i < PIO_COUNT(sizes); i++) {
        int32_t width, height;
        if (pio_preprocess_size(&settings, sizes[i].n_frames, sizes[i].width, sizes[i].height, &width, &height, &error))
            fail_msg("%s", error.text);
        if (width != sizes[i].to_width || height != sizes[i].to_height)
            fail_msg("%d frames of %d x %d become %d x %d", sizes[i].n_frames, sizes[i].width, sizes[i].height, width,
                     height);
    }
    for (size_t i = 0; i < PIO_COUNT(samples); i++) {
        const int32_t n = pio_preprocess_sample(samples[i].n_frames, samples[i].fps, INT32_MAX, indices);
        int32_t sum = 0;
        assert_int_equal(n, samples[i].n);
        for (int32_t k = 0; k < n; k++) sum += indices[k];
        assert_int_equal(indices[n - 1], samples[i].last);
        assert_int_equal(sum, samples[i].sum);
    }
}

static const pio_stored_tensor *stored(const pio_safetensors *file, const char *name, int number) {
    char whole[64];
    snprintf(whole, sizeof whole, "%s.%d", name, number);
    return pio_safetensors_find(file, whole);
}

/* Frames [n, height, width, 3] become pairs of patches, the last frame repeated (tools/make_golden_video.py). */
static void check_video(const pio_safetensors *file, int number) {
    const pio_preprocess settings = {8, 2, 2, 1024, 4096, {0.5f, 0.5f, 0.5f}, {0.5f, 0.5f, 0.5f}};
    const pio_stored_tensor *frames = stored(file, "frames", number), *patches = stored(file, "patches", number);
    const int32_t n = (int32_t)frames->dims[0], height = (int32_t)frames->dims[1], width = (int32_t)frames->dims[2];
    const size_t frame_bytes = 3 * (size_t)width * (size_t)height;
    int32_t grid[3], to_width, to_height;
    pio_error error;
    memcpy(grid, stored(file, "grid", number)->data, sizeof grid);
    if (pio_preprocess_size(&settings, n, width, height, &to_width, &to_height, &error)) fail_msg("%s", error.text);
    assert_int_equal(grid[0], (n + 1) / 2);
    for (int32_t pair = 0; pair < grid[0]; pair++) {
        const int32_t second = PIO_MIN(2 * pair + 1, n - 1);
        uint8_t *pixels = (uint8_t *)(uintptr_t)frames->data;
        const pio_image images[2] = {{pixels + (size_t)(2 * pair) * frame_bytes, width, height},
                                     {pixels + (size_t)second * frame_bytes, width, height}};
        pio_picture got;
        if (pio_preprocess_cut(&settings, &images[0], &images[1], to_width, to_height, &got, &error))
            fail_msg("%s", error.text);
        assert_int_equal(got.rows, grid[1]);
        assert_int_equal(got.cols, grid[2]);
        const size_t bytes = (size_t)(got.rows * got.cols) * (size_t)got.patch_values * sizeof(float);
        assert_memory_equal(got.patches, (const char *)patches->data + (size_t)pair * bytes, bytes);
        pio_picture_free(&got);
    }
}

static void frames_are_the_references(void **state) {
    (void)state;
    enum { VIDEOS = 3, SAMPLED = 7, MOST_FRAMES = 1000 };
    pio_safetensors *file;
    pio_error error;
    if (pio_safetensors_open(PIO_TEST_DATA "/video/video.safetensors", &file, &error)) fail_msg("%s", error.text);
    for (int i = 0; i < VIDEOS; i++) check_video(file, i);
    for (int i = 0; i < SAMPLED; i++) { /* [frames, 100 x frames a second, those taken ...] */
        const pio_stored_tensor *wanted = stored(file, "sampled", i);
        int32_t numbers[MOST_FRAMES], indices[MOST_FRAMES];
        memcpy(numbers, wanted->data, wanted->bytes);
        const int32_t n = pio_preprocess_sample(numbers[0], numbers[1] / 100.0, INT32_MAX, indices);
        assert_int_equal(n, (int32_t)wanted->dims[0] - 2);
        for (int32_t k = 0; k < n; k++) assert_int_equal(indices[k], numbers[2 + k]);
    }
    pio_safetensors_close(file);
}

/* The content and the grid make the hash: a changed pixel, or another shape of the same pixels, is another picture. */
static void hashes_tell_pictures_apart(void **state) {
    (void)state;
    test_random random = test_random_begin("hashes_tell_pictures_apart");
    const pio_preprocess settings = settings_of(GOLDEN);
    uint8_t pixels[3 * 64 * 64];
    for (size_t i = 0; i < sizeof pixels; i++) pixels[i] = (uint8_t)test_random_below(&random, 256);
    pio_image image = {pixels, 64, 64};
    pio_picture first, other;
    assert_int_equal(pio_preprocess_picture(&settings, &image, &first, NULL), PIO_OK);
    for (int trial = 0; trial < 50; trial++) {
        const size_t at = test_random_below(&random, sizeof pixels);
        pixels[at] ^= (uint8_t)(1 + trial % 200);
        assert_int_equal(pio_preprocess_picture(&settings, &image, &other, NULL), PIO_OK);
        assert_true(first.hash[0] != other.hash[0] && first.hash[1] != other.hash[1]);
        pixels[at] ^= (uint8_t)(1 + trial % 200);
        pio_picture_free(&other);
    }
    image = (pio_image){pixels, 32, 128};
    assert_int_equal(pio_preprocess_picture(&settings, &image, &other, NULL), PIO_OK);
    assert_true(first.hash[0] != other.hash[0]);
    pio_picture_free(&other);
    pio_picture_free(&first);
}

static void wrong_settings_are_named(void **state) {
    (void)state;
    static const struct {
        const char *text, *words[2];
    } cases[] = {{"{\"do_resize\": false}", {"do_resize", "true"}},
                 {"{\"resample\": 2}", {"resample 2", "bicubic"}},
                 {"{\"rescale_factor\": 1}", {"rescale_factor 1", "1/255"}},
                 {"{\"patch_size\": 0}", {"patch_size", "0"}},
                 {"{\"image_mean\": [0.5, 0.5]}", {"image_mean", "2 numbers"}},
                 {"{\"image_std\": [0, 0, 0]}", {"image_std", "0"}},
                 {"{\"size\": {\"shortest_edge\": 5000, \"longest_edge\": 4000}}", {"5000", "4000"}},
                 {"{\"size\": {\"longest_edge\": 12}, \"min_pixels\": 5}", {"12", "1024"}},
                 {"[1]", {"preprocessor_config.json", "object"}}};
    for (size_t i = 0; i < PIO_COUNT(cases); i++) {
        char *directory = temp_dir_make();
        pio_preprocess settings;
        pio_error error = {0};
        FILE *file = fopen(temp_dir_path(directory, "preprocessor_config.json"), "w");
        assert_non_null(file);
        fputs(cases[i].text, file);
        fclose(file);
        assert_int_not_equal(pio_preprocess_read(directory, &settings, &error), PIO_OK);
        for (int k = 0; k < 2; k++)
            if (!strstr(error.text, cases[i].words[k])) fail_msg("'%s' lacks '%s'", error.text, cases[i].words[k]);
        temp_dir_remove(directory);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patches_are_the_references), cmocka_unit_test(columns_by_the_thousand_are_the_references),
        cmocka_unit_test(sizes_follow_the_rule),      cmocka_unit_test(videos_follow_their_own_rule),
        cmocka_unit_test(frames_are_the_references),  cmocka_unit_test(hashes_tell_pictures_apart),
        cmocka_unit_test(wrong_settings_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
