#version 460
#extension GL_GOOGLE_include_directive : require
#define GROUP 128 /* PIO_LINEAR_GROUP */
#include "kernels/dialect/shader.glsl"
#include "kernels/elementwise/elementwise.h"
#include "kernels/latent/latent.h"
#include "kernels/linear/stream.glsl"

layout(push_constant, scalar) uniform push {
    pio_linear_heads_args a;
};

#include "kernels/latent/linear_heads.glsl"

void main() {
    int first_token = int(gl_WorkGroupID.y) * TOKENS, head = int(gl_WorkGroupID.z),
        n_tokens = live_rows(a.live, a.rows) - first_token;
    if (n_tokens <= 0) return;
    heads_product p;
    p.x = a.x;
    p.x_stride = a.x_stride;
    p.first_column = head * a.head_cols + a.column;
    p.y = a.y;
    p.y_stride = a.y_stride;
    p.n_out = a.n_out;
    multiply_heads(matrix_at(a.w + uint64_t(head) * a.matrix_bytes, a.n_out, a.cols), p, head, first_token, n_tokens);
}
