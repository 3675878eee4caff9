#include "models/preprocess.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "models/blocks/numbers.h"
#include "models/resize.h"

enum { CONFIG_LIMIT_BYTES = 1 << 20, MOST_RATIO = 200, FRAMES_A_SECOND = 2, LEAST_FRAMES = 4, MOST_FRAMES = 768 };

/* ---- settings ---- */

static pio_status read_channels(const pio_json_object *in, const char *key, double least, double most, float out[3],
                                pio_error *error) {
    double values[3];
    size_t n;
    pio_status status = pio_json_get_doubles(in, key, least, most, values, 3, &n, error);
    if (!status && n && n != 3)
        status =
            pio_fail(error, PIO_CORRUPT, "'%s': %s%s has %zu numbers, but must have 3", in->file, in->prefix, key, n);
    for (size_t c = 0; c < n && !status; c++) out[c] = (float)values[c];
    return status;
}

static pio_status read_side(const pio_json_object *in, const char *key, int64_t most, int32_t *out, pio_error *error) {
    int64_t value;
    pio_status status = pio_json_get_int_or(in, key, 1, most, *out, &value, error);
    if (!status) *out = (int32_t)value;
    return status;
}

/* min_pixels and max_pixels, or size.shortest_edge and size.longest_edge, which stand for the same numbers. */
static pio_status read_limits(const pio_json_object *root, pio_preprocess *p, pio_error *error) {
    const int64_t most = (int64_t)MOST_FRAMES * PIO_IMAGE_MOST_PIXELS;
    pio_json_object size;
    pio_status status = pio_json_get_object(root, "size", &size, error);
    if (!status) status = pio_json_get_int_or(root, "min_pixels", 1, most, p->least_pixels, &p->least_pixels, error);
    if (!status) status = pio_json_get_int_or(root, "max_pixels", 1, most, p->most_pixels, &p->most_pixels, error);
    if (!status)
        status = pio_json_get_int_or(&size, "shortest_edge", 1, most, p->least_pixels, &p->least_pixels, error);
    if (!status) status = pio_json_get_int_or(&size, "longest_edge", 1, most, p->most_pixels, &p->most_pixels, error);
    const int64_t merged = (int64_t)p->patch * p->merge;
    if (!status && (p->most_pixels < p->least_pixels || p->most_pixels < merged * merged))
        status =
            pio_fail(error, PIO_CORRUPT,
                     "'%s': pictures of at least %lld and at most %lld pixels, in squares of %lld, "
                     "do not exist",
                     root->file, (long long)p->least_pixels, (long long)p->most_pixels, (long long)(merged * merged));
    return status;
}

static pio_status refuse_other_settings(const pio_json_object *root, pio_error *error) {
    static const pio_setting on[] = {
        {"do_resize", .flag = true}, {"do_rescale", .flag = true}, {"do_normalize", .flag = true}};
    int64_t resample;
    double factor;
    pio_status status = pio_settings_check(root, on, PIO_COUNT(on), error);
    if (!status) status = pio_json_get_int_or(root, "resample", 0, 10, 3, &resample, error);
    if (!status) status = pio_json_get_double_or(root, "rescale_factor", 0, 1, 1.0 / 255, &factor, error);
    if (status) return status;
    if (resample != 3)
        return pio_fail(error, PIO_UNSUPPORTED, "'%s': resample %lld is not supported, only 3 (bicubic) is", root->file,
                        (long long)resample);
    if (fabs(factor * 255 - 1) > 1e-6)
        return pio_fail(error, PIO_UNSUPPORTED, "'%s': rescale_factor %g is not supported, only 1/255 is", root->file,
                        factor);
    return PIO_OK;
}

static pio_status read_settings(const pio_json_object *root, pio_preprocess *p, pio_error *error) {
    pio_status status = refuse_other_settings(root, error);
    if (!status) status = read_side(root, "patch_size", 256, &p->patch, error);
    if (!status) status = read_side(root, "temporal_patch_size", 16, &p->temporal, error);
    if (!status) status = read_side(root, "merge_size", 16, &p->merge, error);
    if (!status) status = read_channels(root, "image_mean", 0, 1, p->mean, error);
    if (!status) status = read_channels(root, "image_std", 1e-3, 1e3, p->deviation, error);
    return status ? status : read_limits(root, p, error);
}

