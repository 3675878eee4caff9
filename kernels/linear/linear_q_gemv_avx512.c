/* Linear layers on q8_x16 and q4_x16 for 1 to 8 tokens: the weights are streamed once from memory, panel by panel, and
 * every token's products are taken while they pass. x is S8.
 *
 * q8: vpdpbusd takes codes + 128 as they lie in memory; the excess, 128 times the sum of the block's activations, is
 * taken off where the accumulators start.
 * q4: levels + 10 (0..19) are looked up and multiplied with the activations; the sum over 32 columns, from which
 * 10 times the sum of their activations is taken off, is multiplied by the sub-scale. */
#include "kernels/dialect/cases.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/families.h"
#include "kernels/linear/linear_finish_avx512.h"
#include "kernels/linear/linear_q_avx512.h"

enum { MOST_TOKENS = 8 };

/* The activations of the call, as every panel reads them. */
typedef struct activations {
    const int8_t *codes; /* of token 0 */
    int64_t stride;
    int64_t scales_at;
    const int32_t *starts; /* [tokens][n_starts]: what the accumulators of a block (q8) or 32 columns (q4) start from */
    int32_t n_starts;
} activations;

static PIO_ALWAYS_INLINE const int8_t *token(const activations *x, int t) {
    return x->codes + t * x->stride;
}

static PIO_ALWAYS_INLINE float x_scale(const activations *x, int t, int32_t block) {
    return ((const float *)(const void *)(token(x, t) + x->scales_at))[block];
}

static PIO_ALWAYS_INLINE __m512i start_of(const activations *x, int t, int32_t i) {
    return _mm512_set1_epi32(x->starts[t * x->n_starts + i]);
}

/* How a worker reads its weights. Lines from `end` on, where a run of panels ends, are not asked for, but those `jump`
 * bytes on: where the next run begins, or, where there is none, what is being read. */
typedef struct reading {
    bool far; /* worker->reads_far */
    const uint8_t *end;
    int64_t jump;
} reading;

/* What to ask for while the line at `at` is read: the line after next, for a processor that fetches what follows by
 * itself; else one far ahead. */
static PIO_ALWAYS_INLINE const uint8_t *line_ahead(const reading *way, const uint8_t *at) {
    at += pio_worker_ahead(way->far);
    return way->far && at >= way->end ? at + way->jump : at;
}

static PIO_ALWAYS_INLINE __m512i read_line(const reading *way, const uint8_t *at, const uint8_t *ahead) {
    if (way->far) /* into the second level, which can wait for more lines at once than the first */
        _mm_prefetch((const char *)ahead, _MM_HINT_T1);
    else
        _mm_prefetch((const char *)ahead, _MM_HINT_T0);
    return _mm512_load_si512(at);
}

/* Weights come at the memory's rate only as one stream that the processor recognises. So the scales and sub-scales at a
 * panel's head are read once from front to back, which brings them into the caches, before the codes are. */
static PIO_ALWAYS_INLINE void read_head(const uint8_t *panel, const pio_x16_panel *p, const reading *way) {
    __m512i all = _mm512_setzero_si512();
    for (const uint8_t *at = panel; at < panel + p->codes_at; at += 64)
        all = _mm512_or_si512(all, way->far ? read_line(way, at, line_ahead(way, at)) : _mm512_load_si512(at));
    __asm__ volatile("" ::"v"(all)); /* or the compiler leaves the reads out */
}

/* c[t][] += 32 columns. */
static PIO_ALWAYS_INLINE void q8_sub(const uint8_t *codes, const reading *way, const activations *x, int32_t column,
                                     const int T, const int chains, __m512i c[MOST_TOKENS][4]) {
    const uint8_t *ahead = line_ahead(way, codes);
    PIO_UNROLL(8)
    for (int g = 0; g < 8; g++) {
        __m512i w = read_line(way, codes + 64 * g, ahead + 64 * g);
        PIO_UNROLL(8)
        for (int t = 0; t < T; t++)
            c[t][g % chains] = _mm512_dpbusd_epi32(c[t][g % chains], w, pio_q_broadcast4(token(x, t) + column + 4 * g));
    }
}

