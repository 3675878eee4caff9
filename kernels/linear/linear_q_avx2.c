/* Linear layers on q8_x16 and q4_x16 with AVX2, x in S8, for any number of tokens.
 *
 * A unit of work is a pair of panels: 32 rows of w, for SwiGLU 16 gate rows and their 16 up rows. Block by block of 256
 * columns, a panel is unpacked in the worker's scratch, where it stays in the first-level cache while all tokens pass,
 * up to four at once.
 *
 *   q8  Codes and activations are widened to 16 bits, and pairs of products are summed in 32 bits. (Bytes without sign
 *       times bytes with it, vpmaddubsw, would need the codes' signs moved to the activations first: vpsignb waits for
 *       the units that multiply.)
 *   q4  vpmaddubsw multiplies level + 10 with x and sums in 16 bits over 32 columns. The sums start from -10 times x's
 *       and may wrap around in between: what comes out is at most 16 * 10 * 127. Multiplying by the sub-scale widens
 *       it. */
#include <immintrin.h>

#include "hal/worker.h"
#include "kernels/dialect/cases.h"
#include "kernels/dtype/layouts.h"
#include "kernels/families.h"
#include "kernels/linear/linear_store.h"

enum {
    TILE_TOKENS = 4,
    GROUP_TOKENS = 4096, /* whose sums take half of the worker's scratch */
    UNIT_ROWS = 2 * PIO_X16_ROWS,
    AHEAD_BYTES = 4096,
    GROUPS = 8,                    /* of 4 columns, in 32 */
    SUBS = PIO_SCALE_COLUMNS / 32, /* groups of 32 columns, in a block */
    BLOCK_BYTES = PIO_SCALE_COLUMNS * PIO_X16_ROWS,
};

/* An unpacked block of a panel. */
typedef struct panel_block {
    /* q8: int16 [columns / 2][16][2]; q4: u8 [columns / 4][16][4], level + 10 */
    PIO_ALIGNED(32) uint8_t factors[2 * BLOCK_BYTES];
    int16_t subs[SUBS][32]; /* q4: [16][2], every sub-scale twice */
    __m256 scales[2];
    int32_t n_subs;
} panel_block;

/* The worker's scratch. */
typedef struct work {
    float sums[GROUP_TOKENS * UNIT_ROWS];
    panel_block panels[2];
} work;

_Static_assert(sizeof(work) <= PIO_WORKER_SCRATCH_BYTES, "the scratch holds a worker's sums");

/* Up to 4 tokens' activations of a block. */
typedef struct tile {
    PIO_ALIGNED(32) int16_t words[TILE_TOKENS][PIO_SCALE_COLUMNS]; /* q8 */
    const int8_t *codes;                                           /* q4: of the first token */
    int64_t stride;
    float scales[TILE_TOKENS];
    int32_t starts[TILE_TOKENS][SUBS]; /* q4: int16 [2]: -10 times the sums of x's even and of its odd pairs */
} tile;

static PIO_ALWAYS_INLINE __m256i load(const void *at) {
    return _mm256_load_si256(at);
}

/* ---- unpacking ---- */

static PIO_ALWAYS_INLINE void unpack_q8(const uint8_t *codes, panel_block *w) {
    const __m256i excess = _mm256_set1_epi8(-128); /* bytes 0 and 1, 2 and 3 of four: to the high halves of words */
    const __m256i even =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(-1, 0, -1, 1, -1, 4, -1, 5, -1, 8, -1, 9, -1, 12, -1, 13));
    const __m256i odd =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(-1, 2, -1, 3, -1, 6, -1, 7, -1, 10, -1, 11, -1, 14, -1, 15));
    uint8_t *out = w->factors;
    for (int32_t i = 0; i < w->n_subs * GROUPS; i++, codes += 64, out += 128) {
        _mm_prefetch((const char *)codes + AHEAD_BYTES, _MM_HINT_T0);
        for (int j = 0; j < 64; j += 32) {
            __m256i four = _mm256_xor_si256(load(codes + j), excess);
            __m256i first = _mm256_srai_epi16(_mm256_shuffle_epi8(four, even), 8);
            __m256i second = _mm256_srai_epi16(_mm256_shuffle_epi8(four, odd), 8);
            _mm256_store_si256((void *)(out + j), first);
            _mm256_store_si256((void *)(out + 64 + j), second);
        }
    }
}

