/* Canonical rows: the planes' sizes and what they stand for. */
#include "base/compiler.h"
#include "kernels/dtype/layout.h"

/* Bytes of one row's elements or codes. */
static uint64_t code_row_bytes(pio_dtype dtype, int32_t cols) {
    uint64_t padded = PIO_ROUND_UP((uint64_t)cols, PIO_SUB_COLUMNS);
    switch (dtype) {
    case PIO_DTYPE_F32:
        return 4 * (uint64_t)cols;
    case PIO_DTYPE_BF16:
        return 2 * (uint64_t)cols;
    case PIO_DTYPE_Q8:
        return padded;
    case PIO_DTYPE_Q4:
        return padded / 2;
    default:
        return 0;
    }
}

uint64_t pio_canonical_code_bytes(pio_dtype dtype, int32_t rows, int32_t cols) {
    return (uint64_t)rows * code_row_bytes(dtype, cols);
}

uint64_t pio_canonical_sub_bytes(pio_dtype dtype, int32_t rows, int32_t cols) {
    return dtype == PIO_DTYPE_Q4 ? (uint64_t)rows * PIO_CEIL_DIV((uint64_t)cols, PIO_SUB_COLUMNS) : 0;
}

uint64_t pio_canonical_scale_bytes(pio_dtype dtype, int32_t rows, int32_t cols) {
    if (dtype != PIO_DTYPE_Q8 && dtype != PIO_DTYPE_Q4) return 0;
    return 2 * (uint64_t)rows * PIO_CEIL_DIV((uint64_t)cols, PIO_SCALE_COLUMNS);
}

static void q8_row(const int8_t *codes, const uint16_t *scales, int32_t cols, float *out) {
    for (int32_t k = 0; k < cols; k++) out[k] = pio_bf16_to_f32(scales[k / PIO_SCALE_COLUMNS]) * (float)codes[k];
}

static void q4_row(const uint8_t *codes, const int8_t *subs, const uint16_t *scales, int32_t cols, float *out) {
    for (int32_t first = 0; first < cols; first += PIO_SUB_COLUMNS) {
        float scale = pio_bf16_to_f32(scales[first / PIO_SCALE_COLUMNS]), value[16];
        int sub = subs[first / PIO_SUB_COLUMNS];
        for (int i = 0; i < 16; i++) value[i] = scale * (float)(sub * pio_q4_levels[i]);
        for (int32_t k = first; k < PIO_MIN(first + PIO_SUB_COLUMNS, cols); k++)
            out[k] = value[codes[k / 2] >> 4 * (k & 1) & 15];
    }
}

void pio_canonical_row(const pio_canonical *src, int32_t row, float *out) {
    int32_t cols = src->cols;
    const uint8_t *codes = (const uint8_t *)src->codes + (uint64_t)row * code_row_bytes(src->dtype, cols);
    const uint16_t *scales = NULL;
    if (src->scales) scales = src->scales + (uint64_t)row * PIO_CEIL_DIV((uint64_t)cols, PIO_SCALE_COLUMNS);
    switch (src->dtype) {
    case PIO_DTYPE_F32:
        memcpy(out, codes, 4 * (size_t)cols);
        break;
    case PIO_DTYPE_BF16:
        for (int32_t k = 0; k < cols; k++) out[k] = pio_bf16_to_f32(((const uint16_t *)(const void *)codes)[k]);
        break;
    case PIO_DTYPE_Q8:
        q8_row((const int8_t *)codes, scales, cols, out);
        break;
    case PIO_DTYPE_Q4:
        q4_row(codes, src->subs + (uint64_t)row * PIO_CEIL_DIV((uint64_t)cols, PIO_SUB_COLUMNS), scales, cols, out);
        break;
    default:
        break;
    }
}
