#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_shuffle : require
#define GROUP 128
#include "kernels/dialect/shader.glsl"
#include "kernels/attention/attention.h"
#include "kernels/attention/sequences.glsl"
#include "kernels/kv_cache/kv_cache.glsl"

/* Attention of few rows, limited by memory. A workgroup has one row, up to HEADS query heads of one KV head, which
 * share its keys and values, and a part of the context. LANES neighbouring threads have a key: 8 columns each at a
 * time, so that 128 bytes in a row are one load of a subgroup, and the same columns of the sums. Each such cluster
 * walks its own keys with its own running softmax (Milakov and Gimelshein 2018); no barrier stands before the end of
 * them. Queries and sums are registers: HEADS * CHUNKS * 8 of each, 64 or fewer by attention_launch.c. KEYS keys are
 * read at once, K and V both, before any of them is used. */
layout(push_constant, scalar) uniform push {
    pio_attention_args a;
};

layout(constant_id = 1) const int DIM = 128;
layout(constant_id = 2) const int HEADS = 4;
layout(constant_id = 3) const int LANES = 4; /* a power of two, at most the subgroup's size */
layout(constant_id = 4) const int KEYS = 2;
layout(constant_id = 5) const int PAGE_TOKENS = 64;

#define VALUE_DIM       DIM
#define PART_LEAST_KEYS 64
#include "kernels/attention/parts.glsl"

const int CHUNKS = (DIM / 8 + LANES - 1) / LANES; /* of 8 columns, a thread */
const int CLUSTERS = GROUP / LANES, STEP = CLUSTERS * KEYS;
const int WORDS = 2 - KV_BF16; /* of 16 bytes, a chunk */
const int BATCH = HEADS < 4 ? HEADS : 4;

shared vec4 exchange[2 * BATCH * GROUP];
shared vec2 cluster_ends[HEADS * CLUSTERS], ends[HEADS];

/* The largest score and the sum of weights of two softmaxes together. */
vec2 merged(vec2 one, vec2 other) {
    float largest = max(one.x, other.x);
    return vec2(largest, one.y * exp2(one.x - largest) + other.y * exp2(other.x - largest));
}

