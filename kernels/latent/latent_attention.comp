#version 460
#extension GL_GOOGLE_include_directive : require
#define GROUP 128
#include "kernels/dialect/shader.glsl"
#include "kernels/attention/softmax.glsl"
#include "kernels/latent/latent.glsl"
#include "kernels/latent/latent.h"

layout(push_constant, scalar) uniform push {
    pio_latent_attention_args a;
};

shared float q[PIO_LATENT_DIM_MAX + PIO_LATENT_ROPE_MAX], sums[PIO_LATENT_DIM_MAX];
shared uint64_t rows[GROUP];

/* A workgroup a query row and head: a key a thread for the scores, then a column a thread for the sums of latents. */
void main() {
    int t = int(gl_WorkGroupID.x), head = int(gl_WorkGroupID.y), lane = int(gl_LocalInvocationID.x);
    int s = sequence_of(a.counts, a.sequences, t), cols = a.head_dim + a.rope_dim;
    if (s < 0) return;
    pio_step_sequence sequence = sequences(a.sequences).v[s];
    int n_keys = sequence.context + t - sequence.first_row + 1;
    F32 of_latent = F32(row_at(a.q_latent, t, a.q_latent_stride)), of_rope = F32(row_at(a.q, t, a.q_stride)),
        y = F32(row_at(a.y, t, a.y_stride));
    for (int d = lane; d < a.head_dim; d += GROUP) {
        q[d] = of_latent.v[head * a.head_dim + d] * a.scale;
        sums[d] = 0;
    }
    for (int d = lane; d < a.rope_dim; d += GROUP) q[a.head_dim + d] = of_rope.v[head * a.head_cols + d] * a.scale;
    softmax soft = softmax_begin();
    for (int first = 0; first < n_keys; first += GROUP) {
        int c = first + lane, n = min(GROUP, n_keys - first);
        float score = NO_SCORE;
        barrier();
        if (c < n_keys) {
            int page = I32(a.pages).v[sequence.first_page + c / a.page_tokens];
            rows[lane] = latent_row(a.cache, page * a.page_tokens + c % a.page_tokens, a.head_dim, a.rope_dim);
            score = 0;
            for (int d = 0; d < cols; d++) score += q[d] * latent_read(rows[lane], d);
        }
        float rescale = softmax_add(soft, score);
        for (int d = lane; d < a.head_dim; d += GROUP) {
            float sum = sums[d] * rescale;
            for (int i = 0; i < n; i++) sum += weights[i] * latent_read(rows[i], d);
            sums[d] = sum;
        }
    }
    for (int d = lane; d < a.head_dim; d += GROUP) y.v[head * a.head_dim + d] = sums[d] / soft.total;
}
