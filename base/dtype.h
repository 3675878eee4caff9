/* Data types and the conversions between the 16-bit floats and float32. */
#ifndef PIO_BASE_DTYPE_H
#define PIO_BASE_DTYPE_H

#include <stdint.h>
#include <string.h>

typedef enum pio_dtype {
#define PIO_DTYPE(name, text, bits, scale_columns) PIO_DTYPE_##name,
#include "base/dtype.def"
#undef PIO_DTYPE
    PIO_DTYPE_COUNT
} pio_dtype;

enum {
    PIO_SCALE_COLUMNS = 256, /* columns that share a scale, in quantised weights and in int8 activations alike */
    PIO_SUB_COLUMNS = 32,    /* columns that share a sub-scale in q4 */
    PIO_SUB_MAX = 12,        /* largest |sub-scale| of q4 */
};

/* The levels that q4's codes 0..15 stand for: -10 -8 -6 -5 -4 -3 -2 -1 0 1 2 3 4 5 7 9, denser in the middle. With
 * sub-scales of -12..12 a product stays within int8. Chosen by coordinate descent on Gaussian weights: normalised mean
 * squared error 5.9e-3. As it happens they are the sums of 8, 4, 2 and 5, less 10: those are the weights of a code's
 * bits, from the highest, so that a device without a byte shuffle makes a level by (code & 14) + 5 (code & 1) - 10. */
extern const int8_t pio_q4_levels[16];

enum { PIO_Q4_ZEROS = 0xaa }; /* two codes of level 0 */

const char *pio_dtype_name(pio_dtype dtype);

/* The type named `name`, or PIO_DTYPE_COUNT. */
pio_dtype pio_dtype_find(const char *name);

static inline float pio_bf16_to_f32(uint16_t x) {
    uint32_t bits = (uint32_t)x << 16;
    float y;
    memcpy(&y, &bits, sizeof y);
    return y;
}

/* Rounds to nearest, ties to even; NaN stays NaN. */
static inline uint16_t pio_f32_to_bf16(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return (uint16_t)(bits >> 16 | 0x40u);
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

/* The power of two by which float16 codes of a row are multiplied, for the row's largest magnitude: it puts that into
 * [2^14, 2^15) (magnitudes below 2^-112 stay lower). */
static inline float pio_f16_row_scale(float largest) {
    uint32_t bits;
    memcpy(&bits, &largest, sizeof bits);
    const uint32_t exponent = bits >> 23 & 255;
    bits = (exponent > 15 ? exponent - 14 : 1) << 23;
    memcpy(&largest, &bits, sizeof largest);
    return largest;
}

float pio_f16_to_f32(uint16_t x);
uint16_t pio_f32_to_f16(float x);

#endif