/* sums[t] = products of a panel with T tokens. */
static PIO_ALWAYS_INLINE void q8_panel(const uint8_t *panel, const pio_x16_panel *p, const reading *way,
                                       const activations *x, const int T, __m512 sums[MOST_TOKENS]) {
    const int chains = T == 1 ? 4 : T <= 3 ? 2 : 1; /* independent sums hide the latency where tokens are few */
    const uint8_t *codes = panel + p->codes_at;
    for (int t = 0; t < T; t++) sums[t] = _mm512_setzero_ps();
    for (int32_t b = 0; b < p->n_blocks; b++) {
        __m512i c[MOST_TOKENS][4];
        int32_t end = PIO_MIN(8 * b + 8, p->n_subs);
        PIO_UNROLL(8)
        for (int t = 0; t < T; t++) {
            c[t][0] = start_of(x, t, b);
            PIO_UNROLL(4)
            for (int u = 1; u < chains; u++) c[t][u] = _mm512_setzero_si512();
        }
        for (int32_t s = 8 * b; s < end; s++, codes += 512) q8_sub(codes, way, x, PIO_SUB_COLUMNS * s, T, chains, c);
        __m512 scales = pio_q_scales(panel, b);
        PIO_UNROLL(8)
        for (int t = 0; t < T; t++) {
            PIO_UNROLL(4)
            for (int u = 1; u < chains; u++) c[t][0] = _mm512_add_epi32(c[t][0], c[t][u]);
            sums[t] = pio_q_add_block(sums[t], c[t][0], scales, x_scale(x, t, b));
        }
    }
}

