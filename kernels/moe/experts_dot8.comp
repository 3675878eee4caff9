#version 460
#extension GL_GOOGLE_include_directive : require
/* The products of experts with a few tokens, by integer dot products: pairs are taken as they come. A workgroup has some
 * units of rows, and a choice or, of EXPERTS_DOWN, a token, whose choices are the terms of its sums. */
#include "kernels/dialect/shader.glsl"
#include "kernels/elementwise/elementwise.h"
#include "kernels/linear/dot8.glsl"
#include "kernels/moe/moe.h"

layout(constant_id = 4) const int OP = PIO_EXPERTS_OP_LINEAR;
const bool SWIGLU = OP == PIO_EXPERTS_OP_SWIGLU, DOWN = OP == PIO_EXPERTS_OP_DOWN;

layout(push_constant, scalar) uniform push {
    pio_experts_args a;
};

#include "kernels/moe/choices.glsl"

shared float weight_of[MOST_TOKENS]; /* EXPERTS_DOWN: of the token's choices */

float inverse[MOST_TOKENS]; /* what the norm multiplies by */
F32 y;                      /* the row that results go to */
float added;                /* EXPERTS_DOWN: what is added to the lane's result */

int first_choice() {
    return int(gl_WorkGroupID.y) * (DOWN ? a.n_chosen : 1);
}

/* Nobody chose for tokens that are not live: any expert will do. */
matrix matrix_of(int term) {
    int expert = max(0, expert_of(first_choice() + term));
    return matrix_at(a.w + uint64_t(expert) * a.matrix_bytes, a.n_out, a.cols);
}

int row_of(int unit) {
    return row_of_unit(SWIGLU, unit, a.n_out);
}

void add(piece p, uint first, int term, inout float sums[MOST_TOKENS]) {
    float product = piece_product(p, first, term);
    sums[0] += DOWN ? weight_of[term] * product : product;
}

void begin(int unit) {
    int lane = int(gl_SubgroupInvocationID), n = unit * ROWS + lane;
    added = 0;
    if (DOWN && lane < ROWS && n < a.n_out)
        added = F32(row_at(a.residual, int(gl_WorkGroupID.y), a.residual_stride)).v[n];
}

void finish(int unit, float sums[MOST_TOKENS]) {
    int lane = int(gl_SubgroupInvocationID), n = unit * ROWS + lane;
    vec2 sum = row_sums(sums[0]) * inverse[0];
    if (SWIGLU) {
        if (lane == 0) y.v[unit] = silu_times(sum.x, sum.y);
    } else if (lane < ROWS && n < a.n_out) {
        y.v[n] = (lane == 0 ? sum.x : sum.y) + added;
    }
}

/* The rows of activations: the token's, or those of its choices. */
void round_rows(int n_pairs) {
    uint64_t x[MOST_TOKENS];
    int c = first_choice();
    if (DOWN) {
        barrier();
        [[unroll]] for (int t = 0; t < TOKENS; t++) x[t] = row_at(a.x, place_of(c + t, n_pairs), a.x_stride);
    } else {
        x[0] = row_at(a.x, c / a.n_chosen, a.x_stride);
    }
    round_activations(x, DOWN ? 0ul : a.norm, a.norm_eps, a.cols, inverse);
}

void main() {
    int n_units = n_units_of(SWIGLU, a.n_out), lane = int(gl_LocalInvocationID.x),
        c = first_choice();
    piece p = load_piece(matrix_of(0), row_of(min(first_unit(), n_units - 1)), 0u);
    int n_pairs = live_rows(a.live, a.tokens) * a.n_chosen;
    if (c >= n_pairs) return;
    load_choices(n_pairs);
    if (DOWN && lane < a.n_chosen)
        weight_of[lane] = F32(row_at(a.weights, int(gl_WorkGroupID.y), a.experts_stride)).v[lane];
    round_rows(n_pairs);
    y = F32(row_at(a.y, DOWN ? int(gl_WorkGroupID.y) : place_of(c, n_pairs), a.y_stride));
    stream_units(p, n_units, DOWN ? a.n_chosen : 1);
}
