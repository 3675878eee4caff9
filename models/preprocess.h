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

/* The same for videos: video_preprocessor_config.json, the limits being those of all frames together. */
pio_status pio_preprocess_read_video(const char *directory, pio_preprocess *out, pio_error *error);

/* The size that n_frames of width x height (1: a picture) are resized to. PIO_INVALID_ARGUMENT: a side is over 200
 * times the other. */
pio_status pio_preprocess_size(const pio_preprocess *settings, int32_t n_frames, int32_t width, int32_t height,
                               int32_t *resized_width, int32_t *resized_height, pio_error *error);

/* Which of n_frames, taken at `fps` a second, are looked at: 2 a second, at least 4, at most 768 and at most `most`,
 * evenly spread. Their indices go to `indices`, [n_frames]; returns how many. */
int32_t pio_preprocess_sample(int32_t n_frames, double fps, int32_t most, int32_t *indices);

/* A picture, its frame repeated, or (`second` not NULL) a pair of frames of a video, resized to width x height. */
pio_status pio_preprocess_cut(const pio_preprocess *settings, const pio_image *first, const pio_image *second,
                              int32_t width, int32_t height, pio_picture *out, pio_error *error);

/* The size and the patches of one picture. */
pio_status pio_preprocess_picture(const pio_preprocess *settings, const pio_image *image, pio_picture *out,
                                  pio_error *error);

#endif
