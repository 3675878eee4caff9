#include "kernels/dtype/encoding.h"

#include <math.h>
#include <string.h>

static void encode_s8_block(const float *x, int32_t n, int8_t *codes, float *scale, int32_t *sum) {
    float largest = 0;
    for (int32_t i = 0; i < n; i++) largest = fmaxf(largest, fabsf(x[i]));
    *scale = largest * (1.0f / 127);
    float inverse = *scale > 0 ? 1.0f / *scale : 0;
    *sum = 0;
    for (int32_t i = 0; i < n; i++) {
        long code = lrintf(x[i] * inverse);
        codes[i] = (int8_t)PIO_MAX(-127, PIO_MIN(127, code));
        *sum += codes[i];
    }
    memset(codes + n, 0, (size_t)(PIO_SCALE_COLUMNS - n));
}

static void encode_f16(const float *x, int32_t cols, uint16_t *codes) {
    float largest = 0;
    for (int32_t i = 0; i < cols; i++) largest = fmaxf(largest, fabsf(x[i]));
    const float scale = pio_f16_row_scale(largest);
    for (int32_t i = 0; i < cols; i++) codes[i] = pio_f32_to_f16(x[i] * (1.0f / scale));
    memset(codes + cols, 0, 2 * (size_t)(PIO_ROUND_UP(cols, 32) - cols));
    memcpy((char *)codes + pio_f16_scale_at(cols), &scale, sizeof scale);
}

void pio_encode_row(pio_encoding encoding, const float *x, int32_t cols, void *out) {
    if (encoding == PIO_ENC_F32) {
        memcpy(out, x, sizeof *x * (size_t)cols);
    } else if (encoding == PIO_ENC_BF16) {
        uint16_t *y = out;
        for (int32_t i = 0; i < cols; i++) y[i] = pio_f32_to_bf16(x[i]);
        memset(y + cols, 0, 2 * (size_t)(PIO_ROUND_UP(cols, 32) - cols));
    } else if (encoding == PIO_ENC_F16) {
        encode_f16(x, cols, out);
    } else {
        int8_t *codes = out;
        float *scales = (float *)(codes + pio_s8_scales_at(cols));
        int32_t *sums = (int32_t *)(codes + pio_s8_sums_at(cols));
        for (int32_t b = 0, c = 0; c < cols; b++, c += PIO_SCALE_COLUMNS)
            encode_s8_block(x + c, PIO_MIN(PIO_SCALE_COLUMNS, cols - c), codes + c, scales + b, sums + b);
    }
}

void pio_decode_row(pio_encoding encoding, const void *row, int32_t cols, float *x) {
    if (encoding == PIO_ENC_F32) {
        memcpy(x, row, sizeof *x * (size_t)cols);
    } else if (encoding == PIO_ENC_BF16) {
        for (int32_t i = 0; i < cols; i++) x[i] = pio_bf16_to_f32(((const uint16_t *)row)[i]);
    } else if (encoding == PIO_ENC_F16) {
        float scale;
        memcpy(&scale, (const char *)row + pio_f16_scale_at(cols), sizeof scale);
        for (int32_t i = 0; i < cols; i++) x[i] = scale * pio_f16_to_f32(((const uint16_t *)row)[i]);
    } else {
        const int8_t *codes = row;
        const float *scales = (const float *)(codes + pio_s8_scales_at(cols));
        for (int32_t i = 0; i < cols; i++) x[i] = scales[i / PIO_SCALE_COLUMNS] * (float)codes[i];
    }
}
