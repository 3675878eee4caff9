/* Heads by the linear kernels: a head is a small linear layer, of whose rows a worker multiplies some by a linear
 * kernel's function as if it were alone. */
#include "base/compiler.h"
#include "kernels/families.h"
#include "kernels/linear/linear_alone.h"

/* The head as a linear layer. */
static pio_linear_args head_of(const pio_linear_heads_args *a, int32_t head, int32_t live, size_t x_bytes) {
    return (pio_linear_args){.x = a->x + x_bytes * (pio_u64)(head * a->head_cols + a->column),
                             .w = a->w + (pio_u64)head * a->matrix_bytes,
                             .y = a->y + sizeof(float) * (pio_u64)(head * a->n_out),
                             .rows = live,
                             .cols = a->cols,
                             .n_out = a->n_out,
                             .w_layout = a->w_layout,
                             .x_stride = a->x_stride,
                             .y_stride = a->y_stride};
}

static void run(const void *args, pio_worker *worker, pio_cpu_function kernel, bool tiled, pio_encoding encoding) {
    const pio_linear_heads_args *a = args;
    const int32_t live = a->live ? *PIO_AT(const pio_i32, a->live) : a->rows;
    const pio_u64 unit_bytes = pio_linear_unit_bytes(a->w_layout, a->cols);
    const int32_t n_units = pio_linear_units(unit_bytes, a->n_out);
    const size_t tile_bytes = PIO_ROUND_UP(pio_linear_tile_bytes(encoding, a->cols), 64);
    const pio_u64 tiles = a->scratch + (pio_u64)worker->index * (pio_u64)a->rows * tile_bytes;
    int32_t first, end, packed = -1;
    while (live > 0 && pio_linear_take_run(worker, a->n_heads * n_units, 2, &first, &end))
        for (int32_t n; first < end; first += n) {
            const int32_t head = first / n_units, unit = first % n_units;
            pio_linear_args linear = head_of(a, head, live, encoding == PIO_ENC_BF16 ? 2 : 4);
            linear.scratch = tiles;
            if (tiled && packed != head) pio_linear_alone(kernel, &linear, worker, PIO_LINEAR_PACK);
            packed = head;
            n = PIO_MIN(end - first, n_units - unit);
            pio_linear_cut(&linear, unit_bytes, unit, unit + n, false);
            pio_linear_alone(kernel, &linear, worker, PIO_LINEAR_MULTIPLY);
        }
}

#define ROWS(name, tiled, encoding)                                                                                    \
    void pio_linear_heads_##name(const void *args, pio_worker *worker) {                                               \
        run(args, worker, pio_linear_##name, tiled, encoding);                                                         \
    }
ROWS(portable, false, PIO_ENC_F32)
ROWS(bf16_gemv_avx2, false, PIO_ENC_F32)
ROWS(bf16_gemm_avx2, true, PIO_ENC_F32)
ROWS(bf16_gemv_avx512, false, PIO_ENC_F32)
ROWS(bf16_gemm_avx512, true, PIO_ENC_F32)
ROWS(bf16_gemm_avx512bf16, true, PIO_ENC_BF16)
