/* While a picture is decoded, resized and cut, every allocation may fail: the answer is a sentence, and nothing stays
 * behind (a sanitizer's leak check sees it). */
#include "tests/support/test.h"

#include <stdio.h>
#include <string.h>

#include "models/preprocess.h"
#include "tests/support/failing_memory.h"

static pio_status make(const pio_preprocess *settings, const char *path, pio_error *error) {
    pio_image image;
    pio_picture picture = {0};
    pio_status status = pio_image_read(path, &image, error);
    if (!status) status = pio_preprocess_picture(settings, &image, &picture, error);
    pio_image_free(&image);
    pio_picture_free(&picture);
    return status;
}

static void every_failure_is_a_status(void **state) {
    (void)state;
    static const char *const names[] = {"rgba.png", "palette.png", "grey_16.png", "turn_5.jpg",
                                        "cmyk.jpg", "grey.jpg",    "alpha.webp",  "turn_6.webp"};
    pio_preprocess settings;
    assert_int_equal(pio_preprocess_read(PIO_TEST_DATA "/golden/qwen3_vl_odd", &settings, NULL), PIO_OK);
    for (size_t i = 0; i < PIO_COUNT(names); i++) {
        char path[512];
        long failed = 0;
        pio_status status = PIO_OUT_OF_MEMORY;
        snprintf(path, sizeof path, PIO_TEST_DATA "/images/%s", names[i]);
        for (long k = 0; status; k++, failed += status != PIO_OK) {
            pio_error error = {0};
            failing_memory_left = k;
            status = make(&settings, path, &error);
            failing_memory_left = -1;
            if (status && (status != PIO_OUT_OF_MEMORY || !error.text[0])) fail_msg("%s, %ld: %s", path, k, error.text);
        }
        assert_true(failed > 5);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_failure_is_a_status)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
