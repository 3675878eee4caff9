/* Experts by the linear kernels: pairs are sorted by expert, and each piece, some tokens of one expert, is a small
 * linear layer, of whose rows a worker multiplies some by a linear kernel's function as if it were alone.
 *
 * EXPERTS_LINEAR and EXPERTS_SWIGLU: the rows of all pieces are one sequence of units, which workers take in long runs
 * first and short ones last; with one token memory is read in order, expert after expert. Tokens of an expert lie
 * apart, so their rows are gathered first. EXPERTS_DOWN: a worker takes columns of y, and adds to them every piece's
 * products, in the pieces' order: nobody else writes there, and a token's sum does not depend on what else is in the
 * step.
 *
 * One source for all instruction sets: a file a set includes this and calls pio_experts_run. */
#ifndef PIO_KERNELS_MOE_EXPERTS_RUN_H
#define PIO_KERNELS_MOE_EXPERTS_RUN_H

#include <string.h>

#include "kernels/families.h"
#include "kernels/moe/experts.h"

typedef struct pio_experts_kernel {
    pio_cpu_function multiply; /* of LINEAR or LINEAR_SWIGLU */
    bool tiled;                /* it wants PACK first */
    pio_encoding encoding;     /* of x, in tiles */
    bool halves;               /* SWIGLU: two rows of w make one column of y */
} pio_experts_kernel;

/* One worker's part of a call. */
typedef struct pio_experts_part {
    const pio_experts_args *a;
    const pio_experts_kernel *kernel;
    pio_worker *worker;
    pio_experts_memory memory;
    pio_experts_order order;
    pio_u64 unit_bytes;
    pio_i32 n_units;  /* of a piece */
    pio_i32 gathered; /* the piece whose rows are gathered, -1: none */
} pio_experts_part;

static pio_experts_part pio_experts_begin(const pio_experts_args *a, pio_worker *worker,
                                          const pio_experts_kernel *kernel, bool down) {
    pio_experts_part p = {.a = a, .kernel = kernel, .worker = worker, .gathered = -1};
    p.memory = pio_experts_memory_of(a, down, kernel->tiled, kernel->encoding);
    p.order = pio_experts_sort(a, &p.memory, worker->index);
    p.unit_bytes = pio_experts_unit_bytes(a->layout, a->cols);
    p.n_units = p.unit_bytes ? PIO_CEIL_DIV(a->n_out, PIO_EXPERTS_UNIT_ROWS) : 1;
    return p;
}

/* The piece as a linear layer; x and y are still the caller's to set. */
static pio_linear_args pio_experts_linear_args_of(const pio_experts_part *p, const pio_experts_piece *piece) {
    const pio_experts_args *a = p->a;
    return (pio_linear_args){.w = a->w + (pio_u64)piece->expert * a->matrix_bytes,
                             .scratch = a->scratch + (pio_u64)piece->first * p->memory.tile_bytes,
                             .rows = piece->n,
                             .cols = a->cols,
                             .n_out = a->n_out,
                             .layout = a->layout,
                             .x_stride = a->x_stride,
                             .y_stride = a->y_stride};
}

/* Only units [first, end) of its rows; y begins at their first column. */
static void pio_experts_cut(const pio_experts_part *p, pio_linear_args *args, pio_i32 first, pio_i32 end) {
    if (p->n_units == 1) return;
    args->w += (pio_u64)first * p->unit_bytes;
    args->n_out = PIO_MIN(args->n_out, end * PIO_EXPERTS_UNIT_ROWS) - first * PIO_EXPERTS_UNIT_ROWS;
}

/* Runs the linear kernel with this worker alone. */
static void pio_experts_multiply(const pio_experts_part *p, pio_linear_args *args, pio_i32 phase) {
    atomic_int next = 0;
    pio_worker alone = {0, 1, &next, p->worker->scratch, p->worker->scratch_bytes};
    args->phase = phase;
    p->kernel->multiply(args, &alone);
}

/* The rows of x that a piece of EXPERTS_LINEAR or EXPERTS_SWIGLU multiplies. */
static pio_u64 pio_experts_gather(pio_experts_part *p, pio_i32 index) {
    const pio_experts_args *a = p->a;
    const pio_experts_piece *piece = &p->order.pieces[index];
    if (a->tokens == 1) return a->x;
    for (pio_i32 i = 0; i < piece->n && p->gathered != index; i++) {
        const pio_i32 token = p->order.pairs[piece->first + i] / a->n_chosen;
        memcpy(p->order.rows + (size_t)i * (size_t)a->x_stride,
               PIO_AT(const char, a->x + (pio_u64)token * (pio_u64)a->x_stride), (size_t)a->x_stride);
    }
    p->gathered = index;
    return (pio_u64)(uintptr_t)p->order.rows;
}

/* PACK: a tile is a piece. */
static void pio_experts_pack(pio_experts_part *p, bool down) {
    const pio_experts_args *a = p->a;
    for (pio_i32 i; (i = pio_worker_take(p->worker)) < p->order.n_pieces;) {
        const pio_experts_piece *piece = &p->order.pieces[i];
        pio_linear_args args = pio_experts_linear_args_of(p, piece);
        args.x = down ? a->x + (pio_u64)piece->first * (pio_u64)a->x_stride : pio_experts_gather(p, i);
        pio_experts_multiply(p, &args, PIO_LINEAR_PACK);
    }
}

