/* Pictures of every form decode to the pixels that Pillow makes of them (tests/data/images, tools/make_image_cases.py),
 * from files, from memory and from base64; what is cut, changed, too large or no picture is refused in a sentence. */
#include "tests/support/test.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/base64.h"
#include "io/file.h"
#include "io/image.h"
#include "io/safetensors.h"
#include "tests/support/random.h"

#define IMAGES PIO_TEST_DATA "/images"

enum { MOST_FILES = 64 };

typedef struct files {
    char names[MOST_FILES][64];
    int n;
} files;

static files list_files(void) {
    files all = {.n = 0};
    struct dirent *entry;
    DIR *folder = opendir(IMAGES);
    assert_non_null(folder);
    while ((entry = readdir(folder))) {
        if (entry->d_name[0] == '.' || strstr(entry->d_name, ".safetensors")) continue;
        assert_true(all.n < MOST_FILES);
        snprintf(all.names[all.n++], sizeof all.names[0], "%.60s", entry->d_name);
    }
    closedir(folder);
    assert_true(all.n > 20);
    return all;
}

static char *read_all(const char *name, size_t *n_bytes) {
    char path[512], *bytes;
    pio_error error;
    snprintf(path, sizeof path, IMAGES "/%s", name);
    if (pio_file_read_text(path, 1 << 24, &bytes, n_bytes, &error)) fail_msg("%s", error.text);
    return bytes;
}

static void compare(const char *name, const pio_image *image, const pio_stored_tensor *wanted) {
    assert_int_equal(image->height, wanted->dims[0]);
    assert_int_equal(image->width, wanted->dims[1]);
    const uint8_t *pixels = wanted->data;
    for (size_t i = 0; i < (size_t)wanted->n_elements; i++)
        if (image->rgb[i] != pixels[i])
            fail_msg("%s: pixel %zu, channel %zu is %d and should be %d", name, i / 3, i % 3, image->rgb[i], pixels[i]);
}

static char *to_base64(const char *bytes, size_t n) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *text = malloc((n + 2) / 3 * 4 + 1), *to = text;
    assert_non_null(text);
    for (size_t i = 0; i < n; i += 3) {
        uint32_t word = 0;
        for (size_t k = 0; k < 3; k++) word = word << 8 | (i + k < n ? (uint8_t)bytes[i + k] : 0u);
        for (size_t k = 0; k < 4; k++) *to++ = i + k > n ? '=' : digits[word >> (18 - 6 * k) & 63];
    }
    *to = 0;
    return text;
}

static void every_form_decodes_to_its_pixels(void **state) {
    (void)state;
    const files all = list_files();
    pio_safetensors *file;
    pio_error error;
    if (pio_safetensors_open(IMAGES "/decoded.safetensors", &file, &error)) fail_msg("%s", error.text);
    for (int i = 0; i < all.n; i++) {
        const pio_stored_tensor *wanted = pio_safetensors_find(file, all.names[i]);
        char path[512];
        pio_image image;
        int32_t width, height;
        size_t n_bytes;
        assert_non_null(wanted);
        snprintf(path, sizeof path, IMAGES "/%s", all.names[i]);
        if (pio_image_read(path, &image, &error)) fail_msg("%s", error.text);
        compare(all.names[i], &image, wanted);
        pio_image_free(&image);
        char *bytes = read_all(all.names[i], &n_bytes), *text = to_base64(bytes, n_bytes);
        if (pio_image_size(path, bytes, n_bytes, &width, &height, &error)) fail_msg("%s", error.text);
        assert_int_equal(width, wanted->dims[1]);
        assert_int_equal(height, wanted->dims[0]);
        if (pio_image_decode_base64("text", text, strlen(text), &image, &error)) fail_msg("%s", error.text);
        compare(all.names[i], &image, wanted);
        pio_image_free(&image);
        free(bytes);
        free(text);
    }
    pio_safetensors_close(file);
}

/* Cut anywhere, a picture is refused as truncated or damaged, or (behind its last pixel) whole. */
static void cut_pictures_are_refused(void **state) {
    (void)state;
    const files all = list_files();
    for (int i = 0; i < all.n; i++) {
        size_t n_bytes;
        char *bytes = read_all(all.names[i], &n_bytes);
        for (size_t n = 0; n < n_bytes; n += 1 + n_bytes / 97) {
            pio_image image;
            pio_error error = {0};
            char *part = malloc(n + 1); /* of its own, so that a sanitizer sees what is read past the end */
            assert_non_null(part);
            memcpy(part, bytes, n);
            const pio_status status = pio_image_decode(all.names[i], part, n, &image, &error);
            if (status) assert_non_null(strstr(error.text, all.names[i]));
            if (status) assert_null(image.rgb);
            if (!status && n < n_bytes / 2) fail_msg("%s: half of it is taken for the whole", all.names[i]);
            pio_image_free(&image);
            free(part);
        }
        free(bytes);
    }
}

static void changed_bytes_do_no_harm(void **state) {
    (void)state;
    test_random random = test_random_begin("changed_bytes_do_no_harm");
    const files all = list_files();
    for (int i = 0; i < all.n; i++) {
        size_t n_bytes;
        char *bytes = read_all(all.names[i], &n_bytes);
        for (int trial = 0; trial < 60; trial++) {
            pio_image image;
            pio_error error = {0};
            char *copy = malloc(n_bytes);
            assert_non_null(copy);
            memcpy(copy, bytes, n_bytes);
            for (int k = 0; k < 1 + trial % 4; k++)
                copy[test_random_below(&random, n_bytes)] = (char)test_random_below(&random, 256);
            const pio_status status = pio_image_decode("changed", copy, n_bytes, &image, &error);
            assert_int_equal(status == PIO_OK, image.rgb != NULL);
            if (status) assert_true(error.text[0] && !strchr(error.text, '\n'));
            pio_image_free(&image);
            free(copy);
        }
        free(bytes);
    }
}

static void what_is_no_picture_is_named(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        pio_status status;
        const char *words[2];
    } cases[] = {
        {"", 0, PIO_CORRUPT, {"empty", "PNG, JPEG or WebP"}},
        {"GIF89a....", 10, PIO_UNSUPPORTED, {"a GIF", "PNG"}},
        {"BM..........", 12, PIO_UNSUPPORTED, {"a BMP", "PNG"}},
        {"hello, world", 12, PIO_UNSUPPORTED, {"not a picture", "PNG"}},
        {"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\1\0\0\0\1\0\0\10\2\0\0\0....", 37, PIO_LIMIT, {"65536 x 65536", "limit"}},
        {"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\0\0\0\0\1\10\2\0\0\0....", 37, PIO_CORRUPT, {"no pixels", ""}},
        {"\xff\xd8\xff\xc0\0\21\10\xff\xff\xff\xff\3............", 24, PIO_LIMIT, {"65535 x 65535", "limit"}}};
    for (size_t i = 0; i < PIO_COUNT(cases); i++) {
        pio_image image;
        pio_error error = {0};
        const pio_status status = pio_image_decode("it", cases[i].bytes, cases[i].n, &image, &error);
        if (status != cases[i].status) fail_msg("case %zu: %s: %s", i, pio_status_name(status), error.text);
        for (int k = 0; k < 2; k++)
            if (!strstr(error.text, cases[i].words[k])) fail_msg("'%s' lacks '%s'", error.text, cases[i].words[k]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_decodes_to_its_pixels),
        cmocka_unit_test(cut_pictures_are_refused),
        cmocka_unit_test(changed_bytes_do_no_harm),
        cmocka_unit_test(what_is_no_picture_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
