/* Linear layers on q8_x16 and q4_x16 for 1 to 8 tokens: the weights are streamed once from memory, panel by panel, and
 * every token's products are taken while they pass. x is S8. A file a kind of processor sets PIO_Q_GEMV_AHEAD_BYTES,
 * includes this, and has its rows' functions by PIO_Q_GEMV_ROWS.
 *
 * q8: vpdpbusd takes codes + 128 as they lie in memory; the excess, 128 times the sum of the block's activations, is
 * taken off where the accumulators start.
 * q4: levels + 10 (0..19) are looked up and multiplied with the activations; the sum over 32 columns, from which
 * 10 times the sum of their activations is taken off, is multiplied by the sub-scale. */
#ifndef PIO_KERNELS_LINEAR_LINEAR_Q_GEMV_AVX512_H
#define PIO_KERNELS_LINEAR_LINEAR_Q_GEMV_AVX512_H

#include "kernels/dialect/cases.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/families.h"
#include "kernels/linear/linear_finish_avx512.h"
#include "kernels/linear/linear_q_avx512.h"

/* Where lines are asked for from far ahead, a run of panels begins well only if the end of the one before it asks for
 * its first lines; then runs may be short too, and many workers finish together. Else runs are kept long. */
enum {
    PIO_Q_GEMV_TOKENS = 8,
    PIO_Q_GEMV_FAR = PIO_Q_GEMV_AHEAD_BYTES >= 512,
    PIO_Q_GEMV_LEAST_RUN = PIO_Q_GEMV_FAR ? 1 : 4,
};

/* The activations of the call, as every panel reads them. */
typedef struct pio_q_gemv_acts {
    const int8_t *codes; /* of token 0 */
    int64_t stride;
    int64_t scales_at;
    const int32_t *starts; /* [tokens][n_starts]: what the accumulators of a block (q8) or 32 columns (q4) start from */
    int32_t n_starts;
} pio_q_gemv_acts;

static PIO_ALWAYS_INLINE const int8_t *pio_q_gemv_token(const pio_q_gemv_acts *x, int t) {
    return x->codes + t * x->stride;
}

static PIO_ALWAYS_INLINE float pio_q_gemv_x_scale(const pio_q_gemv_acts *x, int t, int32_t block) {
    return ((const float *)(const void *)(pio_q_gemv_token(x, t) + x->scales_at))[block];
}

static PIO_ALWAYS_INLINE __m512i pio_q_gemv_start(const pio_q_gemv_acts *x, int t, int32_t i) {
    return _mm512_set1_epi32(x->starts[t * x->n_starts + i]);
}

/* Lines from `end` on, where a run of panels ends, are not asked for, but those `jump` bytes on: where the next run
 * begins, or, where there is none, what is being read. */
typedef struct pio_q_gemv_way {
    const uint8_t *end;
    int64_t jump;
} pio_q_gemv_way;

/* Weights come at the memory's rate only as one stream that the processor recognises. So the scales and sub-scales at a
 * panel's head are read once from front to back, which brings them into the caches, before the codes are; and of the
 * codes, each line asks for the one PIO_Q_GEMV_AHEAD_BYTES on. Asking for the head's lines while the codes pass cost a
 * half of the rate. */
static PIO_ALWAYS_INLINE void pio_q_gemv_read_head(const uint8_t *panel, const pio_x16_panel *p) {
    __m512i all = _mm512_setzero_si512();
    for (uint64_t at = 0; at < p->codes_at; at += 64) all = _mm512_or_si512(all, _mm512_load_si512(panel + at));
    __asm__ volatile("" ::"v"(all)); /* or the compiler leaves the reads out */
}

/* What to ask for while the 32 columns at `codes` are read. */
static PIO_ALWAYS_INLINE const uint8_t *pio_q_gemv_ahead(const pio_q_gemv_way *way, const uint8_t *codes) {
    const uint8_t *ahead = codes + PIO_Q_GEMV_AHEAD_BYTES;
    return PIO_Q_GEMV_FAR && ahead >= way->end ? ahead + way->jump : ahead;
}

static PIO_ALWAYS_INLINE __m512i pio_q_gemv_read(const uint8_t *codes, const uint8_t *ahead) {
    if (PIO_Q_GEMV_FAR) /* into the second level, which can wait for more lines at once than the first */
        _mm_prefetch((const char *)ahead, _MM_HINT_T1);
    else
        _mm_prefetch((const char *)ahead, _MM_HINT_T0);
    return _mm512_load_si512(codes);
}

