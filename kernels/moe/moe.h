/* Mixture of experts: which experts a token is sent to, and their products. */
#ifndef PIO_KERNELS_MOE_MOE_H
#define PIO_KERNELS_MOE_MOE_H

#include "kernels/dialect/args.h"

/* ROUTE, flags: */
#define PIO_ROUTE_SIGMOID   1 /* an expert's score is the sigmoid of its logit; else the softmax over all experts */
#define PIO_ROUTE_NORMALISE 2 /* the weights of a token are divided by their sum + eps */

/* ROUTE: the experts of each token and the weights of their results; float32 throughout. The first n_chosen of them are
 * chosen, the n_shared behind them are the experts n_experts, n_experts + 1, ..., with weight 1.
 *
 *   score = softmax(logits) or sigmoid(logits);  rank = score + bias, which decides between experts and nothing else
 *   Groups: experts in n_groups equal parts; a group's rank is the sum of its two best. Only experts of the
 *   n_top_groups best groups are chosen from.
 *   experts: those of the highest rank, best first; the lower number where ranks are equal
 *   weights: their scores, / (their sum + eps) if normalised, * scale
 *
 * Tokens past the live count get expert -1, and their weights are not written. */
PIO_ARGS(pio_route_args) {
    pio_u64 logits;  /* f32 [rows, n_experts] */
    pio_u64 bias;    /* f32 [n_experts]; 0: none */
    pio_u64 experts; /* i32 [rows, n_chosen + n_shared] */
    pio_u64 weights; /* f32 [rows, n_chosen + n_shared] */
    pio_u64 live;    /* i32: the live rows; 0: all */
    pio_i32 rows, n_experts, n_chosen, n_shared;
    pio_i32 n_groups, n_top_groups;                        /* 1 and 1: no groups */
    pio_i32 logits_stride, experts_stride, weights_stride; /* bytes from row to row */
    pio_i32 flags;
    pio_f32 scale, eps;
};

/* ROUTER: ROUTE of logits = n w^T, where n is x or, with a norm, x * norm / sqrt(mean(x^2) + norm_eps). */
PIO_ARGS(pio_router_args) {
    pio_u64 x;       /* f32 [rows, cols] */
    pio_u64 w;       /* f32 [n_experts, cols] */
    pio_u64 bias;    /* f32 [n_experts]; 0: none */
    pio_u64 norm;    /* f32 [cols]; 0: none */
    pio_u64 experts; /* as ROUTE's, like all else that has its names */
    pio_u64 weights;
    pio_u64 live;
    pio_u64 scratch; /* what the row's scratch() asked for */
    pio_u64 arrived; /* i32 [PIO_STEP_ARRIVED], of the step's counts */
    pio_i32 rows, cols, n_experts, n_chosen, n_shared;
    pio_i32 n_groups, n_top_groups;
    pio_i32 x_stride, experts_stride, weights_stride;
    pio_i32 flags;
    pio_f32 scale, eps, norm_eps;
};

/* Index of the norm among the inputs of ROUTER, and of EXPERTS_LINEAR and EXPERTS_SWIGLU. */
#define PIO_ROUTER_NORM  3
#define PIO_EXPERTS_NORM 3

/* Of device rows: experts of a router, and with the shared ones; pairs that need no order. */
#define PIO_ROUTE_EXPERTS_MAX 512
#define PIO_EXPERTS_MAX       (PIO_ROUTE_EXPERTS_MAX + 16)
#define PIO_EXPERTS_FEW_PAIRS 128

/* Of their shaders: which op; phases of many pairs; at most so many tiles of up to `tile` pairs; and where products
 * begin in scratch, behind the tiles and the order of the pairs. */
#define PIO_EXPERTS_OP_LINEAR       0
#define PIO_EXPERTS_OP_SWIGLU       1
#define PIO_EXPERTS_OP_DOWN         2
#define PIO_EXPERTS_DEVICE_SORT     0
#define PIO_EXPERTS_DEVICE_MULTIPLY 1
#define PIO_EXPERTS_DEVICE_REDUCE   2
#define PIO_EXPERTS_TILES(n_pairs, n_experts, tile)                                                                    \
    ((n_pairs) / (tile) + ((n_pairs) < (n_experts) ? (n_pairs) : (n_experts)))
#define PIO_EXPERTS_PRODUCTS_AT(n_pairs, n_experts, tile)                                                              \
    (16 * (1 + PIO_EXPERTS_TILES(n_pairs, n_experts, tile) + ((n_pairs) + 3) / 4))

/* The products of experts. A pair is a live token t and one of its choices; pairs stand in the order of their experts,
 * those of one expert in the order of their tokens.
 *
 *   EXPERTS_LINEAR  h[r][n] = sum_k x[t][k] w[e][n][k], for pair r of token t and expert e
 *   EXPERTS_SWIGLU  h[r][i] = silu(gate[r][i]) * up[r][i]; w holds its rows in blocks, as LINEAR_SWIGLU's does
 *   EXPERTS_DOWN    y[t][n] = residual[t][n] + sum over t's pairs r of weight[r] * sum_k h[r][k] w[e][n][k];
 *                   y may be the residual
 *
 * With a norm, EXPERTS_LINEAR and EXPERTS_SWIGLU multiply x * norm / sqrt(mean(x^2) + norm_eps) instead of x.
 * What is multiplied stands in the row's encoding, w in its layout; all else is float32. */
