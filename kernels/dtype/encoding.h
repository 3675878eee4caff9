/* Encodings of activations: how a row [cols] of a [rows, cols] tensor lies in memory. Selection adds one CONVERT node
 * per (tensor, encoding), shared by all its readers.
 *
 *   F32   float [cols]
 *   BF16  u16 [cols], rounded to nearest even, zeros up to a multiple of 32 columns
 *   S8    int8 codes, zeros up to a multiple of 256 columns; then per 256 columns one float32 scale; then per 256
 * columns the int32 sum of the codes. value = scale * code, code = round(value / scale) to nearest even in -127..127,
 *         scale = largest magnitude / 127 (0 where all are 0).
 *   F16   float16 codes, zeros up to a multiple of 32 columns; then one float32 scale. value = scale * code, rounded to
 *         nearest even, the scale being the power of two that puts the row's largest magnitude into [2^14, 2^15).
 *
 * Rows start at multiples of 64 bytes: pio_encoding_stride. */
#ifndef PIO_KERNELS_DTYPE_ENCODING_H
#define PIO_KERNELS_DTYPE_ENCODING_H

#include <stdint.h>

#include "base/compiler.h"
#include "base/dtype.h"
#include "kernels/dtype/encodings.h"

typedef enum pio_encoding {
    PIO_ENC_F32,
    PIO_ENC_BF16,
    PIO_ENC_S8 = PIO_ENCODING_S8,
    PIO_ENC_F16 = PIO_ENCODING_F16,
    PIO_ENC_COUNT
} pio_encoding;

static inline const char *pio_encoding_name(pio_encoding encoding) {
    static const char *const names[PIO_ENC_COUNT] = {"f32", "bf16", "s8", "f16"};
    return names[encoding];
}

/* Number of 256-column blocks of a row, and where the parts of an S8 row start. */
static inline int32_t pio_s8_blocks(int32_t cols) {
    return PIO_CEIL_DIV(cols, PIO_SCALE_COLUMNS);
}
static inline int64_t pio_s8_scales_at(int32_t cols) {
    return (int64_t)pio_s8_blocks(cols) * PIO_SCALE_COLUMNS;
}
static inline int64_t pio_s8_sums_at(int32_t cols) {
    return pio_s8_scales_at(cols) + 4 * (int64_t)pio_s8_blocks(cols);
}

/* Where an F16 row's scale stands. */
static inline int64_t pio_f16_scale_at(int32_t cols) {
    return 2 * (int64_t)PIO_ROUND_UP(cols, 32);
}

/* Bytes of a row, and from one row to the next. */
static inline int64_t pio_encoding_bytes(pio_encoding encoding, int32_t cols) {
    if (encoding == PIO_ENC_BF16) return 2 * (int64_t)PIO_ROUND_UP(cols, 32);
    if (encoding == PIO_ENC_S8) return pio_s8_sums_at(cols) + 4 * (int64_t)pio_s8_blocks(cols);
    if (encoding == PIO_ENC_F16) return pio_f16_scale_at(cols) + 4;
    return 4 * (int64_t)cols;
}
static inline int64_t pio_encoding_stride(pio_encoding encoding, int32_t cols) {
    return PIO_ROUND_UP(pio_encoding_bytes(encoding, cols), 64);
}

/* Encodes one float32 row, and reads one back, in plain C: the definition that every kernel's encoder must equal bit
 * for bit (S8: the scale is computed as largest * (1.0f / 127), the code as lrintf(value * (1.0f / scale))). */
void pio_encode_row(pio_encoding encoding, const float *x, int32_t cols, void *out);
void pio_decode_row(pio_encoding encoding, const void *row, int32_t cols, float *x);

#endif
