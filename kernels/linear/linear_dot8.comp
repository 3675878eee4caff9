#version 460
#extension GL_GOOGLE_include_directive : require
/* The linear layers for a few tokens, by integer dot products: each workgroup has UNITS units of rows of w. */
#include "kernels/dialect/shader.glsl"
#include "kernels/elementwise/elementwise.h"
#include "kernels/linear/dot8.glsl"

layout(constant_id = 4) const int SWIGLU = 0;

layout(push_constant, scalar) uniform push {
    pio_linear_args a;
};

int first_token() {
    return int(gl_WorkGroupID.y) * TOKENS;
}

/* What the norm multiplies by; live tokens from the first on; what is added to the lane's first result, or only. */
float inverse[MOST_TOKENS];
int n_tokens;
float added;

matrix matrix_of(int term) {
    return matrix_at(a.w, a.n_out, a.cols);
}

int row_of(int unit) {
    return row_of_unit(SWIGLU != 0, unit, a.n_out);
}

void add(piece p, uint first, int term, inout float sums[MOST_TOKENS]) {
    [[unroll]] for (int t = 0; t < TOKENS; t++) sums[t] += piece_product(p, first, t);
}

/* ---- results ---- lane i * TOKENS + t, or the one that many from it, has row i of token t */

/* What is added to row n's product with token t. */
float addend(int n, int t) {
    float sum = 0;
    if (SWIGLU != 0 || n >= a.n_out || t >= n_tokens) return sum;
    if (a.bias != 0ul) sum = F32(a.bias).v[n];
    if (a.residual != 0ul) sum += F32(row_at(a.residual, first_token() + t, a.residual_stride)).v[n];
    return sum;
}

void begin(int unit) {
    int lane = int(gl_SubgroupInvocationID);
    added = lane < ROWS * TOKENS ? addend(unit * ROWS + lane / TOKENS, lane % TOKENS) : 0;
}

void finish(int unit, float sums[MOST_TOKENS]) {
    int lane = int(gl_SubgroupInvocationID), lanes = int(gl_SubgroupSize);
    [[unroll]] for (int t = 0; t < TOKENS; t++) {
        vec2 sum = row_sums(sums[t]) * inverse[t];
        F32 y = F32(row_at(a.y, first_token() + t, a.y_stride));
        if (t >= n_tokens) continue;
        if (SWIGLU != 0) {
            if (lane == t % lanes) y.v[unit] = silu_times(sum.x, sum.y);
            continue;
        }
        [[unroll]] for (int i = 0; i < ROWS; i++) {
            int o = i * TOKENS + t, n = unit * ROWS + i;
            if (lane == o % lanes && n < a.n_out) y.v[n] = sum[i] + (o < lanes ? added : addend(n, t));
        }
    }
}

void main() {
    int n_units = n_units_of(SWIGLU != 0, a.n_out);
    uint64_t x[MOST_TOKENS];
    piece p = load_piece(matrix_of(0), row_of(min(first_unit(), n_units - 1)), 0u);
    n_tokens = live_rows(a.live, a.rows) - first_token();
    [[unroll]] for (int t = 0; t < TOKENS; t++) x[t] = row_at(a.x, min(first_token() + t, a.rows - 1), a.x_stride);
    round_activations(x, a.norm, a.norm_eps, a.cols, inverse);
    if (n_tokens > 0) stream_units(p, n_units, 1);
}