static void pio_experts_rows_run(const void *args, pio_worker *worker, const pio_experts_kernel *kernel) {
    const pio_experts_args *a = args;
    pio_experts_part p = pio_experts_begin(a, worker, kernel, false);
    pio_i32 first, end;
    if (kernel->tiled && a->phase == PIO_LINEAR_PACK) {
        pio_experts_pack(&p, false);
        return;
    }
    while (pio_linear_take_run(worker, p.order.n_pieces * p.n_units, 2, &first, &end))
        for (pio_i32 n; first < end; first += n) {
            const pio_i32 index = first / p.n_units, unit = first % p.n_units;
            const pio_experts_piece *piece = &p.order.pieces[index];
            n = PIO_MIN(end - first, p.n_units - unit);
            pio_linear_args linear = pio_experts_linear_args_of(&p, piece);
            pio_experts_cut(&p, &linear, unit, unit + n);
            linear.x = kernel->tiled ? 0 : pio_experts_gather(&p, index);
            linear.y = a->y + (pio_u64)piece->first * (pio_u64)a->y_stride +
                       (pio_u64)(unit * PIO_EXPERTS_UNIT_ROWS / (kernel->halves ? 2 : 1)) * sizeof(float);
            pio_experts_multiply(&p, &linear, PIO_LINEAR_MULTIPLY);
        }
}

/* y[t][column + i] += weight * products[i] for a piece's tokens, n columns. */
static void pio_experts_add(const pio_experts_part *p, const pio_experts_piece *piece, pio_i32 column, pio_i32 n) {
    const pio_experts_args *a = p->a;
    for (pio_i32 r = 0; r < piece->n; r++) {
        const pio_i32 pair = p->order.pairs[piece->first + r], token = pair / a->n_chosen;
        const float weight =
            PIO_AT(const float, a->weights + (pio_u64)token * (pio_u64)a->weights_stride)[pair % a->n_chosen];
        const float *restrict products = (const float *)(const void *)p->order.rows + (size_t)r * (size_t)n;
        float *restrict y = PIO_AT(float, a->y + (pio_u64)token * (pio_u64)a->y_stride) + column;
        for (pio_i32 i = 0; i < n; i++) y[i] += weight * products[i];
    }
}

static void pio_experts_down_run(const void *args, pio_worker *worker, const pio_experts_kernel *kernel) {
    const pio_experts_args *a = args;
    pio_experts_part p = pio_experts_begin(a, worker, kernel, true);
    const pio_i32 live = pio_experts_live(a);
    pio_i32 first, end;
    if (kernel->tiled && a->phase == PIO_LINEAR_PACK) {
        pio_experts_pack(&p, true);
        return;
    }
    while (pio_linear_take_run(worker, p.n_units, 1, &first, &end)) {
        const pio_i32 column = first * PIO_EXPERTS_UNIT_ROWS;
        const pio_i32 n = PIO_MIN(p.n_units == 1 ? a->n_out : end * PIO_EXPERTS_UNIT_ROWS, a->n_out) - column;
        for (pio_i32 t = 0; t < live && a->y != a->residual; t++)
            memcpy(PIO_AT(float, a->y + (pio_u64)t * (pio_u64)a->y_stride) + column,
                   PIO_AT(const float, a->residual + (pio_u64)t * (pio_u64)a->residual_stride) + column,
                   sizeof(float) * (size_t)n);
        for (pio_i32 i = 0; i < p.order.n_pieces; i++) {
            const pio_experts_piece *piece = &p.order.pieces[i];
            pio_linear_args linear = pio_experts_linear_args_of(&p, piece);
            pio_experts_cut(&p, &linear, first, end);
            linear.x = a->x + (pio_u64)piece->first * (pio_u64)a->x_stride;
            linear.y = (pio_u64)(uintptr_t)p.order.rows;
            linear.y_stride = (pio_i32)sizeof(float) * n;
            pio_experts_multiply(&p, &linear, PIO_LINEAR_MULTIPLY);
            pio_experts_add(&p, piece, column, n);
        }
    }
}

/* The three rows of a linear kernel: pio_experts_{linear,swiglu,down}_<name>. */
#define PIO_EXPERTS_ROWS(name, tiled, encoding)                                                                        \
    void pio_experts_linear_##name(const void *args, pio_worker *worker) {                                             \
        pio_experts_rows_run(args, worker, &(pio_experts_kernel){pio_linear_##name, tiled, encoding, false});          \
    }                                                                                                                  \
    void pio_experts_swiglu_##name(const void *args, pio_worker *worker) {                                             \
        pio_experts_rows_run(args, worker, &(pio_experts_kernel){pio_linear_swiglu_##name, tiled, encoding, true});    \
    }                                                                                                                  \
    void pio_experts_down_##name(const void *args, pio_worker *worker) {                                               \
        pio_experts_down_run(args, worker, &(pio_experts_kernel){pio_linear_##name, tiled, encoding, false});          \
    }

#endif
