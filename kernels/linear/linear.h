/* Linear layers: y = x w^T (+ bias) (+ residual), and the gate/up pair of SwiGLU.
 *
 *   LINEAR         y[t][n] = sum_k x[t][k] w[n][k] + bias[n]
 *   LINEAR_ADD     y[t][n] = sum_k x[t][k] w[n][k] + bias[n] + residual[t][n]; y may be the residual
 *   LINEAR_SWIGLU  y[t][i] = silu(gate[t][i]) * up[t][i], silu(v) = v / (1 + e^-v); w [2I, K] holds its rows in blocks:
 *                  PIO_SWIGLU_BLOCK gate rows, the up rows that belong to them, the next gate rows, ...
 *
 * With a norm [K], float32, LINEAR and LINEAR_SWIGLU multiply x * norm / sqrt(mean(x^2) + norm_eps) instead of x.
 * x [T, K] in the row's activation encoding, w [N, K] in its layout; bias [N], residual and y float32. Sums are float32
 * or better (int8 products: exact integers over each 256 columns, float32 from there). Rows t past the live count are
 * neither read nor written. N is any number (LINEAR_SWIGLU: I is a multiple of PIO_SWIGLU_BLOCK).
 *
 * The three ops share one argument struct, so that a file of kernels serves them all. x_rows, y_rows and y_weights are
 * for ops that multiply by these kernels (EXPERTS_*). */
#ifndef PIO_KERNELS_LINEAR_LINEAR_H
#define PIO_KERNELS_LINEAR_LINEAR_H

#ifndef PIO_GLSL
#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "kernels/dtype/encoding.h"
#endif

#include "kernels/dialect/args.h"

/* Index of the norm among the inputs of LINEAR and LINEAR_SWIGLU. */
#define PIO_LINEAR_NORM 4

/* Of a device's shaders for a few tokens: threads of a workgroup; at most, rows of w that a subgroup takes together
 * (an even number), loads of weights under way in a thread, and tokens of a workgroup. */
#define PIO_LINEAR_GROUP        128
#define PIO_LINEAR_GROUP_ROWS   8
#define PIO_LINEAR_GROUP_LOADS  32
#define PIO_LINEAR_GROUP_TOKENS 8

/* Of those with integer dot products (dot8.glsl): columns that share a scale; at most, rows of w and loads of 16 bytes
 * under way in a subgroup, and threads of a workgroup; bytes of shared memory that a chunk and a token take, and all
 * that there are. */
#define PIO_DOT8_CHUNK       32
#define PIO_DOT8_ROWS        2
#define PIO_DOT8_LOADS       6
#define PIO_DOT8_THREADS     1024
#define PIO_DOT8_CHUNK_BYTES 36
#define PIO_DOT8_TOKEN_BYTES 1024
#define PIO_DOT8_BYTES       32768

PIO_ARGS(pio_linear_args) {
    pio_u64 x;               /* [rows, cols] */
    pio_u64 w;               /* [n_out, cols] */
    pio_u64 bias;            /* f32 [n_out]; 0: none */
    pio_u64 residual;        /* f32 [rows, n_out]; 0: none */
    pio_u64 y;               /* f32 [rows, n_out], LINEAR_SWIGLU [rows, n_out / 2] */
    pio_u64 live;            /* i32: the live rows; 0: all */
    pio_u64 scratch;         /* what the row's scratch() asked for */
    pio_u64 x_rows;          /* i32 [rows]: where x's rows stand, for PACK; 0: in order */
    pio_u64 y_rows;          /* i32 [rows]: where y's rows stand; 0: in order */
    pio_u64 y_weights;       /* f32 [rows]: y += weight * (x w^T), LINEAR only; 0: y is written */
    pio_u64 norm;            /* f32 [cols]; 0: none */
    pio_i32 rows;            /* the bound T */
    pio_i32 cols;            /* K */
    pio_i32 n_out;           /* N: rows of w */
    pio_i32 w_layout;        /* pio_layout of w */
    pio_i32 x_stride;        /* bytes from row to row */
    pio_i32 residual_stride; /* bytes */
    pio_i32 y_stride;        /* bytes */
    pio_i32 phase;           /* of rows that record several dispatches */
    pio_f32 norm_eps;
};