void main() {
    const int thread = int(gl_LocalInvocationID.x), member = thread % LANES, cluster = thread / LANES;
    const int group = a.n_heads / a.n_kv_heads, n_shares = (group + HEADS - 1) / HEADS;
    const int part = int(gl_WorkGroupID.x) / n_shares, share = int(gl_WorkGroupID.x) % n_shares,
              kv_head = int(gl_WorkGroupID.y), t = int(gl_WorkGroupID.z);
    pio_step_sequence sequence = sequence_of(a.counts, a.sequences, t);
    if (sequence.n_rows == 0) return;
    const int first_head = kv_head * group + share * HEADS, n_heads = min(HEADS, group - share * HEADS);
    const int last_seen = (a.flags & PIO_ATTENTION_FULL) != 0 ? sequence.n_rows - 1 : t - sequence.first_row;
    const int n_keys = sequence.context + last_seen + 1, part_keys = keys_of_part(n_keys),
              n_parts = (n_keys + part_keys - 1) / part_keys, first = part * part_keys,
              last = min(first + part_keys, n_keys);
    if (part >= n_parts) return;

    /* Heads past the group's repeat its last, columns past the head are 0. */
    vec4 q[HEADS * CHUNKS * 2], sums[HEADS * CHUNKS * 2];
    float largest[HEADS], total[HEADS];
    F32V4 from = F32V4(row_at(a.q, t, a.q_stride));
    const float scale = a.scale * 1.44269504; /* scores are logarithms to base 2 */
    [[unroll]] for (int h = 0; h < HEADS; h++) {
        int head = first_head + min(h, n_heads - 1);
        [[unroll]] for (int c = 0; c < CHUNKS; c++) {
            int chunk = c * LANES + member, at = head * (DIM / 4) + 2 * chunk, i = 2 * (h * CHUNKS + c);
            bool there = chunk < DIM / 8;
            q[i] = there ? from.v[at] * scale : vec4(0);
            q[i + 1] = there ? from.v[at + 1] * scale : vec4(0);
            sums[i] = sums[i + 1] = vec4(0);
        }
        largest[h] = NO_SCORE;
        total[h] = 0;
    }

    int pages[KEYS];
    [[unroll]] for (int j = 0; j < KEYS; j++)
        pages[j] = I32(a.pages).v[sequence.first_page + min(first + j * CLUSTERS + cluster, last - 1) / PAGE_TOKENS];
    [[dont_unroll]] for (int base = first; base < last; base += STEP) {
        uvec4 k[KEYS * CHUNKS * WORDS], v[KEYS * CHUNKS * WORDS];
        float scores[KEYS * HEADS];
        [[unroll]] for (int j = 0; j < KEYS; j++) {
            int key = min(base + j * CLUSTERS + cluster, last - 1);
            U32V4 block = U32V4(kv_block(a.cache, pages[j], kv_head, a.n_kv_heads, DIM, PAGE_TOKENS));
            [[unroll]] for (int c = 0; c < CHUNKS; c++) {
                int chunk = min(c * LANES + member, DIM / 8 - 1), at = (key % PAGE_TOKENS * (DIM / 8) + chunk) * WORDS;
                [[unroll]] for (int w = 0; w < WORDS; w++) {
                    k[(j * CHUNKS + c) * WORDS + w] = block.v[at + w];
                    v[(j * CHUNKS + c) * WORDS + w] = block.v[at + PAGE_TOKENS * (DIM / 8) * WORDS + w];
                }
            }
        }
        [[unroll]] for (int j = 0; j < KEYS; j++) /* of the next keys, whose addresses wait for it */
            pages[j] = I32(a.pages)
                           .v[sequence.first_page + min(base + STEP + j * CLUSTERS + cluster, last - 1) / PAGE_TOKENS];
        [[unroll]] for (int j = 0; j < KEYS; j++) {
            [[unroll]] for (int h = 0; h < HEADS; h++) scores[j * HEADS + h] = 0;
            [[unroll]] for (int c = 0; c < CHUNKS; c++) {
                vec4 low, high;
                int at = (j * CHUNKS + c) * WORDS;
                open8(k[at], k[at + WORDS - 1], low, high);
                [[unroll]] for (int h = 0; h < HEADS; h++) {
                    int i = 2 * (h * CHUNKS + c);
                    scores[j * HEADS + h] += dot(low, q[i]) + dot(high, q[i + 1]);
                }
            }
        }
        [[unroll]] for (int mask = 1; mask < LANES; mask *= 2)
            [[unroll]] for (int i = 0; i < KEYS * HEADS; i++) scores[i] += subgroupShuffleXor(scores[i], uint(mask));
        [[unroll]] for (int h = 0; h < HEADS; h++) {
            float grown = largest[h];
            [[unroll]] for (int j = 0; j < KEYS; j++)
                if (base + j * CLUSTERS + cluster < last) grown = max(grown, scores[j * HEADS + h]);
            if (grown > largest[h]) { /* seldom, behind the first keys */
                float shrink = exp2(largest[h] - grown);
                total[h] *= shrink;
                [[unroll]] for (int i = 2 * h * CHUNKS; i < 2 * (h + 1) * CHUNKS; i++) sums[i] *= shrink;
                largest[h] = grown;
            }
            [[unroll]] for (int j = 0; j < KEYS; j++) {
                bool there = base + j * CLUSTERS + cluster < last;
                scores[j * HEADS + h] = there ? exp2(scores[j * HEADS + h] - grown) : 0;
                total[h] += scores[j * HEADS + h];
            }
        }
        [[unroll]] for (int j = 0; j < KEYS; j++) {
            [[unroll]] for (int c = 0; c < CHUNKS; c++) {
                vec4 low, high;
                int at = (j * CHUNKS + c) * WORDS;
                open8(v[at], v[at + WORDS - 1], low, high);
                [[unroll]] for (int h = 0; h < HEADS; h++) {
                    int i = 2 * (h * CHUNKS + c);
                    sums[i] += scores[j * HEADS + h] * low;
                    sums[i + 1] += scores[j * HEADS + h] * high;
                }
            }
        }
    }

    /* The clusters' softmaxes become one. */
    if (member == 0)
        [[unroll]] for (int h = 0; h < HEADS; h++) cluster_ends[h * CLUSTERS + cluster] = vec2(largest[h], total[h]);
    barrier();
    [[dont_unroll]] for (int h = thread; h < HEADS; h += GROUP) {
        vec2 all = vec2(NO_SCORE, 0);
        [[dont_unroll]] for (int i = 0; i < CLUSTERS; i++) all = merged(all, cluster_ends[h * CLUSTERS + i]);
        ends[h] = all;
    }
    barrier();
    [[unroll]] for (int h = 0; h < HEADS; h++) {
        float shrink = exp2(largest[h] - ends[h].x);
        [[unroll]] for (int i = 2 * h * CHUNKS; i < 2 * (h + 1) * CHUNKS; i++) sums[i] *= shrink;
    }

    /* And their sums, BATCH heads at a time. */
    F32V4 to = F32V4(row_at(a.y, t, a.y_stride));
    [[unroll]] for (int c = 0; c < CHUNKS; c++) {
        [[unroll]] for (int first_of_batch = 0; first_of_batch < HEADS; first_of_batch += BATCH) {
            barrier();
            [[unroll]] for (int b = 0; b < BATCH; b++) {
                int i = 2 * (min(first_of_batch + b, HEADS - 1) * CHUNKS + c);
                exchange[2 * (b * GROUP + thread)] = sums[i];
                exchange[2 * (b * GROUP + thread) + 1] = sums[i + 1];
            }
            barrier();
            [[dont_unroll]] for (int o = thread; o < BATCH * LANES * 2; o += GROUP) {
                int b = o / (LANES * 2), h = first_of_batch + b, in_cluster = o % (LANES * 2),
                    column = c * LANES * 8 + in_cluster * 4;
                if (h >= n_heads || column >= DIM) continue;
                vec4 sum = vec4(0);
                [[unroll]] for (int i = 0; i < CLUSTERS; i++) sum += exchange[2 * (b * GROUP + i * LANES) + in_cluster];
                if (n_parts == 1)
                    to.v[((first_head + h) * DIM + column) / 4] = sum * inverse_of(ends[h].y);
                else
                    part_write(part_index(t, part, first_head + h), column, sum);
            }
        }
    }
    if (n_parts == 1) return;
    if (thread < n_heads) part_write_ends(part_index(t, part, first_head + thread), ends[thread].x, ends[thread].y);
    if (!part_is_last((t * a.n_kv_heads + kv_head) * n_shares + share, n_parts)) return;
    [[dont_unroll]] for (int o = thread; o < n_heads * (DIM / 4); o += GROUP) {
        int head = first_head + o / (DIM / 4), column = o % (DIM / 4) * 4;
        to.v[(head * DIM + column) / 4] = part_combine(t, head, column, n_parts);
    }
}
