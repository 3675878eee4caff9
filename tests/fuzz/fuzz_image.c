/* Any bytes are a picture that fits its size, or are refused with a sentence. */
#include <stdint.h>
#include <stdlib.h>

#include "io/image.h"

static void require(int holds) {
    if (!holds) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
    pio_error error = {0};
    int32_t width, height;
    pio_image image;
    /* Large pictures are slow and show nothing new. */
    if (!pio_image_size("it", data, n_bytes, &width, &height, &error) && (int64_t)width * height > 1 << 20) return 0;
    const pio_status status = pio_image_decode("it", data, n_bytes, &image, &error);
    require((status == PIO_OK) == (image.rgb != NULL));
    require(status == PIO_OK || (error.status == status && error.text[0]));
    if (image.rgb) {
        unsigned sum = 0;
        require(image.width > 0 && image.height > 0);
        for (size_t i = 0; i < 3 * (size_t)image.width * (size_t)image.height; i++) sum += image.rgb[i];
        volatile unsigned kept = sum; /* every pixel is written: a sanitizer of memory would say */
        (void)kept;
    }
    pio_image_free(&image);
    pio_image_decode_base64("it", (const char *)data, n_bytes, &image, &error);
    pio_image_free(&image);
    return 0;
}
