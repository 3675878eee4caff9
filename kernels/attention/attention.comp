#version 460
#extension GL_GOOGLE_include_directive : require
#define GROUP 128
#include "kernels/dialect/shader.glsl"
#include "kernels/attention/attention.h"
#include "kernels/kv_cache/kv_cache.glsl"
#include "kernels/kv_cache/kv_cache.h"
#include "kernels/step.h"

layout(push_constant, scalar) uniform push {
    pio_attention_args a;
};

layout(buffer_reference, scalar, buffer_reference_align = 4) buffer sequences {
    pio_step_sequence v[];
};

shared float q[PIO_KV_HEAD_DIM_MAX], sums[PIO_KV_HEAD_DIM_MAX], weights[GROUP];
shared uint64_t blocks[GROUP];

/* The sequence whose rows include t; -1: none. */
int sequence_of(int t, int n) {
    for (int s = 0; s < n; s++) {
        int first = sequences(a.sequences).v[s].first_row;
        if (t >= first && t < first + sequences(a.sequences).v[s].n_rows) return s;
    }
    return -1;
}

/* A workgroup a query row and head: GROUP keys at a time, a key a thread for the scores, then a column a thread for the
 * sums of values, rescaled as the largest score grows (Milakov and Gimelshein 2018). */
void main() {
    int t = int(gl_WorkGroupID.x), head = int(gl_WorkGroupID.y), lane = int(gl_LocalInvocationID.x);
    int s = sequence_of(t, I32(a.counts).v[1]); /* n_sequences */
    if (s < 0) return;
    pio_step_sequence sequence = sequences(a.sequences).v[s];
    int kv_head = head / (a.n_heads / a.n_kv_heads);
    int last = (a.flags & PIO_ATTENTION_FULL) != 0 ? sequence.n_rows - 1 : t - sequence.first_row;
    int n_keys = sequence.context + last + 1;
    F32 from = F32(row_at(a.q, t, a.q_stride));
    for (int d = lane; d < a.head_dim; d += GROUP) {
        q[d] = from.v[head * a.head_dim + d] * a.scale;
        sums[d] = 0;
    }
    float largest = -1e38, total = 0;
    for (int first = 0; first < n_keys; first += GROUP) {
        barrier();
        int c = first + lane;
        float score = -1e38;
        if (c < n_keys) {
            int page = I32(a.pages).v[sequence.first_page + c / a.page_tokens], in_page = c % a.page_tokens;
            uint64_t block = kv_block(a.cache, page, kv_head, a.n_kv_heads, a.head_dim, a.page_tokens);
            blocks[lane] = block;
            score = 0;
            for (int d = 0; d < a.head_dim; d++) score += q[d] * kv_read(block, k_at(a.head_dim, in_page, d));
        }
        float grown = max(largest, group_max(score)), rescale = exp(largest - grown);
        weights[lane] = c < n_keys ? exp(score - grown) : 0;
        total = total * rescale + group_sum(weights[lane]);
        largest = grown;
        barrier();
        int n = min(GROUP, n_keys - first);
        for (int d = lane; d < a.head_dim; d += GROUP) {
            float sum = sums[d] * rescale;
            for (int i = 0; i < n; i++)
                sum += weights[i] *
                       kv_read(blocks[i], v_at(a.head_dim, a.page_tokens, (first + i) % a.page_tokens, d));
            sums[d] = sum;
        }
    }
    F32 y = F32(row_at(a.y, t, a.y_stride));
    for (int d = lane; d < a.head_dim; d += GROUP) y.v[head * a.head_dim + d] = sums[d] / total;
}