/* c[t][] += 32 columns. */
static PIO_ALWAYS_INLINE void pio_q_gemv_q8_sub(const uint8_t *codes, const uint8_t *ahead, const pio_q_gemv_acts *x,
                                                int32_t column, const int T, const int chains,
                                                __m512i c[PIO_Q_GEMV_TOKENS][4]) {
    PIO_UNROLL(8)
    for (int g = 0; g < 8; g++) {
        __m512i w = pio_q_gemv_read(codes + 64 * g, ahead + 64 * g);
        PIO_UNROLL(8)
        for (int t = 0; t < T; t++)
            c[t][g % chains] =
                _mm512_dpbusd_epi32(c[t][g % chains], w, pio_q_broadcast4(pio_q_gemv_token(x, t) + column + 4 * g));
    }
}

/* sums[t] = products of a panel with T tokens. */
static PIO_ALWAYS_INLINE void pio_q_gemv_q8_panel(const uint8_t *panel, const pio_x16_panel *p,
                                                  const pio_q_gemv_way *way, const pio_q_gemv_acts *x, const int T,
                                                  __m512 sums[PIO_Q_GEMV_TOKENS]) {
    const int chains = T == 1 ? 4 : T <= 3 ? 2 : 1; /* independent sums hide the latency where tokens are few */
    const uint8_t *codes = panel + p->codes_at;
    for (int t = 0; t < T; t++) sums[t] = _mm512_setzero_ps();
    for (int32_t b = 0; b < p->n_blocks; b++) {
        __m512i c[PIO_Q_GEMV_TOKENS][4];
        int32_t end = PIO_MIN(8 * b + 8, p->n_subs);
        PIO_UNROLL(8)
        for (int t = 0; t < T; t++) {
            c[t][0] = pio_q_gemv_start(x, t, b);
            PIO_UNROLL(4)
            for (int u = 1; u < chains; u++) c[t][u] = _mm512_setzero_si512();
        }
        for (int32_t s = 8 * b; s < end; s++, codes += 512)
            pio_q_gemv_q8_sub(codes, pio_q_gemv_ahead(way, codes), x, PIO_SUB_COLUMNS * s, T, chains, c);
        __m512 scales = pio_q_scales(panel, b);
        PIO_UNROLL(8)
        for (int t = 0; t < T; t++) {
            PIO_UNROLL(4)
            for (int u = 1; u < chains; u++) c[t][0] = _mm512_add_epi32(c[t][0], c[t][u]);
            sums[t] = pio_q_add_block(sums[t], c[t][0], scales, pio_q_gemv_x_scale(x, t, b));
        }
    }
}

/* block[t] += sub * products of 32 columns. */
static PIO_ALWAYS_INLINE void pio_q_gemv_q4_sub(const uint8_t *codes, const uint8_t *ahead, const int8_t *subs,
                                                const pio_q_gemv_acts *x, int32_t s, const int T,
                                                __m512i block[PIO_Q_GEMV_TOKENS]) {
    const __m512i low = _mm512_set1_epi8(15);
    const __m512i levels =
        _mm512_broadcast_i32x4(_mm_add_epi8(_mm_loadu_si128((const void *)pio_q4_levels), _mm_set1_epi8(10)));
    __m512i c[PIO_Q_GEMV_TOKENS], d[PIO_Q_GEMV_TOKENS];
    PIO_UNROLL(8)
    for (int t = 0; t < T; t++) c[t] = pio_q_gemv_start(x, t, s), d[t] = _mm512_setzero_si512();
    PIO_UNROLL(4)
    for (int v = 0; v < 4; v++) {
        __m512i pair = pio_q_gemv_read(codes + 64 * v, ahead + 64 * v);
        __m512i w0 = _mm512_shuffle_epi8(levels, _mm512_and_si512(pair, low));
        __m512i w1 = _mm512_shuffle_epi8(levels, _mm512_and_si512(_mm512_srli_epi16(pair, 4), low));
        PIO_UNROLL(8)
        for (int t = 0; t < T; t++) {
            const int8_t *at = pio_q_gemv_token(x, t) + PIO_SUB_COLUMNS * s + 8 * v;
            c[t] = _mm512_dpbusd_epi32(c[t], w0, pio_q_broadcast4(at));
            if (T < 4)
                d[t] = _mm512_dpbusd_epi32(d[t], w1, pio_q_broadcast4(at + 4));
            else
                c[t] = _mm512_dpbusd_epi32(c[t], w1, pio_q_broadcast4(at + 4));
        }
    }
    __m512i sub = _mm512_cvtepi8_epi32(_mm_load_si128((const void *)(subs + PIO_X16_ROWS * s)));
    PIO_UNROLL(8)
    for (int t = 0; t < T; t++) {
        if (T < 4) c[t] = _mm512_add_epi32(c[t], d[t]);
        block[t] = _mm512_add_epi32(block[t], _mm512_mullo_epi32(c[t], sub));
    }
}