static PIO_ALWAYS_INLINE void unpack_q4(const uint8_t *codes, const int8_t *subs, panel_block *w) {
    const __m256i low = _mm256_set1_epi8(15);
    const __m256i twice =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 0, 1, 4, 5, 4, 5, 8, 9, 8, 9, 12, 13, 12, 13));
    const __m256i levels =
        _mm256_broadcastsi128_si256(_mm_add_epi8(_mm_loadu_si128((const void *)pio_q4_levels), _mm_set1_epi8(10)));
    for (int32_t s = 0; s < w->n_subs; s++, subs += PIO_X16_ROWS) {
        for (int i = 0; i < 2; i++) {
            __m256i sub = _mm256_cvtepi8_epi32(_mm_loadl_epi64((const void *)(subs + 8 * i)));
            _mm256_store_si256((void *)(w->subs[s] + 16 * i), _mm256_shuffle_epi8(sub, twice));
        }
        _mm_prefetch((const char *)subs + AHEAD_BYTES, _MM_HINT_T0);
        for (int v = 0; v < 4; v++, codes += 64) {
            uint8_t *out = w->factors + 512 * s + 128 * v;
            _mm_prefetch((const char *)codes + AHEAD_BYTES, _MM_HINT_T0);
            for (int i = 0; i < 64; i += 32) {
                __m256i pair = load(codes + i), high = _mm256_srli_epi16(pair, 4);
                _mm256_store_si256((void *)(out + i), _mm256_shuffle_epi8(levels, _mm256_and_si256(pair, low)));
                _mm256_store_si256((void *)(out + 64 + i), _mm256_shuffle_epi8(levels, _mm256_and_si256(high, low)));
            }
        }
    }
}

static PIO_ALWAYS_INLINE void unpack(pio_dtype dtype, const uint8_t *panel, const pio_x16_panel *p, int32_t block,
                                     panel_block *w) {
    const uint8_t *codes = panel + p->codes_at;
    const uint8_t *scales = panel + (size_t)block * 2 * PIO_X16_ROWS;
    w->n_subs = PIO_MIN(SUBS, p->n_subs - SUBS * block);
    for (int i = 0; i < 2; i++) {
        __m256i bf16 = _mm256_cvtepu16_epi32(_mm_load_si128((const void *)(scales + 16 * i)));
        w->scales[i] = _mm256_castsi256_ps(_mm256_slli_epi32(bf16, 16));
    }
    if (dtype == PIO_DTYPE_Q8)
        unpack_q8(codes + (size_t)block * BLOCK_BYTES, w);
    else
        unpack_q4(codes + (size_t)block * (BLOCK_BYTES / 2),
                  (const int8_t *)panel + p->subs_at + (size_t)block * SUBS * PIO_X16_ROWS, w);
}

/* ---- activations ---- */

/* -10 times the sums of 32 codes' even pairs and of their odd pairs, in two 16-bit halves. */
static PIO_ALWAYS_INLINE int32_t q4_start(const int8_t *codes) {
    __m256i tens = _mm256_maddubs_epi16(_mm256_set1_epi8(10), _mm256_loadu_si256((const void *)codes));
    __m128i sum = _mm_add_epi16(_mm256_castsi256_si128(tens), _mm256_extracti128_si256(tens, 1));
    sum = _mm_add_epi16(sum, _mm_unpackhi_epi64(sum, sum));
    sum = _mm_add_epi16(sum, _mm_srli_epi64(sum, 32));
    return _mm_cvtsi128_si32(_mm_sub_epi16(_mm_setzero_si128(), sum));
}

/* Tokens t .. t + n - 1; the lines of the tokens after them are fetched. */
static PIO_ALWAYS_INLINE void tile_begin(pio_dtype dtype, const pio_linear_args *a, int32_t block, int32_t t, int32_t n,
                                         int32_t live, tile *x) {
    const int64_t stride = a->x_stride, scales_at = pio_s8_scales_at(a->cols);
    const int8_t *token = PIO_AT(const int8_t, a->x) + t * stride;
    x->codes = token + (int64_t)block * PIO_SCALE_COLUMNS;
    x->stride = stride;
    for (int32_t i = 0; i < n; i++, token += stride) {
        const int8_t *codes = x->codes + i * stride;
        x->scales[i] = ((const float *)(const void *)(token + scales_at))[block];
        for (int line = 0; t + i + TILE_TOKENS < live && line < 4; line++)
            _mm_prefetch((const char *)codes + TILE_TOKENS * stride + 64 * line, _MM_HINT_T0);
        for (int k = 0; dtype == PIO_DTYPE_Q8 && k < PIO_SCALE_COLUMNS; k += 16) {
            __m256i words = _mm256_cvtepi8_epi16(_mm_loadu_si128((const void *)(codes + k)));
            _mm256_store_si256((void *)(x->words[i] + k), words);
        }
        for (int s = 0; dtype == PIO_DTYPE_Q4 && s < SUBS; s++) x->starts[i][s] = q4_start(codes + PIO_SUB_COLUMNS * s);
    }
}