static pio_status read_file(const char *directory, const char *name, pio_preprocess *out, pio_error *error) {
    char path[4096];
    pio_json *json = NULL;
    snprintf(path, sizeof path, "%s/%s", directory, name);
    pio_status status = pio_json_load(path, CONFIG_LIMIT_BYTES, &json, error);
    if (status == PIO_NOT_FOUND) return PIO_OK;
    if (status) return status;
    const pio_json_object root = pio_json_root(json);
    status = read_settings(&root, out, error);
    pio_json_free(json);
    return status;
}

static const pio_preprocess published = {.patch = 16,
                                         .temporal = 2,
                                         .merge = 2,
                                         .least_pixels = 65536,
                                         .most_pixels = 16777216,
                                         .mean = {0.5f, 0.5f, 0.5f},
                                         .deviation = {0.5f, 0.5f, 0.5f}};

pio_status pio_preprocess_read(const char *directory, pio_preprocess *out, pio_error *error) {
    *out = published;
    return read_file(directory, "preprocessor_config.json", out, error);
}

/* What the video's own file leaves out, the tower's shape above all, is as for pictures. */
pio_status pio_preprocess_read_video(const char *directory, pio_preprocess *out, pio_error *error) {
    pio_status status = pio_preprocess_read(directory, out, error);
    out->least_pixels = 128 * 32 * 32;
    out->most_pixels = 768 * 32 * 32;
    return status ? status : read_file(directory, "video_preprocessor_config.json", out, error);
}

/* ---- sizes ---- */

pio_status pio_preprocess_size(const pio_preprocess *p, int32_t n_frames, int32_t width, int32_t height,
                               int32_t *resized_width, int32_t *resized_height, pio_error *error) {
    const int32_t factor = p->patch * p->merge, long_side = PIO_MAX(width, height), short_side = PIO_MIN(width, height);
    if (short_side < 1 || (double)long_side / short_side > MOST_RATIO)
        return pio_fail(error, PIO_INVALID_ARGUMENT,
                        "a picture of %d x %d pixels has one side over %d times the other: cut it to another shape",
                        width, height, MOST_RATIO);
    double h = height, w = width, n = n_frames;
    if (n_frames > 1 && short_side < factor) { /* a video smaller than a merged patch grows first */
        h = floor(height * ((double)factor / short_side));
        w = floor(width * ((double)factor / short_side));
    }
    const double frames = n_frames > 1 ? nearbyint(n / p->temporal) * p->temporal : 1;
    double to_h = nearbyint(h / factor) * factor, to_w = nearbyint(w / factor) * factor;
    if (frames * to_h * to_w > (double)p->most_pixels) {
        const double by = sqrt(n * h * w / (double)p->most_pixels);
        to_h = PIO_MAX(factor, floor(h / by / factor) * factor);
        to_w = PIO_MAX(factor, floor(w / by / factor) * factor);
    } else if (frames * to_h * to_w < (double)p->least_pixels) {
        const double by = sqrt((double)p->least_pixels / (n * h * w));
        to_h = ceil(h * by / factor) * factor;
        to_w = ceil(w * by / factor) * factor;
    }
    *resized_height = (int32_t)to_h;
    *resized_width = (int32_t)to_w;
    return PIO_OK;
}

int32_t pio_preprocess_sample(int32_t n_frames, double fps, int32_t most, int32_t *indices) {
    const double wanted = floor((double)n_frames / fps * FRAMES_A_SECOND);
    const int32_t n = PIO_MIN((int32_t)PIO_MIN(PIO_MAX(wanted, LEAST_FRAMES), MOST_FRAMES), PIO_MIN(most, n_frames));
    /* Rounded twice, as the reference does: where a place lies between two frames, this decides which it is. */
    const double step = n > 1 ? (double)(n_frames - 1) / (n - 1) : 0;
    for (int32_t i = 0; i < n; i++) indices[i] = i > 0 && i == n - 1 ? n_frames - 1 : (int32_t)nearbyint(i * step);
    return n;
}

/* ---- patches ---- */