static PIO_ALWAYS_INLINE void pio_q_gemv_q4_panel(const uint8_t *panel, const pio_x16_panel *p,
                                                  const pio_q_gemv_way *way, const pio_q_gemv_acts *x, const int T,
                                                  __m512 sums[PIO_Q_GEMV_TOKENS]) {
    const uint8_t *codes = panel + p->codes_at;
    const int8_t *subs = (const int8_t *)panel + p->subs_at;
    for (int t = 0; t < T; t++) sums[t] = _mm512_setzero_ps();
    for (int32_t b = 0; b < p->n_blocks; b++) {
        __m512i block[PIO_Q_GEMV_TOKENS];
        PIO_UNROLL(8)
        for (int t = 0; t < T; t++) block[t] = _mm512_setzero_si512();
        int32_t end = PIO_MIN(8 * b + 8, p->n_subs);
        for (int32_t s = 8 * b; s < end; s++, codes += 256)
            pio_q_gemv_q4_sub(codes, pio_q_gemv_ahead(way, codes), subs, x, s, T, block);
        __m512 scales = pio_q_scales(panel, b);
        PIO_UNROLL(8)
        for (int t = 0; t < T; t++) sums[t] = pio_q_add_block(sums[t], block[t], scales, pio_q_gemv_x_scale(x, t, b));
    }
}

static PIO_ALWAYS_INLINE void pio_q_gemv_panel(const pio_dtype dtype, const uint8_t *panel, const pio_x16_panel *p,
                                               const pio_q_gemv_way *way, const pio_q_gemv_acts *x, const int T,
                                               __m512 sums[PIO_Q_GEMV_TOKENS]) {
    pio_q_gemv_read_head(panel, p);
    if (dtype == PIO_DTYPE_Q8)
        pio_q_gemv_q8_panel(panel, p, way, x, T, sums);
    else
        pio_q_gemv_q4_panel(panel, p, way, x, T, sums);
}

/* One panel, or a pair of a gate and an up panel. */
static PIO_ALWAYS_INLINE void pio_q_gemv_item(const pio_dtype dtype, const pio_linear_args *a, int32_t i,
                                              const pio_x16_panel *p, const pio_q_gemv_way *way,
                                              const pio_q_gemv_acts *x, const int T, const bool swiglu) {
    const uint8_t *panel = PIO_AT(const uint8_t, a->w) + (uint64_t)i * (swiglu ? 2 : 1) * p->bytes;
    __m512 sums[PIO_Q_GEMV_TOKENS], up[PIO_Q_GEMV_TOKENS];
    pio_q_gemv_panel(dtype, panel, p, way, x, T, sums);
    if (swiglu) pio_q_gemv_panel(dtype, panel + p->bytes, p, way, x, T, up);
    for (int t = 0; t < T; t++) {
        if (swiglu)
            pio_linear_store_swiglu_x16(a, t, i * PIO_SWIGLU_BLOCK, sums[t], up[t]);
        else
            pio_linear_store_x16(a, t, i * PIO_X16_ROWS, sums[t]);
    }
}

