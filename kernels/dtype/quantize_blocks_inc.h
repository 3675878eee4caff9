/* The block quantisers, written once over lanes of 32 bits: a lane is a group of 32 columns, seen as one int32, one
 * float or two int16. A file that includes this defines before
 *
 *   LANES                          8 or 16: one or two blocks
 *   lanes, lanes_f                 the integer and the float vector
 *   l_load, l_store, l_set16(x), l_set32(x)
 *   l_add16, l_sub16, l_min16, l_max16, l_mul16 (low half), l_mulhrs16 ((a * b + 2^14) >> 15), l_sra16(a, n)
 *   l_madd(a, b)                   per lane a.low * b.low + a.high * b.high
 *   l_add32, l_level(k)            the level clamp(k, -8, 7) places above 0, per int16 k in -16..15
 *   l_less32(a, b, x, y)           per lane a < b ? x : y, signed
 *   l_pair(a)                      a lane's low int16 in both halves; l_to_float, l_round (to nearest even int32)
 *   l_mul_f, l_div_f, l_load_f, l_set_f, l_max_f
 *
 * and gets quantize_q4, finite_bf16 and the rest. All operations are exact or rounded as IEEE 754 says, so every set of
 * lanes gives the same bits. */
#include "base/compiler.h"
#include "base/dtype.h"

enum { BLOCKS = LANES / 8, PAIRS = PIO_SUB_COLUMNS / 2, FULL = 16384 /* what a block's largest value becomes */ };

/* Scales tried, as factors of largest / 120, and lastly the least-squares one. */
static const float factors[] = {0.75f, 0.8f, 0.85f, 0.9f, 0.95f, 1.0f, 1.05f, 1.1f, 1.15f};

/* Groups being quantised: columns 2i and 2i + 1 of each group in pairs[i]. */
typedef struct groups {
    lanes pairs[PAIRS];
    float full_scale[BLOCKS]; /* a block's value of one unit: largest / FULL; 0: the block is zero */
    lanes_f reach[2]; /* the step that just reaches a group's extremes with a positive and a negative sub-scale */
} groups;

/* What a search found: a scale (bf16) a block, a sub-scale a group, the error of the block. */
typedef struct found {
    float scale[BLOCKS];
    int32_t sub[LANES] PIO_ALIGNED(64); /* loaded whole */
    uint32_t error[BLOCKS];
} found;

/* x, |x| < 2^22, to the nearest integer, ties to even. */
static inline int32_t nearest(float x) {
    float shifted = x + 12582912.0f; /* 1.5 * 2^23: one unit in its last place is 1 */
    int32_t bits;
    memcpy(&bits, &shifted, 4);
    return bits - 0x4b400000;
}

static void load_groups(const float *x, const float *largest, groups *g) {
    uint32_t pairs[PAIRS][LANES] PIO_ALIGNED(64);
    for (int b = 0; b < BLOCKS; b++) {
        bool zero = !(largest[b] >= 0x1p-100f);
        float to_units = zero ? 0 : (float)FULL / largest[b];
        g->full_scale[b] = zero ? 0 : largest[b] * (1.0f / FULL);
        for (int lane = 8 * b; lane < 8 * b + 8; lane++) {
            int32_t units[PIO_SUB_COLUMNS];
            for (int i = 0; i < PIO_SUB_COLUMNS; i++) units[i] = nearest(x[PIO_SUB_COLUMNS * lane + i] * to_units);
            for (int i = 0; i < PAIRS; i++)
                pairs[i][lane] = ((uint32_t)units[2 * i] & 0xffffu) | (uint32_t)units[2 * i + 1] << 16;
        }
    }
    lanes low = l_set16(0), high = l_set16(0);
    for (int i = 0; i < PAIRS; i++) {
        g->pairs[i] = l_load(pairs[i]);
        low = l_min16(low, g->pairs[i]);
        high = l_max16(high, g->pairs[i]);
    }
    lanes one_low = l_set32(1), one_high = l_set32(65536); /* madd with these takes one half of a lane */
    lanes low_a = l_madd(low, one_low), low_b = l_madd(low, one_high);
    lanes high_a = l_madd(high, one_low), high_b = l_madd(high, one_high);
    lanes_f negative = l_mul_f(l_to_float(l_less32(low_a, low_b, low_a, low_b)), l_set_f(-1));
    lanes_f positive = l_to_float(l_less32(high_a, high_b, high_b, high_a));
    g->reach[0] = l_max_f(l_mul_f(positive, l_set_f(1.0f / 9)), l_mul_f(negative, l_set_f(1.0f / 10)));
    g->reach[1] = l_max_f(l_mul_f(positive, l_set_f(1.0f / 10)), l_mul_f(negative, l_set_f(1.0f / 9)));
}

