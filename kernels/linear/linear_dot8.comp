#version 460
#extension GL_GOOGLE_include_directive : require
/* The linear layers for a few tokens, by integer dot products: each workgroup has UNITS units of rows of w. */
#include "kernels/dialect/shader.glsl"
#include "kernels/elementwise/elementwise.h"
#include "kernels/linear/dot8.glsl"
#include "kernels/linear/swiglu.glsl"

layout(constant_id = 4) const int SWIGLU = 0;

layout(push_constant, scalar) uniform push {
    pio_linear_args a;
};

/* The lane's row of a unit: they stand in order, or are a gate and its up. */
int row_of(int unit) {
    return SWIGLU != 0 ? gate_row(unit) + row_of_lane() * PIO_SWIGLU_BLOCK : min(unit * ROWS + row_of_lane(), a.n_out - 1);
}

/* ---- results ---- lane i * TOKENS + t, or the one that many from it, has row i of token t */

int lane_of(int i, int t) {
    return (i * TOKENS + t) % int(gl_SubgroupSize);
}

/* What is added to row n's product with token t. */
float addend(int n, int t, int n_tokens) {
    float sum = 0;
    if (SWIGLU != 0 || n >= a.n_out || t >= n_tokens) return sum;
    if (a.bias != 0ul) sum = F32(a.bias).v[n];
    if (a.residual != 0ul) sum += F32(row_at(a.residual, int(gl_WorkGroupID.y) * TOKENS + t, a.residual_stride)).v[n];
    return sum;
}

/* The same of the lane's first result, or only, asked for before it is needed. */
float addend_of_lane(int unit, int n_tokens) {
    int lane = int(gl_SubgroupInvocationID);
    return lane < ROWS * TOKENS ? addend(unit * ROWS + lane / TOKENS, lane % TOKENS, n_tokens) : 0;
}

/* Adds up a unit's sums over the lanes. */
void finish(int unit, int n_tokens, float inverse[MOST_TOKENS], float sums[MOST_TOKENS], float addend_of_lane) {
    int lane = int(gl_SubgroupInvocationID), lanes = int(gl_SubgroupSize);
    [[unroll]] for (int t = 0; t < TOKENS; t++) {
        vec2 sum = row_sums(sums[t]) * inverse[t];
        F32 y = F32(row_at(a.y, int(gl_WorkGroupID.y) * TOKENS + t, a.y_stride));
        if (t >= n_tokens) continue;
        if (SWIGLU != 0) {
            if (lane == lane_of(0, t)) y.v[unit] = silu_times(sum.x, sum.y);
            continue;
        }
        [[unroll]] for (int i = 0; i < ROWS; i++) {
            int n = unit * ROWS + i;
            if (lane == lane_of(i, t) && n < a.n_out)
                y.v[n] = sum[i] + (i * TOKENS + t < lanes ? addend_of_lane : addend(n, t, n_tokens));
        }
    }
}

void main() {
    int first_token = int(gl_WorkGroupID.y) * TOKENS, n_tokens = live_rows(a.live, a.rows) - first_token,
        n_units = SWIGLU != 0 ? a.n_out / 2 : (a.n_out + ROWS - 1) / ROWS,
        unit = int(gl_WorkGroupID.x) * UNITS + int(gl_SubgroupID),
        end = min(int(gl_WorkGroupID.x) * UNITS + UNITS, n_units);
    uint64_t x[MOST_TOKENS];
    float inverse[MOST_TOKENS], sums[MOST_TOKENS], added = 0;
    matrix m = matrix_at(a.w, a.n_out, a.cols);
    piece p, next;
    p = load_piece(m, row_of(min(unit, n_units - 1)), 0u);
    [[unroll]] for (int t = 0; t < TOKENS; t++) x[t] = row_at(a.x, min(first_token + t, a.rows - 1), a.x_stride);
    round_activations(x, a.norm, a.norm_eps, a.cols, inverse);
    [[unroll]] for (int t = 0; t < TOKENS; t++) sums[t] = 0;
    for (uint first = 0u; unit < end && n_tokens > 0; p = next) {
        uint then = first + uint(UNROLL) * chunks_of_step();
        int its = unit;
        if (first == 0u) added = addend_of_lane(unit, n_tokens);
        if (then >= uint(CHUNKS)) {
            then = 0u;
            unit += int(gl_NumSubgroups);
        }
        if (unit < end) next = load_piece(m, row_of(unit), then);
        add_piece(p, first, sums);
        first = then;
        if (then > 0u) continue;
        finish(its, n_tokens, inverse, sums, added);
        [[unroll]] for (int t = 0; t < TOKENS; t++) sums[t] = 0;
    }
}
