#version 460
#extension GL_GOOGLE_include_directive : require
#define GROUP 128
#include "kernels/dialect/shader.glsl"
#include "kernels/attention/attention.h"
#include "kernels/attention/softmax.glsl"
#include "kernels/kv_cache/kv_any.glsl"
#include "kernels/kv_cache/kv_cache.h"

layout(push_constant, scalar) uniform push {
    pio_attention_args a;
};

shared float q[PIO_KV_HEAD_DIM_MAX], sums[PIO_KV_HEAD_DIM_MAX];
shared uint64_t blocks[GROUP];

float score_of(uint64_t block, int in_page) {
    float score = 0;
    for (int d = 0; d < a.head_dim; d++) score += q[d] * kv_read(block, a.head_dim, in_page, d);
    return score;
}

/* For heads of any size. A workgroup a query row and head: a key a thread for the scores, then a column a thread for the sums of values. */
void main() {
    int t = int(gl_WorkGroupID.x), head = int(gl_WorkGroupID.y), lane = int(gl_LocalInvocationID.x);
    int s = sequence_of(a.counts, a.sequences, t);
    if (s < 0) return;
    pio_step_sequence sequence = sequences(a.sequences).v[s];
    int kv_head = head / (a.n_heads / a.n_kv_heads);
    int last = (a.flags & PIO_ATTENTION_FULL) != 0 ? sequence.n_rows - 1 : t - sequence.first_row;
    int n_keys = sequence.context + last + 1;
    F32 from = F32(row_at(a.q, t, a.q_stride)), y = F32(row_at(a.y, t, a.y_stride));
    for (int d = lane; d < a.head_dim; d += GROUP) {
        q[d] = from.v[head * a.head_dim + d] * a.scale;
        sums[d] = 0;
    }
    softmax soft = softmax_begin();
    for (int first = 0; first < n_keys; first += GROUP) {
        int c = first + lane, n = min(GROUP, n_keys - first);
        float score = NO_SCORE;
        barrier();
        if (c < n_keys) {
            int page = I32(a.pages).v[sequence.first_page + c / a.page_tokens];
            blocks[lane] = kv_block(a.cache, page, kv_head, a.n_kv_heads, a.head_dim, a.page_tokens);
            score = score_of(blocks[lane], c % a.page_tokens);
        }
        float rescale = softmax_add(soft, score);
        for (int d = lane; d < a.head_dim; d += GROUP) {
            float sum = sums[d] * rescale;
            for (int i = 0; i < n; i++)
                sum += weights[i] * kv_read(blocks[i], a.head_dim, a.page_tokens + (first + i) % a.page_tokens, d);
            sums[d] = sum;
        }
    }
    for (int d = lane; d < a.head_dim; d += GROUP) y.v[head * a.head_dim + d] = sums[d] / soft.total;
}
