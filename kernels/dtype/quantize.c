/* Rows to canonical form, and the block quantisers in plain C. */
#include "kernels/dtype/quantize.h"

#include <math.h>
#include <stdbool.h>

#include "hal/hal.h"
#include "kernels/dtype/quantize_blocks.h"

#define LANES 8
typedef struct lanes {
    int16_t v[2 * LANES];
} lanes;
typedef struct lanes_f {
    float v[LANES];
} lanes_f;

#define EACH16(name, expression)                                                                                       \
    static inline lanes name(lanes a, lanes b) {                                                                       \
        lanes out;                                                                                                     \
        for (int i = 0; i < 2 * LANES; i++) out.v[i] = (int16_t)(expression);                                          \
        return out;                                                                                                    \
    }
EACH16(l_add16, a.v[i] + b.v[i])
EACH16(l_sub16, a.v[i] - b.v[i])
EACH16(l_min16, a.v[i] < b.v[i] ? a.v[i] : b.v[i])
EACH16(l_max16, a.v[i] > b.v[i] ? a.v[i] : b.v[i])
EACH16(l_mul16, a.v[i] * b.v[i])
EACH16(l_mulhrs16, (a.v[i] * b.v[i] + 0x4000) >> 15)

static inline lanes l_set16(int16_t x) {
    lanes out;
    for (int i = 0; i < 2 * LANES; i++) out.v[i] = x;
    return out;
}
static inline lanes l_load(const void *from) {
    lanes out;
    memcpy(&out, from, sizeof out);
    return out;
}
static inline void l_store(void *to, lanes a) {
    memcpy(to, &a, sizeof a);
}
static inline lanes l_sra16(lanes a, int n) {
    for (int i = 0; i < 2 * LANES; i++) a.v[i] = (int16_t)(a.v[i] >> n);
    return a;
}
static inline lanes l_level(lanes k) {
    lanes out;
    for (int i = 0; i < 2 * LANES; i++) { /* what pio_q4_levels holds */
        int c = k.v[i] < -8 ? -8 : k.v[i] > 7 ? 7 : k.v[i];
        out.v[i] = (int16_t)(c + (c > 5 ? c : 5) + (c < -6 ? c : -6) + 1);
    }
    return out;
}

/* A vector as int32 lanes. */
typedef struct words {
    int32_t v[LANES];
} words;
static inline words l_words(lanes a) {
    words out;
    memcpy(&out, &a, sizeof out);
    return out;
}
static inline lanes l_set32(int32_t x) {
    words out;
    for (int i = 0; i < LANES; i++) out.v[i] = x;
    return l_load(&out);
}
static inline lanes l_add32(lanes a, lanes b) {
    words x = l_words(a), y = l_words(b);
    for (int i = 0; i < LANES; i++) x.v[i] = (int32_t)((uint32_t)x.v[i] + (uint32_t)y.v[i]);
    return l_load(&x);
}
static inline lanes l_madd(lanes a, lanes b) {
    words out;
    for (int i = 0; i < LANES; i++) out.v[i] = a.v[2 * i] * b.v[2 * i] + a.v[2 * i + 1] * b.v[2 * i + 1];
    return l_load(&out);
}
static inline lanes l_less32(lanes a, lanes b, lanes x, lanes y) {
    words wa = l_words(a), wb = l_words(b), wx = l_words(x), wy = l_words(y);
    for (int i = 0; i < LANES; i++) wx.v[i] = wa.v[i] < wb.v[i] ? wx.v[i] : wy.v[i];
    return l_load(&wx);
}
static inline lanes l_pair(lanes a) {
    for (int i = 0; i < LANES; i++) a.v[2 * i + 1] = a.v[2 * i];
    return a;
}

#define EACH_F(name, expression)                                                                                       \
    static inline lanes_f name(lanes_f a, lanes_f b) {                                                                 \
        for (int i = 0; i < LANES; i++) a.v[i] = expression;                                                           \
        return a;                                                                                                      \
    }
EACH_F(l_mul_f, a.v[i] * b.v[i])
EACH_F(l_div_f, a.v[i] / b.v[i])
EACH_F(l_max_f, a.v[i] > b.v[i] ? a.v[i] : b.v[i])
static inline lanes_f l_set_f(float x) {
    lanes_f out;
    for (int i = 0; i < LANES; i++) out.v[i] = x;
    return out;
}
static inline lanes_f l_load_f(const float *from) {
    lanes_f out;
    memcpy(&out, from, sizeof out);
    return out;
}
static inline lanes_f l_to_float(lanes a) {
    words x = l_words(a);
    lanes_f out;
    for (int i = 0; i < LANES; i++) out.v[i] = (float)x.v[i];
    return out;
}
static inline lanes l_round(lanes_f a) {
    words out;
    for (int i = 0; i < LANES; i++) out.v[i] = (int32_t)lrintf(a.v[i]);
    return l_load(&out);
}

#include "kernels/dtype/quantize_blocks_inc.h"

static void widen_f16(const uint16_t *x, int32_t n, float *out) {
    for (int32_t i = 0; i < n; i++) out[i] = pio_f16_to_f32(x[i]);
}

const pio_block_quantizer pio_block_quantizer_base = {largest_of, quantize_q8, quantize_q4, widen_f16, finite_bf16};

