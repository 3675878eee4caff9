/* Times ops on shapes of full-size models, every row that serves them, as fractions of ceilings that are measured in
 * the same run: the arithmetic rate of the row's encoding, and the read bandwidth.
 *
 *   bench_ops [NAME-PART]...    only rows whose name, or cases whose name, contains one of these */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hal/hal.h"
#include "kernels/case.h"
#include "kernels/probe/probe.h"

/* ---- shapes ---- */

typedef struct shape {
    const char *name;
    pio_op op;
    int32_t rows;        /* tokens of the step */
    int32_t cols, n_out; /* linear */
    int32_t context;     /* attention: tokens before the step */
    int32_t n_heads, n_kv_heads, head_dim;
} shape;

static const shape shapes[] = {
    {"attention, decode at 8192", PIO_OP_ATTENTION, 1, 0, 0, 8191, 32, 8, 128},
    {"attention, causal over 8192", PIO_OP_ATTENTION, 8192, 0, 0, 0, 32, 8, 128},
    {"attention, a chunk of 512 at 8192", PIO_OP_ATTENTION, 512, 0, 0, 7680, 32, 8, 128},
    {"qkv, 1 token", PIO_OP_LINEAR, 1, 2560, 6144},
    {"qkv, 4 tokens", PIO_OP_LINEAR, 4, 2560, 6144},
    {"qkv, 512 tokens", PIO_OP_LINEAR, 512, 2560, 6144},
    {"down, 1 token", PIO_OP_LINEAR_ADD, 1, 9728, 2560},
    {"down, 512 tokens", PIO_OP_LINEAR_ADD, 512, 9728, 2560},
    {"gate and up, 1 token", PIO_OP_LINEAR_SWIGLU, 1, 2560, 2 * 9728},
    {"gate and up, 512 tokens", PIO_OP_LINEAR_SWIGLU, 512, 2560, 2 * 9728},
};

static void describe_attention(pio_case_builder *builder, const shape *s) {
    enum { PAGE_TOKENS = 64 };
    pio_attrs *attrs = &pio_case_call(builder)->attrs;
    attrs->n_heads = s->n_heads;
    attrs->n_kv_heads = s->n_kv_heads;
    attrs->head_dim = s->head_dim;
    attrs->page_tokens = PAGE_TOKENS;
    attrs->scale = 1.0f / sqrtf((float)s->head_dim);
    pio_case_step(builder, &(pio_case_sequence){s->context, s->rows}, 1, s->rows);
    pio_case_acts(builder, 0, s->rows, s->rows, s->n_heads * s->head_dim, 1.0f);
    pio_case_cache(builder, 1, PIO_CEIL_DIV(s->context + s->rows, PAGE_TOKENS) + 1);
    pio_case_output(builder, 0, s->rows, s->rows, s->n_heads * s->head_dim);
}

static void describe_linear(pio_case_builder *builder, const shape *s) {
    pio_case_acts(builder, 0, s->rows, s->rows, s->cols, 1.0f);
    pio_case_weight(builder, 1, s->n_out, s->cols, 1.0f / sqrtf((float)s->cols));
    if (s->op == PIO_OP_LINEAR_ADD) pio_case_acts(builder, 3, s->rows, s->rows, s->n_out, 1.0f);
    pio_case_output(builder, 0, s->rows, s->rows, s->op == PIO_OP_LINEAR_SWIGLU ? s->n_out / 2 : s->n_out);
}

static bool describe(pio_case_builder *builder, int index) {
    const shape *s = &shapes[index];
    pio_case_name(builder, "%s", s->name);
    if (s->op == PIO_OP_ATTENTION)
        describe_attention(builder, s);
    else
        describe_linear(builder, s);
    return true;
}

/* Two operations for each multiply-add. */
static double ops_of(const shape *s) {
    if (s->op != PIO_OP_ATTENTION) return 2.0 * s->rows * s->cols * s->n_out;
    double visible = (double)s->rows * s->context + 0.5 * s->rows * (s->rows + 1.0);
    return visible * s->n_heads * 4.0 * s->head_dim;
}

/* Weights or cache, once. */
static double bytes_of(const shape *s, const pio_row *row) {
    if (s->op != PIO_OP_ATTENTION) return (double)pio_layout_get(row->layout)->bytes(s->n_out, s->cols);
    return 2.0 * (s->context + s->rows) * s->n_kv_heads * s->head_dim * (row->layout == PIO_LAYOUT_KV_F32 ? 4 : 2);
}

/* ---- ceilings ---- */

typedef struct machine {
    pio_pool *pool;
    uint32_t features;
    double read_bytes_per_s, ops_per_s[PIO_ENC_COUNT];
} machine;

static const pio_row *find_probe(const machine *m, pio_op op, pio_encoding acts) {
    int n_rows;
    const pio_row *const *rows = pio_rows(&n_rows), *best = NULL;
    for (int i = 0; i < n_rows; i++)
        if (rows[i]->op == op && rows[i]->acts == acts && rows[i]->backend == PIO_BACKEND_CPU &&
            (rows[i]->features & m->features) == rows[i]->features && (!best || rows[i]->rank > best->rank))
            best = rows[i];
    return best;
}

typedef struct probe {
    pio_cpu_function function;
    const void *args;
} probe;