/* Two independent sums over the pixels and the size (FNV-1a, and one of splitmix64's steps a word). */
static void hash_picture(const pio_image *const frames[2], int32_t rows, int32_t cols, uint64_t hash[2]) {
    hash[0] = 0xcbf29ce484222325u ^ ((uint64_t)(uint32_t)rows << 32 | (uint32_t)cols);
    hash[1] = 0x9e3779b97f4a7c15u;
    for (int f = 0; f < 2; f++) {
        const size_t n = 3 * (size_t)frames[f]->width * (size_t)frames[f]->height;
        for (size_t i = 0; i < n; i += 8) {
            uint64_t word = 0;
            memcpy(&word, frames[f]->rgb + i, PIO_MIN(n - i, sizeof word));
            hash[0] = (hash[0] ^ word) * 0x100000001b3u;
            hash[0] ^= hash[0] >> 29;
            hash[1] = (hash[1] + word) * 0xbf58476d1ce4e5b9u;
            hash[1] ^= hash[1] >> 31;
        }
    }
}

/* One patch: [channel, frame, row, column] from pixel (x, y) on. */
static void cut_patch(const pio_preprocess *p, const float (*lights)[256], const pio_image *const frames[2], int32_t x,
                      int32_t y, float *out) {
    for (int c = 0; c < 3; c++)
        for (int32_t t = 0; t < p->temporal; t++) {
            const pio_image *frame = frames[t % 2];
            for (int32_t row = 0; row < p->patch; row++) {
                const uint8_t *from = frame->rgb + 3 * ((size_t)(y + row) * (size_t)frame->width + (size_t)x) + c;
                for (int32_t col = 0; col < p->patch; col++) *out++ = lights[c][from[3 * col]];
            }
        }
}

static void cut(const pio_preprocess *p, const pio_image *const frames[2], pio_picture *out) {
    float lights[3][256]; /* each level, normalised in the order in which the reference does it */
    for (int c = 0; c < 3; c++)
        for (int v = 0; v < 256; v++) {
            const float mean = p->mean[c] * 255.0f, deviation = p->deviation[c] * 255.0f;
            lights[c][v] = ((float)v - mean) / deviation;
        }
    const int32_t merge = p->merge, blocks = out->cols / merge;
    for (int32_t i = 0; i < out->rows * out->cols; i++) {
        const int32_t block = i / (merge * merge), in_block = i % (merge * merge);
        const int32_t row = block / blocks * merge + in_block / merge, col = block % blocks * merge + in_block % merge;
        cut_patch(p, lights, frames, col * p->patch, row * p->patch,
                  out->patches + (size_t)i * (size_t)out->patch_values);
    }
}

static pio_status make_picture(const pio_preprocess *p, const pio_image *const frames[2], pio_picture *out,
                               pio_error *error) {
    *out = (pio_picture){.rows = frames[0]->height / p->patch,
                         .cols = frames[0]->width / p->patch,
                         .merge = p->merge,
                         .patch_values = 3 * p->temporal * p->patch * p->patch};
    const size_t n = (size_t)out->rows * (size_t)out->cols * (size_t)out->patch_values;
    out->patches = malloc(sizeof *out->patches * n);
    if (!out->patches) return pio_fail_memory(error, "the patches of a picture", sizeof *out->patches * n);
    cut(p, frames, out);
    hash_picture(frames, out->rows, out->cols, out->hash);
    return PIO_OK;
}

pio_status pio_preprocess_cut(const pio_preprocess *p, const pio_image *first, const pio_image *second, int32_t width,
                              int32_t height, pio_picture *out, pio_error *error) {
    pio_image resized[2] = {0};
    *out = (pio_picture){0};
    if (second && (second->width != first->width || second->height != first->height))
        return pio_fail(error, PIO_INVALID_ARGUMENT, "frames of %d x %d and %d x %d pixels are not of one video",
                        first->width, first->height, second->width, second->height);
    pio_status status = pio_image_resize(first, width, height, &resized[0], error);
    if (!status && second) status = pio_image_resize(second, width, height, &resized[1], error);
    const pio_image *const frames[2] = {&resized[0], second ? &resized[1] : &resized[0]};
    if (!status) status = make_picture(p, frames, out, error);
    pio_image_free(&resized[0]);
    pio_image_free(&resized[1]);
    return status;
}

pio_status pio_preprocess_picture(const pio_preprocess *p, const pio_image *image, pio_picture *out, pio_error *error) {
    int32_t width = 0, height = 0;
    *out = (pio_picture){0};
    pio_status status = pio_preprocess_size(p, 1, image->width, image->height, &width, &height, error);
    return status ? status : pio_preprocess_cut(p, image, NULL, width, height, out, error);
}

void pio_picture_free(pio_picture *picture) {
    free(picture->patches);
    *picture = (pio_picture){0};
}