/* value / step, in 64ths, to the index k of the nearest level, in -16..15: levels lie 2 apart above 5 and below -6, so
 * halving what is beyond makes them even. */
static PIO_ALWAYS_INLINE lanes nearest_level(lanes pair, lanes inverse) {
    lanes v = l_mulhrs16(pair, inverse);
    lanes beyond = l_add16(l_max16(v, l_set16(5 * 64)), l_min16(v, l_set16(-6 * 64))); /* - 64, its half rounds below */
    return l_sra16(l_sub16(v, l_sra16(beyond, 1)), 6);
}

/* The step sub * scale of each group, in units, and 2^21 / step, both as int16 twice a lane. */
static PIO_ALWAYS_INLINE void step_of(lanes sub, lanes_f scale, lanes *step, lanes *inverse) {
    lanes whole = l_round(l_mul_f(l_to_float(sub), scale));
    *step = l_pair(whole);
    *inverse = l_pair(l_round(l_div_f(l_set_f(2097152.0f), l_to_float(whole))));
}

/* The squared error of each group. */
static PIO_ALWAYS_INLINE lanes error_of(const groups *g, lanes step, lanes inverse) {
    lanes sum = l_set32(0);
    for (int i = 0; i < PAIRS; i++) {
        lanes level = l_level(nearest_level(g->pairs[i], inverse));
        lanes rest = l_sub16(g->pairs[i], l_mul16(level, step));
        sum = l_add32(sum, l_madd(rest, rest));
    }
    return sum;
}

/* Tries the sub-scales of one sign: the one that reaches the extremes, and the next smaller ones down to 0.7 of it. */
static PIO_ALWAYS_INLINE void try_sign(const groups *g, lanes_f scale, int sign, lanes *best, lanes *least) {
    int32_t reach[LANES] PIO_ALIGNED(64), subs[LANES] PIO_ALIGNED(64);
    lanes_f wanted = l_div_f(g->reach[sign < 0], scale);
    l_store(reach, l_round(l_mul_f(wanted, l_set_f(64))));
    for (int below = 0; below < 4; below++) {
        for (int i = 0; i < LANES; i++) {
            int32_t top = PIO_MAX(1, PIO_MIN(PIO_SUB_MAX, (reach[i] + 63) >> 6)), sub = top - below;
            int32_t least_sub = PIO_MIN(top, (reach[i] * 7 / 10 + 63) >> 6);
            subs[i] = sign * (sub < 1 || sub < least_sub ? top : sub);
        }
        lanes sub = l_load(subs), step, inverse;
        step_of(sub, scale, &step, &inverse);
        lanes error = error_of(g, step, inverse);
        *best = l_less32(error, *least, sub, *best);
        *least = l_less32(error, *least, error, *least);
    }
}

/* The scale in units of every lane. */
static lanes_f spread(const groups *g, const float *scale) {
    float values[LANES] PIO_ALIGNED(64);
    for (int i = 0; i < LANES; i++) values[i] = g->full_scale[i / 8] > 0 ? scale[i / 8] / g->full_scale[i / 8] : 1;
    return l_load_f(values);
}

/* Keeps, block by block, this scale and its best sub-scales where they are better. */
static void try_scale(const groups *g, const float *scale, found *f) {
    int32_t subs[LANES] PIO_ALIGNED(64), errors[LANES] PIO_ALIGNED(64);
    lanes best = l_set32(1), least = l_set32(INT32_MAX);
    lanes_f units = spread(g, scale);
    try_sign(g, units, 1, &best, &least);
    try_sign(g, units, -1, &best, &least);
    l_store(subs, best);
    l_store(errors, least);
    for (int b = 0; b < BLOCKS; b++) {
        uint32_t error = 0;
        for (int i = 8 * b; i < 8 * b + 8; i++) error += (uint32_t)errors[i] >> 3;
        if (error >= f->error[b]) continue;
        f->error[b] = error;
        f->scale[b] = scale[b];
        memcpy(f->sub + 8 * b, subs + 8 * b, 8 * sizeof *subs);
    }
}

static float bf16_near(float x) {
    return pio_bf16_to_f32(pio_f32_to_bf16(x));
}

/* The scale that makes the codes found fit best: sum of value * q / sum of q^2, q = sub * level. */
static void least_squares(const groups *g, const found *f, float *scale) {
    int32_t products[LANES] PIO_ALIGNED(64), squares[LANES] PIO_ALIGNED(64);
    lanes sub = l_load(f->sub), step, inverse, product = l_set32(0), square = l_set32(0);
    step_of(sub, spread(g, f->scale), &step, &inverse);
    for (int i = 0; i < PAIRS; i++) {
        lanes q = l_mul16(l_level(nearest_level(g->pairs[i], inverse)), l_pair(sub));
        product = l_add32(product, l_madd(g->pairs[i], q));
        square = l_add32(square, l_madd(q, q));
    }
    l_store(products, product);
    l_store(squares, square);
    for (int b = 0; b < BLOCKS; b++) {
        int32_t above = 0, below = 0;
        for (int i = 8 * b; i < 8 * b + 8; i++) above += products[i], below += squares[i];
        scale[b] = below > 0 && above > 0 ? bf16_near((float)above / (float)below * g->full_scale[b]) : f->scale[b];
    }
}