/* block[t] += sub * products of 32 columns. */
static PIO_ALWAYS_INLINE void q4_sub(const uint8_t *codes, const reading *way, const int8_t *subs, const activations *x,
                                     int32_t s, const int T, __m512i block[MOST_TOKENS]) {
    const __m512i low = _mm512_set1_epi8(15);
    const __m512i levels =
        _mm512_broadcast_i32x4(_mm_add_epi8(_mm_loadu_si128((const void *)pio_q4_levels), _mm_set1_epi8(10)));
    __m512i c[MOST_TOKENS], d[MOST_TOKENS];
    PIO_UNROLL(8)
    for (int t = 0; t < T; t++) c[t] = start_of(x, t, s), d[t] = _mm512_setzero_si512();
    const uint8_t *ahead = line_ahead(way, codes);
    PIO_UNROLL(4)
    for (int v = 0; v < 4; v++) {
        __m512i pair = read_line(way, codes + 64 * v, ahead + 64 * v);
        __m512i w0 = _mm512_shuffle_epi8(levels, _mm512_and_si512(pair, low));
        __m512i w1 = _mm512_shuffle_epi8(levels, _mm512_and_si512(_mm512_srli_epi16(pair, 4), low));
        PIO_UNROLL(8)
        for (int t = 0; t < T; t++) {
            const int8_t *at = token(x, t) + PIO_SUB_COLUMNS * s + 8 * v;
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

static PIO_ALWAYS_INLINE void q4_panel(const uint8_t *panel, const pio_x16_panel *p, const reading *way,
                                       const activations *x, const int T, __m512 sums[MOST_TOKENS]) {
    const uint8_t *codes = panel + p->codes_at;
    const int8_t *subs = (const int8_t *)panel + p->subs_at;
    for (int t = 0; t < T; t++) sums[t] = _mm512_setzero_ps();
    for (int32_t b = 0; b < p->n_blocks; b++) {
        __m512i block[MOST_TOKENS];
        PIO_UNROLL(8)
        for (int t = 0; t < T; t++) block[t] = _mm512_setzero_si512();
        int32_t end = PIO_MIN(8 * b + 8, p->n_subs);
        for (int32_t s = 8 * b; s < end; s++, codes += 256) q4_sub(codes, way, subs, x, s, T, block);
        __m512 scales = pio_q_scales(panel, b);
        PIO_UNROLL(8)
        for (int t = 0; t < T; t++) sums[t] = pio_q_add_block(sums[t], block[t], scales, x_scale(x, t, b));
    }
}

static PIO_ALWAYS_INLINE void multiply_panel(const pio_dtype dtype, const uint8_t *panel, const pio_x16_panel *p,
                                             const reading *way, const activations *x, const int T,
                                             __m512 sums[MOST_TOKENS]) {
    read_head(panel, p, way);
    if (dtype == PIO_DTYPE_Q8)
        q8_panel(panel, p, way, x, T, sums);
    else
        q4_panel(panel, p, way, x, T, sums);
}

/* One panel, or a pair of a gate and an up panel. */
static PIO_ALWAYS_INLINE void item(const pio_dtype dtype, const pio_linear_args *a, int32_t i, const pio_x16_panel *p,
                                   const reading *way, const activations *x, const int T, const bool swiglu) {
    const uint8_t *panel = PIO_AT(const uint8_t, a->w) + (uint64_t)i * (swiglu ? 2 : 1) * p->bytes;
    __m512 sums[MOST_TOKENS], up[MOST_TOKENS];
    multiply_panel(dtype, panel, p, way, x, T, sums);
    if (swiglu) multiply_panel(dtype, panel + p->bytes, p, way, x, T, up);
    for (int t = 0; t < T; t++) {
        if (swiglu)
            pio_linear_store_swiglu_x16(a, t, i * PIO_SWIGLU_BLOCK, sums[t], up[t]);
        else
            pio_linear_store_x16(a, t, i * PIO_X16_ROWS, sums[t]);
    }
}

/* Runs of panels. The next one is taken as the last panel of one begins, so that its first lines can be asked for
 * there; then runs may be short, and many workers finish together. Where nothing is asked for they are kept long. */
static PIO_ALWAYS_INLINE void run_tokens(const pio_dtype dtype, const pio_linear_args *a, pio_worker *worker,
                                         const activations *x, const int T, const bool swiglu, const bool far) {
    const pio_x16_panel p = pio_x16_panel_of(dtype, a->cols);
    const int32_t rows = PIO_X16_ROWS * (swiglu ? 2 : 1), total = PIO_CEIL_DIV(a->n_out, rows), least = far ? 1 : 4;
    const int64_t bytes = (int64_t)p.bytes * (swiglu ? 2 : 1);
    const uint8_t *w = PIO_AT(const uint8_t, a->w);
    int32_t i, end, next = 0, next_end = 0;
    bool more = pio_linear_take_run(worker, total, least, &i, &end);
    for (; more; i = next, end = next_end) {
        reading way = {far, w + end * bytes, -pio_worker_ahead(far)};
        for (; i < end; i++) {
            if (i + 1 == end) {
                more = pio_linear_take_run(worker, total, least, &next, &next_end);
                const uint8_t *then = more ? w + next * bytes : worker->reads_next;
                if (then) way.jump = then - way.end;
            }
            item(dtype, a, i, &p, &way, x, T, swiglu);
        }
    }
}

/* Where the accumulators start: -128 times a block's sum of activations, or -10 times the sum of 32 of them. */
static void fill_starts(const pio_dtype dtype, const pio_linear_args *a, int32_t live, activations *x,
                        int32_t *starts) {
    x->codes = PIO_AT(const int8_t, a->x);
    x->stride = a->x_stride;
    x->scales_at = pio_s8_scales_at(a->cols);
    x->starts = starts;
    x->n_starts = PIO_CEIL_DIV(a->cols, dtype == PIO_DTYPE_Q8 ? PIO_SCALE_COLUMNS : PIO_SUB_COLUMNS);
    for (int32_t t = 0; t < live; t++)
        for (int32_t i = 0; i < x->n_starts; i++, starts++) {
            if (dtype == PIO_DTYPE_Q8) {
                *starts = -128 * ((const int32_t *)(const void *)(token(x, t) + pio_s8_sums_at(a->cols)))[i];
                continue;
            }
            __m256i codes = _mm256_loadu_si256((const void *)(token(x, t) + PIO_SUB_COLUMNS * i));
            __m256i tens = _mm256_dpbusd_epi32(_mm256_setzero_si256(), _mm256_set1_epi8(10), codes);
            __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(tens), _mm256_extracti128_si256(tens, 1));
            sum = _mm_hadd_epi32(sum, sum);
            *starts = -_mm_cvtsi128_si32(_mm_hadd_epi32(sum, sum));
        }
}

#define FAR(n)  run_tokens(dtype, a, worker, &x, n, swiglu, true)
#define NEAR(n) run_tokens(dtype, a, worker, &x, n, swiglu, false)

static PIO_ALWAYS_INLINE void run(const pio_dtype dtype, const pio_linear_args *a, pio_worker *worker,
                                  const bool swiglu) {
    activations x;
    int32_t live = pio_linear_live(a);
    fill_starts(dtype, a, live, &x, worker->scratch);
    if (worker->reads_far) {
        PIO_CASES_8(live, FAR)
    } else {
        PIO_CASES_8(live, NEAR)
    }
}

void pio_linear_q8_gemv_avx512(const void *args, pio_worker *worker) {
    run(PIO_DTYPE_Q8, args, worker, false);
}

void pio_linear_q4_gemv_avx512(const void *args, pio_worker *worker) {
    run(PIO_DTYPE_Q4, args, worker, false);
}

void pio_linear_swiglu_q8_gemv_avx512(const void *args, pio_worker *worker) {
    run(PIO_DTYPE_Q8, args, worker, true);
}

void pio_linear_swiglu_q4_gemv_avx512(const void *args, pio_worker *worker) {
    run(PIO_DTYPE_Q4, args, worker, true);
}