static PIO_ALWAYS_INLINE __m256i broadcast4(const void *codes) {
    int32_t word;
    memcpy(&word, codes, 4);
    return _mm256_set1_epi32(word);
}

/* ---- products ---- */

/* The accumulators are variables, written out by these macros: GCC keeps an array of that size in memory. */
#define FOR_TOKENS(DO) DO(0) DO(1) DO(2) DO(3)
#define ZERO(t)        __m256i c##t = _mm256_setzero_si256(), d##t = c##t;
#define Q8_MULTIPLY(t)                                                                                                 \
    if (t < n) {                                                                                                       \
        __m256i v = broadcast4(x->words[t] + 2 * i);                                                                   \
        add32(&c##t, _mm256_madd_epi16(w0, v));                                                                        \
        add32(&d##t, _mm256_madd_epi16(w1, v));                                                                        \
    }
#define Q4_START(t) __m256i e##t = _mm256_set1_epi32(t < n ? x->starts[t][s] : 0), f##t = e##t;
#define Q4_MULTIPLY(t)                                                                                                 \
    if (t < n) {                                                                                                       \
        __m256i v = broadcast4(codes + t * stride);                                                                    \
        add16(&e##t, _mm256_maddubs_epi16(w0, v));                                                                     \
        add16(&f##t, _mm256_maddubs_epi16(w1, v));                                                                     \
    }
#define Q4_ADD_SUB(t)                                                                                                  \
    if (t < n) {                                                                                                       \
        add32(&c##t, _mm256_madd_epi16(e##t, sub0));                                                                   \
        add32(&d##t, _mm256_madd_epi16(f##t, sub1));                                                                   \
    }
#define ADD_BLOCK(t)                                                                                                   \
    if (t < n) {                                                                                                       \
        add_block(sums + t * UNIT_ROWS, c##t, w->scales[0], x->scales[t]);                                             \
        add_block(sums + t * UNIT_ROWS + 8, d##t, w->scales[1], x->scales[t]);                                         \
    }

/* The instructions themselves: around the intrinsics, GCC 12 copies sums and keeps some in memory. */
static PIO_ALWAYS_INLINE void add32(__m256i *sum, __m256i x) {
    __asm__("vpaddd %1, %0, %0" : "+x"(*sum) : "x"(x));
}

static PIO_ALWAYS_INLINE void add16(__m256i *sum, __m256i x) {
    __asm__("vpaddw %1, %0, %0" : "+x"(*sum) : "x"(x));
}

/* In the order of the AVX-512 kernels: the results have the same bits. */
static PIO_ALWAYS_INLINE void add_block(float *sums, __m256i block, __m256 w_scales, float x_scale) {
    __m256 products = _mm256_mul_ps(_mm256_cvtepi32_ps(block), w_scales);
    _mm256_store_ps(sums, _mm256_fmadd_ps(products, _mm256_set1_ps(x_scale), _mm256_load_ps(sums)));
}

/* sums [n][UNIT_ROWS] += the products of a block. */
static PIO_ALWAYS_INLINE void multiply_q8(const panel_block *w, const tile *x, const int n, float *sums) {
    FOR_TOKENS(ZERO)
    for (int32_t i = 0; i < w->n_subs * (PIO_SUB_COLUMNS / 2); i++) {
        __m256i w0 = load(w->factors + 64 * i), w1 = load(w->factors + 64 * i + 32);
        FOR_TOKENS(Q8_MULTIPLY)
    }
    FOR_TOKENS(ADD_BLOCK)
}

static PIO_ALWAYS_INLINE void multiply_q4(const panel_block *w, const tile *x, const int n, float *sums) {
    const int8_t *codes = x->codes;
    const int64_t stride = x->stride;
    FOR_TOKENS(ZERO)
    for (int32_t s = 0; s < w->n_subs; s++) {
        FOR_TOKENS(Q4_START)
        PIO_UNROLL(1) /* unrolled, GCC 12 spills sums between the rounds */
        for (int g = 0; g < GROUPS; g++, codes += 4) {
            __m256i w0 = load(w->factors + 512 * s + 64 * g), w1 = load(w->factors + 512 * s + 64 * g + 32);
            FOR_TOKENS(Q4_MULTIPLY)
        }
        __m256i sub0 = load(w->subs[s]), sub1 = load(w->subs[s] + 16);
        FOR_TOKENS(Q4_ADD_SUB)
    }
    FOR_TOKENS(ADD_BLOCK)
}

#define DO(n)                                                                                                          \
    if (dtype == PIO_DTYPE_Q8)                                                                                         \
        multiply_q8(w, x, n, sums);                                                                                    \
    else                                                                                                               \
        multiply_q4(w, x, n, sums)

static PIO_ALWAYS_INLINE void multiply(pio_dtype dtype, const panel_block *w, const tile *x, int32_t n, float *sums) {
    PIO_CASES_4(n, DO)
}

/* ---- units ---- */

/* Panels [first, end) of the unit that begins at `row`, for tokens [t_first, t_end). */
static PIO_ALWAYS_INLINE void panels_run(pio_dtype dtype, const pio_linear_args *a, int32_t row, int32_t first,
                                         int32_t end, int32_t t_first, int32_t t_end, work *own) {
    const pio_x16_panel p = pio_x16_panel_of(dtype, a->cols);
    const uint8_t *panels = PIO_AT(const uint8_t, a->w) + (uint64_t)(row / PIO_X16_ROWS) * p.bytes;
    for (int32_t b = 0; b < p.n_blocks; b++) {
        for (int32_t i = first; i < end; i++) unpack(dtype, panels + (uint64_t)i * p.bytes, &p, b, &own->panels[i]);
        for (int32_t t = t_first; t < t_end; t += TILE_TOKENS) {
            const int32_t n = PIO_MIN(TILE_TOKENS, t_end - t);
            float *sums = own->sums + (t - t_first) * UNIT_ROWS;
            tile x;
            tile_begin(dtype, a, b, t, n, t_end, &x);
            for (int32_t i = first; i < end; i++) multiply(dtype, &own->panels[i], &x, n, sums + i * PIO_X16_ROWS);
        }
    }
}

/* A single tile takes panel after panel, as they lie in memory; several tiles share the activations between both. */
static PIO_ALWAYS_INLINE void unit_run(pio_dtype dtype, const pio_linear_args *a, int32_t row, int32_t t_first,
                                       int32_t t_end, bool swiglu, work *own) {
    const int32_t n_panels = PIO_MIN(2, PIO_CEIL_DIV(a->n_out - row, PIO_X16_ROWS));
    const int32_t step = t_end - t_first > TILE_TOKENS ? 2 : 1;
    memset(own->sums, 0, sizeof(float) * UNIT_ROWS * (size_t)(t_end - t_first));
    for (int32_t i = 0; i < n_panels; i += step)
        panels_run(dtype, a, row, i, PIO_MIN(n_panels, i + step), t_first, t_end, own);
    const float *sums = own->sums;
    for (int32_t t = t_first; t < t_end; t++, sums += UNIT_ROWS)
        pio_twin_store(a, t, row, swiglu, sums, sums + PIO_X16_ROWS);
}

static PIO_ALWAYS_INLINE void run(pio_dtype dtype, const pio_linear_args *a, pio_worker *worker, bool swiglu) {
    const int32_t live = pio_linear_live(a);
    int32_t first, end;
    while (live > 0 && pio_linear_take_run(worker, PIO_CEIL_DIV(a->n_out, UNIT_ROWS), 1, &first, &end)) {
        for (int32_t i = first; i < end; i++)
            for (int32_t t = 0; t < live; t += GROUP_TOKENS)
                unit_run(dtype, a, i * UNIT_ROWS, t, PIO_MIN(live, t + GROUP_TOKENS), swiglu, worker->scratch);
    }
}

void pio_linear_q8_avx2(const void *args, pio_worker *worker) {
    run(PIO_DTYPE_Q8, args, worker, false);
}

void pio_linear_q4_avx2(const void *args, pio_worker *worker) {
    run(PIO_DTYPE_Q4, args, worker, false);
}

void pio_linear_swiglu_q8_avx2(const void *args, pio_worker *worker) {
    run(PIO_DTYPE_Q8, args, worker, true);
}

void pio_linear_swiglu_q4_avx2(const void *args, pio_worker *worker) {
    run(PIO_DTYPE_Q4, args, worker, true);
}