/* The code of a level: what is odd has the bit that weighs 5, which is the lowest; the others weigh what they say. */
static PIO_ALWAYS_INLINE lanes code_of(lanes level) {
    lanes sum = l_add16(level, l_set16(10));
    return l_sub16(l_mul16(l_sra16(sum, 1), l_set16(8)), l_mul16(sum, l_set16(3))); /* sum - 4 (sum & 1) */
}

/* Codes [LANES][16 bytes]; a group of zeros has sub-scale 0. */
static void write_codes(const groups *g, const found *f, uint8_t *codes, int8_t *subs, uint16_t *scales) {
    uint16_t k[PAIRS][2 * LANES] PIO_ALIGNED(64);
    lanes step, inverse, any = l_set32(0);
    int32_t nonzero[LANES] PIO_ALIGNED(64);
    step_of(l_load(f->sub), spread(g, f->scale), &step, &inverse);
    for (int i = 0; i < PAIRS; i++) {
        l_store(k[i], code_of(l_level(nearest_level(g->pairs[i], inverse))));
        any = l_max16(any, l_max16(g->pairs[i], l_sub16(l_set16(0), g->pairs[i])));
    }
    l_store(nonzero, any);
    for (int lane = 0; lane < LANES; lane++) {
        bool zero = !nonzero[lane];
        subs[lane] = (int8_t)(zero ? 0 : f->sub[lane]);
        for (int i = 0; i < PAIRS; i++)
            codes[PAIRS * lane + i] = zero ? PIO_Q4_ZEROS : (uint8_t)(k[i][2 * lane] | k[i][2 * lane + 1] << 4);
    }
    for (int b = 0; b < BLOCKS; b++) scales[b] = g->full_scale[b] > 0 ? pio_f32_to_bf16(f->scale[b]) : 0;
}

static void quantize_some(const float *x, const float *largest, uint8_t *codes, int8_t *subs, uint16_t *scales) {
    groups g;
    found f;
    float scale[BLOCKS];
    load_groups(x, largest, &g);
    for (int b = 0; b < BLOCKS; b++) f.error[b] = UINT32_MAX;
    for (size_t i = 0; i < PIO_COUNT(factors); i++) {
        for (int b = 0; b < BLOCKS; b++) scale[b] = bf16_near(largest[b] * (factors[i] * (1.0f / 120)));
        try_scale(&g, scale, &f);
    }
    least_squares(&g, &f, scale);
    try_scale(&g, scale, &f);
    write_codes(&g, &f, codes, subs, scales);
}

static void quantize_q4(const float x[512], const float largest[2], uint8_t codes[256], int8_t subs[16],
                        uint16_t scales[2]) {
    for (int b = 0; b < 2; b += BLOCKS)
        quantize_some(x + 256 * b, largest + b, codes + 128 * b, subs + 8 * b, scales + b);
}

static void quantize_q8(const float *x, float largest, int8_t codes[256], uint16_t *scale) {
    bool zero = !(largest >= 0x1p-100f);
    *scale = zero ? 0 : pio_f32_to_bf16(largest * (1.0f / 127));
    float inverse = zero ? 0 : 1 / pio_bf16_to_f32(*scale);
    for (int i = 0; i < PIO_SCALE_COLUMNS; i++) {
        int32_t code = nearest(x[i] * inverse);
        codes[i] = (int8_t)(code > 127 ? 127 : code < -127 ? -127 : code);
    }
}

static float largest_of(const float *x, int32_t n) {
    uint32_t largest[16] = {0}; /* of the bits without the sign: an order that puts infinities and NaN last */
    for (int32_t i = 0; i < n; i += 16)
        for (int j = 0; j < 16; j++) {
            uint32_t bits;
            memcpy(&bits, x + i + j, 4);
            bits &= 0x7fffffffu;
            largest[j] = largest[j] > bits ? largest[j] : bits;
        }
    for (int j = 1; j < 16; j++) largest[0] = PIO_MAX(largest[0], largest[j]);
    float out;
    memcpy(&out, largest, 4);
    return out;
}

static bool finite_bf16(const uint16_t *x, int32_t n) {
    uint16_t most = 0;
    for (int32_t i = 0; i < n; i++) {
        const uint16_t magnitude = x[i] & 0x7fff;
        most = most > magnitude ? most : magnitude;
    }
    return most < 0x7f80;
}
