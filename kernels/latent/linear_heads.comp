#version 460
#extension GL_GOOGLE_include_directive : require
#define GROUP 128 /* PIO_LINEAR_GROUP */
#include "kernels/dialect/shader.glsl"
#include "kernels/elementwise/elementwise.h"
#include "kernels/latent/latent.h"
#include "kernels/linear/stream.glsl"

/* A workgroup has GROUP_ROWS rows of a head's matrix and TOKENS tokens. */
layout(push_constant, scalar) uniform push {
    pio_linear_heads_args a;
};

void multiply(matrix m, int first, int first_token, int n_tokens, int head) {
    int rows[MOST_ROWS], lanes = int(gl_SubgroupSize);
    uint64_t x[MOST_TOKENS];
    float sums[MOST_ROWS * MOST_TOKENS], squares[MOST_TOKENS];
    [[unroll]] for (int i = 0; i < ROWS; i++) rows[i] = plain_row(first, i, a.n_out);
    [[unroll]] for (int t = 0; t < TOKENS; t++)
        x[t] = row_at(a.x, first_token + min(t, n_tokens - 1), a.x_stride) +
               4ul * uint64_t(head * a.head_cols + a.column);
    stream(m, rows, x, 0ul, sums, squares);
    [[unroll]] for (int i = 0; i < ROWS; i++)
        [[unroll]] for (int t = 0; t < TOKENS; t++)
            if ((i * TOKENS + t) % lanes == int(gl_SubgroupInvocationID) && t < n_tokens && first + i < a.n_out)
                F32(row_at(a.y, first_token + t, a.y_stride)).v[head * a.n_out + first + i] = sums[i * TOKENS + t];
}

void main() {
    int first_token = int(gl_WorkGroupID.y) * TOKENS, head = int(gl_WorkGroupID.z),
        n_tokens = live_rows(a.live, a.rows) - first_token;
    if (n_tokens <= 0) return;
    matrix m = matrix_at(a.w + uint64_t(head) * a.matrix_bytes, a.n_out, a.cols);
    for (int r = ROWS * int(gl_SubgroupID); r < GROUP_ROWS; r += ROWS * int(gl_NumSubgroups))
        multiply(m, int(gl_WorkGroupID.x) * GROUP_ROWS + r, first_token, n_tokens, head);
}