/* Runs of panels. Where lines are asked for from far ahead, the next run is known as the last panel of one begins. */
static PIO_ALWAYS_INLINE void pio_q_gemv_run_tokens(const pio_dtype dtype, const pio_linear_args *a, pio_worker *worker,
                                                    const pio_q_gemv_acts *x, const int T, const bool swiglu) {
    const pio_x16_panel p = pio_x16_panel_of(dtype, a->cols);
    const int32_t rows = PIO_X16_ROWS * (swiglu ? 2 : 1), total = PIO_CEIL_DIV(a->n_out, rows);
    const int64_t bytes = (int64_t)p.bytes * (swiglu ? 2 : 1);
    int32_t i, end, next = 0, next_end = 0;
    bool more = pio_linear_take_run(worker, total, PIO_Q_GEMV_LEAST_RUN, &i, &end);
    for (; more; i = next, end = next_end) {
        pio_q_gemv_way way = {PIO_AT(const uint8_t, a->w) + end * bytes, -PIO_Q_GEMV_AHEAD_BYTES};
        for (; i < end; i++) {
            if (PIO_Q_GEMV_FAR && i + 1 == end) {
                more = pio_linear_take_run(worker, total, PIO_Q_GEMV_LEAST_RUN, &next, &next_end);
                if (more) way.jump = (next - end) * bytes;
            }
            pio_q_gemv_item(dtype, a, i, &p, &way, x, T, swiglu);
        }
        if (!PIO_Q_GEMV_FAR) more = pio_linear_take_run(worker, total, PIO_Q_GEMV_LEAST_RUN, &next, &next_end);
    }
}

/* Where the accumulators start: -128 times a block's sum of activations, or -10 times the sum of 32 of them. */
static void pio_q_gemv_fill_starts(const pio_dtype dtype, const pio_linear_args *a, int32_t live, pio_q_gemv_acts *x,
                                   int32_t *starts) {
    x->codes = PIO_AT(const int8_t, a->x);
    x->stride = a->x_stride;
    x->scales_at = pio_s8_scales_at(a->cols);
    x->starts = starts;
    x->n_starts = PIO_CEIL_DIV(a->cols, dtype == PIO_DTYPE_Q8 ? PIO_SCALE_COLUMNS : PIO_SUB_COLUMNS);
    for (int32_t t = 0; t < live; t++)
        for (int32_t i = 0; i < x->n_starts; i++, starts++) {
            if (dtype == PIO_DTYPE_Q8) {
                *starts = -128 * ((const int32_t *)(const void *)(pio_q_gemv_token(x, t) + pio_s8_sums_at(a->cols)))[i];
                continue;
            }
            __m256i codes = _mm256_loadu_si256((const void *)(pio_q_gemv_token(x, t) + PIO_SUB_COLUMNS * i));
            __m256i tens = _mm256_dpbusd_epi32(_mm256_setzero_si256(), _mm256_set1_epi8(10), codes);
            __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(tens), _mm256_extracti128_si256(tens, 1));
            sum = _mm_hadd_epi32(sum, sum);
            *starts = -_mm_cvtsi128_si32(_mm_hadd_epi32(sum, sum));
        }
}

#define PIO_Q_GEMV_DO(n) pio_q_gemv_run_tokens(dtype, a, worker, &x, n, swiglu)

static PIO_ALWAYS_INLINE void pio_q_gemv_run(const pio_dtype dtype, const pio_linear_args *a, pio_worker *worker,
                                             const bool swiglu) {
    pio_q_gemv_acts x;
    int32_t live = pio_linear_live(a);
    pio_q_gemv_fill_starts(dtype, a, live, &x, worker->scratch);
    PIO_CASES_8(live, PIO_Q_GEMV_DO)
}

/* The rows' functions: pio_linear_{,swiglu_}{q8,q4}_gemv_<isa>. */
#define PIO_Q_GEMV_ROW(name, dtype, swiglu)                                                                            \
    void name(const void *args, pio_worker *worker) {                                                                  \
        pio_q_gemv_run(dtype, args, worker, swiglu);                                                                   \
    }
#define PIO_Q_GEMV_ROWS(isa)                                                                                           \
    PIO_Q_GEMV_ROW(pio_linear_q8_gemv_##isa, PIO_DTYPE_Q8, false)                                                      \
    PIO_Q_GEMV_ROW(pio_linear_q4_gemv_##isa, PIO_DTYPE_Q4, false)                                                      \
    PIO_Q_GEMV_ROW(pio_linear_swiglu_q8_gemv_##isa, PIO_DTYPE_Q8, true)                                                \
    PIO_Q_GEMV_ROW(pio_linear_swiglu_q4_gemv_##isa, PIO_DTYPE_Q4, true)

#endif
