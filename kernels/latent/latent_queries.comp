#version 460
#extension GL_GOOGLE_include_directive : require
#define GROUP           128 /* PIO_LINEAR_GROUP */
#define LATENT_CONSTANT 4
#include "kernels/dialect/shader.glsl"
#include "kernels/elementwise/elementwise.h"
#include "kernels/latent/latent.glsl"
#include "kernels/latent/latent.h"
#include "kernels/linear/stream.glsl"
#include "kernels/rope/rope.h"

layout(push_constant, scalar) uniform push {
    pio_latent_queries_args a;
};

#include "kernels/latent/append.glsl"
#include "kernels/latent/linear_heads.glsl"
#include "kernels/latent/rope_heads.glsl"

/* Workgroups as LINEAR_HEADS has them, and one layer more, behind the last head: those share the tokens' heads of q and
 * their appends. y may be q: only what the products do not read is written there. */
void main() {
    int first_token = int(gl_WorkGroupID.y) * TOKENS, head = int(gl_WorkGroupID.z),
        n_tokens = min(live_rows(a.live, a.rows) - first_token, TOKENS), rope = a.rope_dim;
    if (n_tokens <= 0) return;
    if (head < a.n_heads) {
        heads_product p;
        p.x = a.q;
        p.x_stride = a.q_stride;
        p.first_column = head * a.head_cols + rope;
        p.y = a.q_latent;
        p.y_stride = a.q_latent_stride;
        p.n_out = a.head_dim;
        matrix m = matrix_at(a.w + uint64_t(head) * uint64_t(a.matrix_bytes), a.head_dim, a.head_cols - rope);
        multiply_heads(m, p, head, first_token, n_tokens);
        return;
    }
    for (int i = int(gl_WorkGroupID.x); i < n_tokens * (a.n_heads + 1); i += int(gl_NumWorkGroups.x)) {
        int t = first_token + i / (a.n_heads + 1), of = i % (a.n_heads + 1);
        if (of == a.n_heads)
            append(t, int(gl_LocalInvocationID.x));
        else
            rope_head(F32(row_at(a.q, t, a.q_stride)), F32(row_at(a.y, t, a.q_stride)), t, of, a.y != a.q);
    }
}