static void run_probe(void *context, int index, int n_workers) {
    const probe *p = context;
    PIO_ALIGNED(64) char scratch[4096];
    pio_worker worker = {index, n_workers, NULL, scratch, sizeof scratch};
    p->function(p->args, &worker);
}

static double seconds_of(const machine *m, probe *p) {
    enum { N_TIMES = 3 };
    double best = HUGE_VAL;
    for (int i = 0; i < N_TIMES; i++) {
        struct timespec a, b;
        clock_gettime(CLOCK_MONOTONIC, &a);
        pio_pool_run(m->pool, run_probe, p);
        clock_gettime(CLOCK_MONOTONIC, &b);
        best = fmin(best, (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9);
    }
    return best;
}

/* Measures once more and keeps the larger values. */
static void measure_ceilings(machine *m) {
    enum { READ_BYTES = 512 << 20, MEGA_OPS = 4000 };
    static uint64_t sums[PIO_PROBE_WORKERS + 1];
    static char *data;
    if (!data && (data = aligned_alloc(4096, READ_BYTES))) memset(data, 1, READ_BYTES);
    if (!data) return;
    pio_probe_read_args read = {(pio_u64)(uintptr_t)data, (pio_u64)(uintptr_t)sums, READ_BYTES};
    probe p = {find_probe(m, PIO_OP_PROBE_READ, PIO_ENC_F32)->functions[0], &read};
    m->read_bytes_per_s = fmax(m->read_bytes_per_s, READ_BYTES / seconds_of(m, &p));
    for (int e = 0; e < PIO_ENC_COUNT; e++) {
        const pio_row *row = find_probe(m, PIO_OP_PROBE_OPS, (pio_encoding)e);
        if (!row) continue;
        pio_probe_ops_args ops = {(pio_u64)(uintptr_t)sums, MEGA_OPS, 0};
        p = (probe){row->functions[0], &ops};
        m->ops_per_s[e] = fmax(m->ops_per_s[e], 1e6 * MEGA_OPS * pio_pool_size(m->pool) / seconds_of(m, &p));
    }
}

/* Attention on bf16 dot products reads float32 activations; its rate is that of bf16 all the same. */
static pio_encoding computed_in(const shape *s, const pio_row *row) {
    return s->op == PIO_OP_ATTENTION && row->features & PIO_CPU_AVX512BF16 ? PIO_ENC_BF16 : row->acts;
}

/* ---- runs ---- */

static bool is_wanted(int argc, char **argv, const char *row, const char *name) {
    for (int i = 1; i < argc; i++)
        if (strstr(row, argv[i]) || strstr(name, argv[i])) return true;
    return argc == 1;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static bool time_one(machine *m, int index, const pio_row *row, const char *name) {
    enum { N_TIMES = 5, SLOW_TIMES = 3 };
    const shape *s = &shapes[index];
    double seconds[N_TIMES];
    const int n = ops_of(s) > 1e11 ? SLOW_TIMES : N_TIMES;
    pio_case_result result;
    pio_error error;
    if (pio_case_time(row, describe, index, m->pool, seconds, n, &result, &error)) {
        fprintf(stderr, "%s: %s\n", name, error.text);
        return false;
    }
    if (result.outcome != PIO_CASE_PASSED) return true;
    measure_ceilings(m);
    qsort(seconds, (size_t)n, sizeof *seconds, by_value);
    const double median = seconds[n / 2], ceiling = m->ops_per_s[computed_in(s, row)];
    printf("%-36s %-44s %9.3f ms  %5.1f%% of reads", s->name, name, 1e3 * median,
           100 * bytes_of(s, row) / median / m->read_bytes_per_s);
    if (ceiling > 0)
        printf("  %5.1f%% of %s", 100 * ops_of(s) / median / ceiling, pio_encoding_name(computed_in(s, row)));
    putchar('\n');
    fflush(stdout);
    return true;
}

int main(int argc, char **argv) {
    machine m = {0};
    pio_error error;
    pio_device_caps caps;
    char why[256];
    int driver = 0;
    while (pio_driver_at(driver)->backend != PIO_BACKEND_CPU) driver++;
    if (pio_driver_at(driver)->describe(0, &caps, why, sizeof why, &error) || pio_pool_create(0, &m.pool, &error)) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    m.features = caps.features;
    measure_ceilings(&m);
    printf("ceilings: reads %.1f GB/s", m.read_bytes_per_s / 1e9);
    for (int e = 0; e < PIO_ENC_COUNT; e++)
        if (m.ops_per_s[e] > 0) printf(", %s %.3f Top/s", pio_encoding_name((pio_encoding)e), m.ops_per_s[e] / 1e12);
    putchar('\n');
    int n_rows;
    const pio_row *const *rows = pio_rows(&n_rows);
    bool fine = true;
    for (int index = 0; index < (int)PIO_COUNT(shapes); index++) {
        for (int i = 0; i < n_rows; i++) {
            char name[PIO_ROW_NAME_BYTES];
            pio_row_name(rows[i], name);
            if (rows[i]->op != shapes[index].op || rows[i]->backend != PIO_BACKEND_CPU) continue;
            if ((rows[i]->features & m.features) != rows[i]->features) continue;
            if (is_wanted(argc, argv, name, shapes[index].name)) fine &= time_one(&m, index, rows[i], name);
        }
    }
    pio_pool_destroy(m.pool);
    return fine ? 0 : 1;
}