/* One row as float32, zeros up to a multiple of 512 columns. */
static void widen(const pio_block_quantizer *q, pio_dtype from, const void *row, int32_t cols, float *out) {
    if (from == PIO_DTYPE_F16) {
        q->widen_f16(row, cols, out);
    } else if (from == PIO_DTYPE_BF16) {
        const uint16_t *x = row;
        for (int32_t i = 0; i < cols; i++) out[i] = pio_bf16_to_f32(x[i]);
    } else {
        memcpy(out, row, sizeof *out * (size_t)cols);
    }
    memset(out + cols, 0, pio_quantize_scratch(cols) - sizeof *out * (size_t)cols);
}

static int32_t first_not_finite(const float *x, int32_t cols) {
    int32_t i = 0;
    while (i < cols && isfinite(x[i])) i++;
    return i;
}

/* Where row `row` of the planes lies. */
typedef struct row_planes {
    uint8_t *codes;
    int8_t *subs;
    uint16_t *scales;
} row_planes;

static row_planes planes_of(const pio_canonical *to, int32_t row) {
    return (row_planes){(uint8_t *)to->codes + pio_canonical_code_bytes(to->dtype, row, to->cols),
                        to->subs ? to->subs + pio_canonical_sub_bytes(to->dtype, row, to->cols) : NULL,
                        to->scales ? to->scales + pio_canonical_scale_bytes(to->dtype, row, to->cols) / 2 : NULL};
}

static void row_to_q8(const pio_block_quantizer *q, const float *x, int32_t cols, row_planes to) {
    int32_t padded = PIO_ROUND_UP(cols, PIO_SUB_COLUMNS);
    for (int32_t b = 0, c = 0; c < cols; b++, c += PIO_SCALE_COLUMNS) {
        int8_t codes[PIO_SCALE_COLUMNS];
        q->q8(x + c, q->largest(x + c, PIO_SCALE_COLUMNS), codes, to.scales + b);
        memcpy(to.codes + c, codes, (size_t)PIO_MIN(PIO_SCALE_COLUMNS, padded - c));
    }
}

static void row_to_q4(const pio_block_quantizer *q, const float *x, int32_t cols, row_planes to) {
    int32_t n_subs = PIO_CEIL_DIV(cols, PIO_SUB_COLUMNS), n_scales = PIO_CEIL_DIV(cols, PIO_SCALE_COLUMNS);
    for (int32_t s = 0, c = 0; c < cols; s += 16, c += 2 * PIO_SCALE_COLUMNS) {
        uint8_t codes[PIO_SCALE_COLUMNS];
        int8_t subs[16];
        uint16_t scales[2];
        float largest[2] = {q->largest(x + c, PIO_SCALE_COLUMNS),
                            q->largest(x + c + PIO_SCALE_COLUMNS, PIO_SCALE_COLUMNS)};
        q->q4(x + c, largest, codes, subs, scales);
        size_t n = (size_t)PIO_MIN(16, n_subs - s);
        memcpy(to.codes + c / 2, codes, n * PIO_SUB_COLUMNS / 2);
        memcpy(to.subs + s, subs, n);
        memcpy(to.scales + s / 8, scales, 2 * (size_t)PIO_MIN(2, n_scales - s / 8));
    }
}

static void row_to(const pio_block_quantizer *q, const float *x, const pio_canonical *to, int32_t row) {
    row_planes planes = planes_of(to, row);
    switch (to->dtype) {
    case PIO_DTYPE_Q8:
        row_to_q8(q, x, to->cols, planes);
        break;
    case PIO_DTYPE_Q4:
        row_to_q4(q, x, to->cols, planes);
        break;
    case PIO_DTYPE_BF16:
        for (int32_t i = 0; i < to->cols; i++) ((uint16_t *)(void *)planes.codes)[i] = pio_f32_to_bf16(x[i]);
        break;
    default:
        memcpy(planes.codes, x, sizeof *x * (size_t)to->cols);
        break;
    }
}

/* What stays bf16 has no need of float32: loading is as fast as this. */
static int64_t copy_rows(const pio_block_quantizer *q, const uint16_t *rows, const pio_canonical *to) {
    for (int32_t row = 0; row < to->rows; row++) {
        const uint16_t *x = rows + (uint64_t)row * (uint64_t)to->cols;
        uint16_t *out = (uint16_t *)to->codes + (uint64_t)row * (uint64_t)to->cols;
        if (out != x) memcpy(out, x, sizeof *out * (size_t)to->cols);
        if (q->finite_bf16(out, to->cols)) continue;
        int32_t i = 0;
        while (isfinite(pio_bf16_to_f32(out[i]))) i++;
        return (int64_t)row * to->cols + i;
    }
    return -1;
}

int64_t pio_quantize(uint32_t cpu_features, pio_dtype from, const void *rows, const pio_canonical *to, void *scratch) {
    const pio_block_quantizer *q = cpu_features & PIO_CPU_AVX512 ? &pio_block_quantizer_avx512
                                   : cpu_features & PIO_CPU_AVX2 ? &pio_block_quantizer_avx2
                                                                 : &pio_block_quantizer_base;
    uint64_t row_bytes = (uint64_t)to->cols * (from == PIO_DTYPE_F32 ? 4 : 2);
    float *x = scratch;
    if (from == PIO_DTYPE_BF16 && to->dtype == PIO_DTYPE_BF16) return copy_rows(q, rows, to);
    for (int32_t row = 0; row < to->rows; row++) {
        widen(q, from, (const uint8_t *)rows + (uint64_t)row * row_bytes, to->cols, x);
        if (!isfinite(q->largest(x, (int32_t)(pio_quantize_scratch(to->cols) / sizeof *x))))
            return (int64_t)row * to->cols + first_not_finite(x, to->cols);
        row_to(q, x, to, row);
    }
    return -1;
}