#ifndef PIO_GLSL
typedef pio_linear_args pio_linear_add_args;
typedef pio_linear_args pio_linear_swiglu_args;

/* The rows that are live in this step. */
static inline pio_i32 pio_linear_live(const pio_linear_args *a) {
    pio_i32 live = a->live ? *PIO_AT(const pio_i32, a->live) : a->rows;
    return live < a->rows ? live : a->rows;
}

/* Row t of y, and of x in the phase PACK. */
static inline pio_u64 pio_linear_y(const pio_linear_args *a, pio_i32 t) {
    return a->y + (pio_u64)(a->y_rows ? PIO_AT(const pio_i32, a->y_rows)[t] : t) * (pio_u64)a->y_stride;
}

static inline pio_u64 pio_linear_packed_x(const pio_linear_args *a, pio_i32 t) {
    return a->x + (pio_u64)(a->x_rows ? PIO_AT(const pio_i32, a->x_rows)[t] : t) * (pio_u64)a->x_stride;
}

struct pio_call;
struct pio_worker;

/* Takes the worker's next run of [0, total) as [*first, *end): long runs first, short ones last, so that memory is
 * streamed in order and the workers still finish together; of `least` at least, or of a quarter of a worker's share
 * where that is shorter. False: all are taken. */
bool pio_linear_take_run(struct pio_worker *worker, pio_i32 total, pio_i32 least, pio_i32 *first, pio_i32 *end);

enum { PIO_LINEAR_MAX_COLS = 29000 }; /* a panel of 8 rows and one row more in float32 fit a worker's scratch */

/* match(): whole blocks of gate and up rows, no more columns than the kernels' scratch holds, and no norm; and the same
 * of a few rows, perhaps with a norm, or of any without one. */
bool pio_linear_match(const struct pio_call *call);
bool pio_linear_match_emulated(
    const struct pio_call *call); /* and few columns: llvmpipe ends loops after 65,535 rounds */
bool pio_linear_match_stream(const struct pio_call *call);
bool pio_linear_match_dot8(
    const struct pio_call *call); /* and with activations in pieces of 32 bytes, that shared memory holds */

/* Fills the argument struct of any of the three ops. */
void pio_linear_args_fill(const struct pio_call *call, pio_linear_args *args);

/* The tiled kernels: two dispatches, the first of which lays the activations out in tiles, in scratch. */
enum { PIO_LINEAR_PACK, PIO_LINEAR_MULTIPLY }; /* phases */
struct pio_recorder;
size_t pio_linear_tile_bytes(pio_encoding encoding, pio_i32 cols); /* of scratch, a token */
size_t pio_linear_tiles_s8_scratch(const struct pio_call *call);
size_t pio_linear_tiles_bf16_scratch(const struct pio_call *call);
size_t pio_linear_tiles_f32_scratch(const struct pio_call *call);
struct pio_launch;
void pio_linear_launch(const struct pio_call *call, struct pio_launch *launch);
void pio_linear_dot8_launch(const struct pio_call *call, struct pio_launch *launch);

/* What a shader over dot8.glsl has to do: rows of activations that a workgroup rounds; items, each of all rows of a
 * matrix; terms of a sum, each of a row of activations of its own, where there are several; gates and ups. */
typedef struct pio_dot8_work {
    int32_t tokens, n_items, n_terms;
    bool swiglu;
} pio_dot8_work;

/* Whether such a shader can have the call, w being in[1] and x in[0], with so many rows of activations at a time. */
bool pio_dot8_fits(const struct pio_call *call, int32_t tokens);
/* Sets all of the launch. `op` is the shader's constant 4. */
void pio_dot8_launch(const struct pio_call *call, const pio_dot8_work *work, int32_t op, struct pio_launch *launch);
/* Sets constants 0 to 3 of a stream for a call that streams n_rows rows of w in all; returns how many a subgroup takes
 * together. */
int32_t pio_linear_stream_constants(const struct pio_call *call, int64_t n_rows, int32_t least_rows, int32_t tokens,
                                    struct pio_launch *launch);
void pio_linear_tiles_launch(const struct pio_call *call, struct pio_launch *launch);
void pio_linear_matrix_launch(const struct pio_call *call, struct pio_launch *launch);
pio_status pio_linear_tiles_record(struct pio_recorder *recorder, const struct pio_call *call, pio_error *error);
#endif

#endif
