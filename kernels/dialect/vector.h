/* Plain C that compilers turn into vector code at any instruction set: the small kernels are written once with these,
 * and a file a set compiles them. Reductions keep LANES partial results, so that their order does not depend on the
 * set: every row of such an op gives the same bits. */
#ifndef PIO_KERNELS_DIALECT_VECTOR_H
#define PIO_KERNELS_DIALECT_VECTOR_H

#include <stdint.h>
#include <string.h>

#include "base/compiler.h"
#include "kernels/dtype/encoding.h"

enum { PIO_LANES = 16 };

static inline float pio_bits_to_float(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline uint32_t pio_float_to_bits(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* Partial results in registers: an array of them would pass through memory in every round. */
typedef float pio_lanes PIO_VECTOR(64);

/* Adds the lanes pairwise. */
static PIO_ALWAYS_INLINE float pio_lanes_sum(const pio_lanes *lanes) {
    float a[8], b[4];
    for (int i = 0; i < 8; i++) a[i] = (*lanes)[i] + (*lanes)[i + 8];
    for (int i = 0; i < 4; i++) b[i] = a[i] + a[i + 4];
    return (b[0] + b[2]) + (b[1] + b[3]);
}

static PIO_ALWAYS_INLINE float pio_sum(const float *x, int32_t n) {
    pio_lanes sums = {0};
    float rest = 0;
    int32_t i = 0;
    for (; i + PIO_LANES <= n; i += PIO_LANES) {
        pio_lanes v;
        memcpy(&v, x + i, sizeof v);
        sums += v;
    }
    for (; i < n; i++) rest += x[i];
    return pio_lanes_sum(&sums) + rest;
}

static PIO_ALWAYS_INLINE float pio_sum_of_squares(const float *x, int32_t n) {
    pio_lanes sums = {0};
    float rest = 0;
    int32_t i = 0;
    for (; i + PIO_LANES <= n; i += PIO_LANES) {
        pio_lanes v;
        memcpy(&v, x + i, sizeof v);
        sums += v * v;
    }
    for (; i < n; i++) rest += x[i] * x[i];
    return pio_lanes_sum(&sums) + rest;
}

/* e^x within 2 units in the last place on [-87.3, 88.7], clamped outside: 2^n times a polynomial of degree 6 on
 * [-ln 2 / 2, ln 2 / 2] (Taylor coefficients; the last term's share is below 2^-26). */
static PIO_ALWAYS_INLINE float pio_exp(float x) {
    x = x > 88.3f ? 88.3f : x;
    x = x < -87.3f ? -87.3f : x;
    const float round = 12582912.0f; /* 1.5 * 2^23: adding it rounds to a whole number */
    float shifted = x * 1.44269504f + round, n = shifted - round;
    float r = (x - n * 0.693359375f) - n * -2.12194440e-4f; /* ln 2 in two parts (Cephes) */
    float p = 1.3888889e-3f;
    p = p * r + 8.3333333e-3f;
    p = p * r + 4.1666667e-2f;
    p = p * r + 1.6666667e-1f;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    return p * pio_bits_to_float((pio_float_to_bits(shifted) << 23) + 0x3f800000u);
}

static PIO_ALWAYS_INLINE float pio_silu(float x) {
    return x / (1.0f + pio_exp(-x));
}

/* ---- encoding rows: the same bits as pio_encode_row ---- */

static PIO_ALWAYS_INLINE void pio_encode_bf16(const float *x, int32_t cols, uint16_t *y) {
    for (int32_t i = 0; i < cols; i++) {
        uint32_t bits = pio_float_to_bits(x[i]);
        uint32_t rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16, nan = bits >> 16 | 0x40u;
        y[i] = (uint16_t)((bits & 0x7fffffffu) > 0x7f800000u ? nan : rounded);
    }
    memset(y + cols, 0, 2 * (size_t)(PIO_ROUND_UP(cols, 32) - cols));
}

/* The largest magnitude: without their sign, floats are in the order of their bits (NaN above all, which it stays). */
static PIO_ALWAYS_INLINE float pio_largest(const float *x, int32_t n) {
    uint32_t largest = 0;
    for (int32_t i = 0; i < n; i++) {
        uint32_t bits = pio_float_to_bits(x[i]) & 0x7fffffffu;
        largest = bits > largest ? bits : largest;
    }
    return pio_bits_to_float(largest);
}

/* One block of at most 256 columns; the sum of whole numbers is exact in any order. */
static PIO_ALWAYS_INLINE void pio_encode_s8_block(const float *x, int32_t n, int8_t *codes, float *scale,
                                                  int32_t *sum) {
    const float round = 12582912.0f;
    *scale = pio_largest(x, n) * (1.0f / 127);
    float inverse = *scale > 0 ? 1.0f / *scale : 0;
    int32_t total = 0;
    for (int32_t i = 0; i < n; i++) {
        float shifted = x[i] * inverse + round;
        int32_t code = (int32_t)pio_float_to_bits(shifted) - 0x4b400000;
        code = code > 127 ? 127 : code;
        code = code < -127 ? -127 : code;
        codes[i] = (int8_t)code;
        total += code;
    }
    *sum = total;
    memset(codes + n, 0, (size_t)(PIO_SCALE_COLUMNS - n));
}

static PIO_ALWAYS_INLINE void pio_encode_s8(const float *x, int32_t cols, int8_t *codes) {
    float *scales = (float *)(codes + pio_s8_scales_at(cols));
    int32_t *sums = (int32_t *)(codes + pio_s8_sums_at(cols));
    for (int32_t b = 0, c = 0; c < cols; b++, c += PIO_SCALE_COLUMNS)
        pio_encode_s8_block(x + c, PIO_MIN(PIO_SCALE_COLUMNS, cols - c), codes + c, scales + b, sums + b);
}

static PIO_ALWAYS_INLINE void pio_encode(pio_encoding encoding, const float *x, int32_t cols, void *y) {
    if (encoding == PIO_ENC_S8)
        pio_encode_s8(x, cols, y);
    else if (encoding == PIO_ENC_BF16)
        pio_encode_bf16(x, cols, y);
    else
        memcpy(y, x, sizeof *x * (size_t)cols);
}

#endif