PIO_ARGS(pio_experts_args) {
    pio_u64 x;            /* [tokens, cols]; EXPERTS_DOWN: h [tokens x n_chosen, cols] */
    pio_u64 w;            /* n_experts matrices [n_out, cols], */
    pio_u64 matrix_bytes; /* as far apart */
    pio_u64 experts;      /* i32 [tokens, n_chosen] */
    pio_u64 weights;      /* f32 [tokens, n_chosen]; EXPERTS_DOWN only, like residual */
    pio_u64 residual;     /* f32 [tokens, n_out] */
    pio_u64 y;            /* f32 [tokens, n_out]; or h [tokens x n_chosen, n_out], half as wide for EXPERTS_SWIGLU */
    pio_u64 norm;         /* f32 [cols], never EXPERTS_DOWN; 0: none */
    pio_u64 live;         /* i32: the live tokens; 0: all */
    pio_u64 scratch;      /* what the row's scratch() asked for */
    pio_i32 tokens;       /* the bound */
    pio_i32 cols, n_out;  /* of a matrix */
    pio_i32 n_experts, n_chosen;
    pio_i32 w_layout;                            /* pio_layout of w */
    pio_i32 x_stride, y_stride, residual_stride; /* bytes from row to row */
    pio_i32 experts_stride;                      /* bytes, of weights too */
    pio_f32 norm_eps;
    pio_i32 phase; /* of rows that record several dispatches */
};

#ifndef PIO_GLSL
#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

typedef pio_experts_args pio_experts_linear_args;
typedef pio_experts_args pio_experts_swiglu_args;
typedef pio_experts_args pio_experts_down_args;

struct pio_call;
struct pio_recorder;

/* The tokens that are live in this step. */
static inline pio_i32 pio_experts_live(const pio_experts_args *a) {
    const pio_i32 live = a->live ? *PIO_AT(const pio_i32, a->live) : a->tokens;
    return live < a->tokens ? live : a->tokens;
}

bool pio_experts_has_norm(const struct pio_call *call);

/* Fills the argument struct of any of the three ops. */
void pio_experts_args_fill(const struct pio_call *call, pio_experts_args *args);

/* match(): what pio_linear_match asks of one expert's matrix, and no norm; and few tokens, or many, as the kernel
 * serves. */
bool pio_experts_match(const struct pio_call *call);
bool pio_experts_match_normed(const struct pio_call *call); /* the same, and a norm may be there */
bool pio_experts_match_few(const struct pio_call *call);
bool pio_experts_match_many(const struct pio_call *call);

/* Rows that multiply by a linear kernel (experts_run.h): scratch and dispatches. Those whose kernel wants tokens in
 * tiles lay them out first; EXPERTS_DOWN of the others reduces the products of few tokens last. */
size_t pio_experts_scratch(const struct pio_call *call);
size_t pio_experts_tiles_s8_scratch(const struct pio_call *call);
size_t pio_experts_tiles_bf16_scratch(const struct pio_call *call);
size_t pio_experts_tiles_f32_scratch(const struct pio_call *call);
pio_status pio_experts_tiles_record(struct pio_recorder *recorder, const struct pio_call *call, pio_error *error);
pio_status pio_experts_few_record(struct pio_recorder *recorder, const struct pio_call *call, pio_error *error);

bool pio_router_match(const struct pio_call *call);
size_t pio_router_scratch(const struct pio_call *call);
struct pio_launch;
void pio_router_launch(const struct pio_call *call, struct pio_launch *launch);

bool pio_route_match_device(const struct pio_call *call);
/* Of device rows: few pairs, one dispatch; and many, in tiles of pairs, plain or of matrices, two or three. */
bool pio_experts_stream_match(const struct pio_call *call);
void pio_experts_stream_launch(const struct pio_call *call, struct pio_launch *launch);
bool pio_experts_dot8_match(const struct pio_call *call);
void pio_experts_dot8_launch(const struct pio_call *call, struct pio_launch *launch);
bool pio_experts_device_match(const struct pio_call *call);
bool pio_experts_emulated_match(const struct pio_call *call); /* and few columns */
size_t pio_experts_plain_scratch(const struct pio_call *call);
pio_status pio_experts_plain_record(struct pio_recorder *recorder, const struct pio_call *call, pio_error *error);
size_t pio_experts_matrix_scratch(const struct pio_call *call);
pio_status pio_experts_matrix_record(struct pio_recorder *recorder, const struct pio_call *call, pio_error *error);

/* Experts enough in the groups that are chosen, and scores that fit the worker's scratch. */
struct pio_attrs;
bool pio_route_serves(const struct pio_attrs *attrs, pio_i32 n_experts, pio_i32 n_chosen);
bool pio_route_match(const struct pio_call *call);

/* Token t of the reference, whose logits [n_experts] are given. rank: [n_experts] */
void pio_route_token_ref(const pio_route_args *a, pio_i32 t, bool live, const float *logits, double *rank);
#endif

#endif
