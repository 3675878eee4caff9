#version 460
#extension GL_GOOGLE_include_directive : require
#define GROUP 64
#include "kernels/dialect/shader.glsl"
#include "kernels/elementwise/elementwise.h"
#include "kernels/linear/stream.glsl"

/* A workgroup has ROWS rows of w and TOKENS tokens. */
layout(constant_id = 2) const int SWIGLU = 0;

layout(push_constant, scalar) uniform push {
    pio_linear_args a;
};

/* Of the workgroup. */
int first_token() {
    return int(gl_WorkGroupID.y) * TOKENS;
}

void store(int t, int i, int n) {
    F32 y = F32(row_at(a.y, first_token() + t, a.y_stride));
    float sum = products[i * TOKENS + t];
    if (SWIGLU != 0) {
        y.v[n] = swiglu_product(i, t);
        return;
    }
    if (a.bias != 0ul) sum += F32(a.bias).v[n];
    if (a.residual != 0ul) sum += F32(row_at(a.residual, first_token() + t, a.residual_stride)).v[n];
    y.v[n] = sum;
}

void main() {
    int n_tokens = live_rows(a.live, a.rows) - first_token(), rows[ROWS];
    if (n_tokens <= 0) return;
    uint64_t x[MOST_TOKENS];
    int first = int(gl_WorkGroupID.x) * ROWS;
    for (int i = 0; i < ROWS; i++) rows[i] = SWIGLU != 0 ? swiglu_row(i, a.n_out) : min(first + i, a.n_out - 1);
    for (int t = 0; t < TOKENS; t++) x[t] = row_at(a.x, first_token() + min(t, n_tokens - 1), a.x_stride);
    multiply(matrix_at(a.w, a.n_out, a.cols), rows, x);
    int n_rows = SWIGLU != 0 ? ROWS / 2 : ROWS, n_out = SWIGLU != 0 ? a.n_out / 2 : a.n_out;
    for (int o = int(gl_LocalInvocationID.x); o < n_rows * TOKENS; o += GROUP) {
        int i = o / TOKENS, t = o % TOKENS, n = int(gl_WorkGroupID.x) * n_rows + i;
        if (t < n_tokens && n < n_out) store(t, i, n);
    }
}
