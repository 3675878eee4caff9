/* Experts by the linear kernels: pairs are sorted by expert, and each piece, some tokens of one expert, is a small
 * linear layer, of whose rows a worker multiplies some by a linear kernel's function as if it were alone.
 *
 * The rows of all pieces are one sequence of units, which workers take in long runs first and short ones last; with one
 * token memory is read in order, expert after expert. EXPERTS_DOWN does the same with few tokens, and a second dispatch
 * adds the products up. With many tokens a worker takes columns of y, and adds every piece's products to them, in the
 * pieces' order: nobody else writes there. Either way a token's products are added in the order of its experts,
 * whatever else is in the step.
 *
 * One source for all instruction sets: a file a set includes this and calls PIO_EXPERTS_ROWS. */
#ifndef PIO_KERNELS_MOE_EXPERTS_RUN_H
#define PIO_KERNELS_MOE_EXPERTS_RUN_H

#include <string.h>

#include "kernels/families.h"
#include "kernels/linear/linear_alone.h"
#include "kernels/moe/experts.h"

typedef struct pio_experts_kernel {
    pio_cpu_function multiply; /* of LINEAR or LINEAR_SWIGLU */
    bool tiled;                /* it wants PACK first */
    pio_encoding encoding;     /* of x, in tiles */
    bool halves;               /* SWIGLU: two rows of w make one column of y */
    bool down;
} pio_experts_kernel;

/* One worker's part of a call. */
typedef struct pio_experts_part {
    const pio_experts_args *a;
    const pio_experts_kernel *kernel;
    pio_worker *worker;
    pio_experts_memory memory;
    pio_experts_order order;
    pio_u64 products; /* with few tokens */
    pio_u64 unit_bytes;
    pio_i32 n_units;  /* of a piece */
    pio_i32 gathered; /* the piece whose rows are gathered, -1: none */
} pio_experts_part;

static pio_experts_part pio_experts_begin(const pio_experts_args *a, pio_worker *worker,
                                          const pio_experts_kernel *kernel) {
    pio_experts_part p = {.a = a, .kernel = kernel, .worker = worker, .gathered = -1};
    p.memory = pio_experts_memory_of(a, kernel->down, kernel->tiled, kernel->encoding);
    p.order = pio_experts_sort(a, &p.memory, worker->index);
    p.products = a->scratch + p.memory.tiles_bytes;
    p.unit_bytes = pio_linear_unit_bytes(a->w_layout, a->cols);
    p.n_units = pio_linear_units(p.unit_bytes, a->n_out);
    return p;
}

/* Where the rows of x that a piece multiplies begin. Tokens of an expert lie apart: PACK knows where, for a kernel that
 * wants no tiles they are gathered. */
static pio_u64 pio_experts_x(pio_experts_part *p, pio_i32 index) {
    const pio_experts_args *a = p->a;
    const pio_experts_piece *piece = &p->order.pieces[index];
    if (p->kernel->down) return a->x + (pio_u64)piece->first * (pio_u64)a->x_stride;
    if (p->kernel->tiled || a->tokens == 1) return a->x;
    for (pio_i32 i = 0; i < piece->n && p->gathered != index; i++)
        memcpy(p->order.rows + (size_t)i * (size_t)a->x_stride,
               PIO_AT(const char, a->x + (pio_u64)p->order.tokens[piece->first + i] * (pio_u64)a->x_stride),
               (size_t)a->x_stride);
    p->gathered = index;
    return (pio_u64)(uintptr_t)p->order.rows;
}

/* The piece as a linear layer; y is still the caller's to set. */
static pio_linear_args pio_experts_linear(pio_experts_part *p, pio_i32 index) {
    const pio_experts_args *a = p->a;
    const pio_experts_piece *piece = &p->order.pieces[index];
    const bool scattered = p->kernel->tiled && !p->kernel->down;
    return (pio_linear_args){.x = pio_experts_x(p, index),
                             .w = a->w + (pio_u64)piece->expert * a->matrix_bytes,
                             .scratch = a->scratch + (pio_u64)piece->first * p->memory.tile_bytes,
                             .x_rows = scattered ? (pio_u64)(uintptr_t)(p->order.tokens + piece->first) : 0,
                             .rows = piece->n,
                             .cols = a->cols,
                             .n_out = a->n_out,
                             .w_layout = a->w_layout,
                             .x_stride = a->x_stride,
                             .y_stride = a->y_stride};
}

/* PACK: a tile is a piece. */
static void pio_experts_pack(pio_experts_part *p) {
    for (pio_i32 i; (i = pio_worker_take(p->worker)) < p->order.n_pieces;) {
        pio_linear_args linear = pio_experts_linear(p, i);
        pio_linear_alone(p->kernel->multiply, &linear, p->worker, PIO_LINEAR_PACK);
    }
}

/* Where the weights of a unit of all pieces begin. */
static const void *pio_experts_weights(const pio_experts_part *p, pio_i32 unit) {
    const pio_experts_piece *piece = &p->order.pieces[unit / p->n_units];
    return PIO_AT(const void,
                  p->a->w + (pio_u64)piece->expert * p->a->matrix_bytes + (pio_u64)(unit % p->n_units) * p->unit_bytes);
}

