/* The layout f16s_rows (layouts.h): bf16 rows as float16 with a scale a row. */
#include "base/compiler.h"
#include "kernels/dtype/layouts.h"

static uint64_t code_stride(int32_t cols) {
    return 2 * (uint64_t)PIO_ROUND_UP(cols, 32);
}

static uint64_t scales_at(int32_t rows, int32_t cols) {
    return code_stride(cols) * (uint64_t)rows;
}

uint64_t pio_f16s_rows_bytes(int32_t rows, int32_t cols) {
    return PIO_ROUND_UP(scales_at(rows, cols) + 4 * (uint64_t)rows, 16);
}

/* Float16 bits of a float32 below 2^15, as pio_f32_to_f16 rounds, but without a branch, so that it is vectorised. */
static inline uint16_t code_of(float x) {
    uint32_t bits, small_bits;
    memcpy(&bits, &x, sizeof bits);
    const uint32_t sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
    float small;
    memcpy(&small, &magnitude, sizeof small);
    small += 0.5f; /* one unit of the sum's last place is 2^-24, a subnormal's */
    memcpy(&small_bits, &small, sizeof small_bits);
    const uint32_t normal = (magnitude + 0xfffu + (magnitude >> 13 & 1u) - 0x38000000u) >> 13;
    const uint32_t finite = magnitude < 0x38800000u ? small_bits - 0x3f000000u : normal;
    return (uint16_t)(sign | (magnitude >= 0x7f800000u ? 0x7e00u : finite));
}

static float pack_row(const uint16_t *restrict row, int32_t cols, uint16_t *restrict codes) {
    uint16_t largest = 0;
    for (int32_t i = 0; i < cols; i++) largest = PIO_MAX(largest, (uint16_t)(row[i] & 0x7fff));
    const float scale = pio_f16_row_scale(pio_bf16_to_f32(largest)), inverse = 1.0f / scale;
    for (int32_t i = 0; i < cols; i++) codes[i] = code_of(pio_bf16_to_f32(row[i]) * inverse);
    memset(codes + cols, 0, code_stride(cols) - 2 * (uint64_t)cols);
    return scale;
}

void pio_f16s_rows_planes(int32_t rows, int32_t cols, pio_plane planes[PIO_MAX_PLANES]) {
    planes[0] = (pio_plane){0, code_stride(cols)};
    planes[1] = (pio_plane){scales_at(rows, cols), sizeof(float)};
    planes[2] = (pio_plane){0, 0};
}

void pio_f16s_rows_pack(const pio_canonical *src, void *const to[PIO_MAX_PLANES]) {
    const int32_t cols = src->cols;
    char *codes = to[0];
    float *scales = to[1];
    for (int32_t r = 0; r < src->rows; r++)
        scales[r] = pack_row((const uint16_t *)src->codes + (uint64_t)r * (uint64_t)cols, cols,
                             (uint16_t *)(void *)(codes + code_stride(cols) * (uint64_t)r));
}

void pio_f16s_rows_unpack_row(const void *packed, int32_t rows, int32_t cols, int32_t row, float *out) {
    const uint16_t *codes = (const uint16_t *)(const void *)((const char *)packed + code_stride(cols) * (uint64_t)row);
    float scale;
    memcpy(&scale, (const char *)packed + scales_at(rows, cols) + 4 * (uint64_t)row, sizeof scale);
    for (int32_t k = 0; k < cols; k++) out[k] = scale * pio_f16_to_f32(codes[k]);
}
