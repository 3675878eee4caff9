#version 460
#extension GL_GOOGLE_include_directive : require
#define GROUP 64
#include "kernels/dialect/shader.glsl"
#include "kernels/elementwise/elementwise.h"
#include "kernels/latent/latent.h"
#include "kernels/linear/stream.glsl"

/* A workgroup has ROWS rows of a head's matrix and TOKENS tokens. */
layout(push_constant, scalar) uniform push {
    pio_linear_heads_args a;
};

void main() {
    int first_row = int(gl_WorkGroupID.x) * ROWS, first_token = int(gl_WorkGroupID.y) * TOKENS,
        head = int(gl_WorkGroupID.z), n_tokens = live_rows(a.live, a.rows) - first_token, rows[ROWS];
    if (n_tokens <= 0) return;
    uint64_t x[MOST_TOKENS];
    for (int i = 0; i < ROWS; i++) rows[i] = min(first_row + i, a.n_out - 1);
    for (int t = 0; t < TOKENS; t++)
        x[t] = row_at(a.x, first_token + min(t, n_tokens - 1), a.x_stride) +
               4ul * uint64_t(head * a.head_cols + a.column);
    multiply(matrix_at(a.w + uint64_t(head) * a.matrix_bytes, a.n_out, a.cols), rows, x);
    for (int o = int(gl_LocalInvocationID.x); o < ROWS * TOKENS; o += GROUP) {
        int t = o % TOKENS, n = first_row + o / TOKENS;
        if (t < n_tokens && n < a.n_out)
            F32(row_at(a.y, first_token + t, a.y_stride)).v[head * a.n_out + n] = products[o];
    }
}