/* Units [first, first + n) of one piece. */
static void pio_experts_multiply(pio_experts_part *p, pio_u64 y, pio_i32 y_stride, pio_i32 first, pio_i32 n) {
    const pio_i32 index = first / p->n_units, unit = first % p->n_units;
    pio_linear_args linear = pio_experts_linear(p, index);
    linear.y = y + (pio_u64)p->order.pieces[index].first * (pio_u64)y_stride;
    linear.y_stride = y_stride;
    pio_linear_cut(&linear, p->unit_bytes, unit, unit + n, p->kernel->halves);
    pio_linear_alone(p->kernel->multiply, &linear, p->worker, PIO_LINEAR_MULTIPLY);
}

/* A row of y for each pair. The next run is taken before the last units of one, so that the kernel can ask for its
 * first lines. */
static void pio_experts_rows(pio_experts_part *p, pio_u64 y, pio_i32 y_stride) {
    const pio_i32 total = p->order.n_pieces * p->n_units;
    pio_i32 first, end, next = 0, next_end = 0;
    bool more = pio_linear_take_run(p->worker, total, 2, &first, &end);
    for (; more; first = next, end = next_end)
        for (pio_i32 n; first < end; first += n) {
            n = PIO_MIN(end - first, p->n_units - first % p->n_units);
            const bool last = first + n == end;
            if (last) more = pio_linear_take_run(p->worker, total, 2, &next, &next_end);
            p->worker->reads_next = last && !more ? NULL : pio_experts_weights(p, last ? next : first + n);
            pio_experts_multiply(p, y, y_stride, first, n);
        }
    p->worker->reads_next = NULL;
}

/* y = residual in columns [column, column + n) of the live tokens. */
static void pio_experts_start(const pio_experts_args *a, pio_i32 column, pio_i32 n) {
    const pio_i32 live = pio_experts_live(a);
    for (pio_i32 t = 0; t < live && a->y != a->residual; t++)
        memcpy(PIO_AT(float, a->y + (pio_u64)t * (pio_u64)a->y_stride) + column,
               PIO_AT(const float, a->residual + (pio_u64)t * (pio_u64)a->residual_stride) + column,
               sizeof(float) * (size_t)n);
}

/* y += weight * product, pair after pair. */
static void pio_experts_reduce(pio_experts_part *p) {
    enum { COLUMNS = 256 };
    const pio_experts_args *a = p->a;
    for (pio_i32 column; (column = pio_worker_take(p->worker) * COLUMNS) < a->n_out;) {
        const pio_i32 n = PIO_MIN(COLUMNS, a->n_out - column);
        pio_experts_start(a, column, n);
        for (pio_i32 r = 0; r < p->order.n_pairs; r++) {
            const float weight = p->order.weights[r];
            const float *restrict product =
                PIO_AT(const float, p->products + (pio_u64)r * p->memory.product_bytes) + column;
            float *restrict y = PIO_AT(float, a->y + (pio_u64)p->order.tokens[r] * (pio_u64)a->y_stride) + column;
            for (pio_i32 i = 0; i < n; i++) y[i] += weight * product[i];
        }
    }
}

/* EXPERTS_DOWN with many tokens: the linear kernel adds to y. */
static void pio_experts_add(pio_experts_part *p) {
    const pio_experts_args *a = p->a;
    pio_i32 first, end;
    while (pio_linear_take_run(p->worker, p->n_units, 1, &first, &end)) {
        const pio_i32 column = first * PIO_LINEAR_UNIT_ROWS;
        pio_experts_start(a, column,
                          (p->unit_bytes ? PIO_MIN(end * PIO_LINEAR_UNIT_ROWS, a->n_out) : a->n_out) - column);
        for (pio_i32 i = 0; i < p->order.n_pieces; i++) {
            const pio_i32 pair = p->order.pieces[i].first;
            pio_linear_args linear = pio_experts_linear(p, i);
            linear.y = a->y;
            linear.y_rows = (pio_u64)(uintptr_t)(p->order.tokens + pair);
            linear.y_weights = (pio_u64)(uintptr_t)(p->order.weights + pair);
            pio_linear_cut(&linear, p->unit_bytes, first, end, false);
            pio_linear_alone(p->kernel->multiply, &linear, p->worker, PIO_LINEAR_MULTIPLY);
        }
    }
}

static void pio_experts_run(const void *args, pio_worker *worker, const pio_experts_kernel *kernel) {
    const pio_experts_args *a = args;
    pio_experts_part p = pio_experts_begin(a, worker, kernel);
    if (kernel->tiled && a->phase == PIO_EXPERTS_PACK)
        pio_experts_pack(&p);
    else if (!kernel->down)
        pio_experts_rows(&p, a->y, a->y_stride);
    else if (!pio_experts_few(a))
        pio_experts_add(&p);
    else if (a->phase == PIO_EXPERTS_REDUCE)
        pio_experts_reduce(&p);
    else
        pio_experts_rows(&p, p.products, (pio_i32)p.memory.product_bytes);
}

/* The three rows of a linear kernel: pio_experts_{linear,swiglu,down}_<name>. */
#define PIO_EXPERTS_ROW(op, name, kernel, tiled, encoding, halves, down)                                               \
    void pio_experts_##op##_##name(const void *args, pio_worker *worker) {                                             \
        pio_experts_run(args, worker, &(pio_experts_kernel){kernel, tiled, encoding, halves, down});                   \
    }
#define PIO_EXPERTS_ROWS(name, tiled, encoding)                                                                        \
    PIO_EXPERTS_ROW(linear, name, pio_linear_##name, tiled, encoding, false, false)                                    \
    PIO_EXPERTS_ROW(swiglu, name, pio_linear_swiglu_##name, tiled, encoding, true, false)                              \
    PIO_EXPERTS_ROW(down, name, pio_linear_##name, tiled, encoding, false, true)

#endif
