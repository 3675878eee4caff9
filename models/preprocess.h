/* From a picture's pixels to the patches that a vision graph takes: resized to a multiple of merged patches within the
 * limits of preprocessor_config.json, normalised, cut. Equal, bit by bit, to what torchvision makes of 8-bit pixels. */
#ifndef PIO_MODELS_PREPROCESS_H
#define PIO_MODELS_PREPROCESS_H

#include "io/image.h"
#include "io/json.h"
#include "models/picture.h"

typedef struct pio_preprocess {
    int32_t patch, temporal, merge;    /* pixels to a side, frames, and patches to a side of a merged one */
    int64_t least_pixels, most_pixels; /* of the resized picture */
    float mean[3], deviation[3];       /* of red, green and blue, as parts of full light */
} pio_preprocess;

/* Reads preprocessor_config.json in the directory; Qwen3-VL's values where there is none. */
pio_status pio_preprocess_read(const char *directory, pio_preprocess *out, pio_error *error);

/* The size that a picture of width x height is resized to. PIO_INVALID_ARGUMENT: a side is over 200 times the other. */
pio_status pio_preprocess_size(const pio_preprocess *settings, int32_t width, int32_t height, int32_t *resized_width,
                               int32_t *resized_height, pio_error *error);

/* One picture, its frame repeated, or (`second`, of the same size) two frames of a video. */
pio_status pio_preprocess_picture(const pio_preprocess *settings, const pio_image *image, const pio_image *second,
                                  pio_picture *out, pio_error *error);

#endif
