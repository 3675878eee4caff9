#version 460
#extension GL_GOOGLE_include_directive : require
#define GROUP 256
#include "kernels/dialect/shader.glsl"
#include "kernels/sample/sample.h"
#include "kernels/step.h"

/* A workgroup a draw. Probabilities are whole numbers of 2^-40, so that sums do not depend on their order: candidates
 * need no sorting. Each has a rank of 64 bits, all different, and what top_k, top_p and the draw itself ask for is always
 * the largest rank from which on upwards there are so many candidates, or so much probability. */
layout(push_constant, scalar) uniform push {
    pio_sample_args a;
};

layout(buffer_reference, scalar, buffer_reference_align = 8) buffer slots {
    pio_sample_slot v[];
};
layout(buffer_reference, scalar, buffer_reference_align = 4) buffer biases {
    pio_sample_bias v[];
};
layout(buffer_reference, scalar, buffer_reference_align = 4) buffer draws {
    pio_step_draw v[];
};

#define NONE uintBitsToFloat(0xff800000u) /* minus infinity */
const float ONE = 1099511627776.0;
const float REACH = 28; /* nats below the best where probabilities are less than 2^-40 */

shared uint64_t sums[GROUP];
shared int n_found;

uint64_t group_sum(uint64_t x) {
    int lane = int(gl_LocalInvocationID.x);
    barrier();
    sums[lane] = x;
    for (int half_way = GROUP / 2; half_way > 0; half_way /= 2) {
        barrier();
        if (lane < half_way) sums[lane] += sums[lane + half_way];
    }
    barrier();
    return sums[0];
}

/* In rising order of what it stands for. */
uint order_of(float x) {
    uint bits = floatBitsToUint(x);
    return (bits & 0x80000000u) != 0u ? ~bits : bits | 0x80000000u;
}

/* ---- logits ---- */

float penalised(pio_sample_slot slot, float x, uint count) {
    if (count == 0u) return x;
    x = x > 0 ? x / slot.repetition_penalty : x * slot.repetition_penalty;
    uint generated = count & ~uint(PIO_COUNT_IN_PROMPT);
    return generated == 0u ? x : x - (slot.presence_penalty + float(generated) * slot.frequency_penalty);
}

void adjust(pio_sample_slot slot, F32 from, F32 to, int lane) {
    for (int i = lane; i < a.vocab; i += GROUP) {
        float x = from.v[i];
        to.v[i] = (floatBitsToUint(x) & 0x7fffffffu) > 0x7f800000u ? NONE : x;
    }
    barrier();
    if (lane == 0)
        for (int i = 0; i < slot.n_biases; i++) {
            pio_sample_bias bias = biases(slot.biases).v[i];
            if (bias.id >= 0 && bias.id < a.vocab) to.v[bias.id] += bias.bias;
        }
    barrier();
    if (slot.counts != 0ul)
        for (int i = lane; i < a.vocab; i += GROUP) to.v[i] = penalised(slot, to.v[i], U16(slot.counts).v[i]);
    barrier();
}

/* The largest logit, of equals the lowest id; -1: none is finite. */
int find_best(F32 x, int lane) {
    uint64_t best = 0;
    for (int i = lane; i < a.vocab; i += GROUP)
        if (x.v[i] > NONE) best = max(best, uint64_t(order_of(x.v[i])) << 32 | uint64_t(~uint(i)));
    barrier();
    sums[lane] = best;
    for (int half_way = GROUP / 2; half_way > 0; half_way /= 2) {
        barrier();
        if (lane < half_way) sums[lane] = max(sums[lane], sums[lane + half_way]);
    }
    barrier();
    return sums[0] == 0ul ? -1 : int(~uint(sums[0] & 0xfffffffful));
}

/* ---- candidates ---- */

struct candidates {
    F32 logits;
    I32 ids;
    int n;
    float best, temperature;
    bool by_rank; /* likeliest first; else by rising id */
    uint64_t least_rank, least_weight;
};

uint64_t rank_of(candidates c, int id) {
    uint64_t rank = uint64_t(~uint(id));
    return c.by_rank ? uint64_t(order_of(c.logits.v[id])) << 32 | rank : rank;
}

uint64_t weight_of(candidates c, int id) {
    return uint64_t(exp((c.logits.v[id] - c.best) / c.temperature) * ONE);
}

/* How many candidates, or how much weight, there is from a rank on. */
uint64_t sum_from(candidates c, uint64_t rank, bool count, int lane) {
    uint64_t sum = 0;
    for (int i = lane; i < c.n; i += GROUP) {
        int id = c.ids.v[i];
        uint64_t weight = weight_of(c, id);
        if (rank_of(c, id) >= max(rank, c.least_rank) && weight >= c.least_weight) sum += count ? 1ul : weight;
    }
    return group_sum(sum);
}

uint64_t find_rank(candidates c, uint64_t wanted, bool count, int lane) {
    uint64_t rank = 0;
    for (int bit = c.by_rank ? 63 : 31; bit >= 0; bit--)
        if (sum_from(c, rank | 1ul << bit, count, lane) >= wanted) rank |= 1ul << bit;
    return rank;
}

/* Philox4x32-10, its first word: the first 32 bits of the uniform number. */
uint uniform_bits(uint64_t seed, uint position) {
    uvec4 c = uvec4(position, 0, 0, 0);
    uvec2 key = uvec2(uint(seed), uint(seed >> 32));
    for (int i = 0; i < 10; i++, key += uvec2(0x9e3779b9u, 0xbb67ae85u)) {
        uvec2 high, low;
        umulExtended(uvec2(0xd2511f53u, 0xcd9e8d57u), c.xz, high, low);
        c = uvec4(high.y ^ c.y ^ key.x, low.y, high.x ^ c.w ^ key.y, low.x);
    }
    return c.x;
}

int draw(pio_sample_slot slot, F32 logits, I32 ids, int best, uint position, int lane) {
    candidates c = candidates(logits, ids, 0, logits.v[best], slot.temperature, slot.top_k > 0 || slot.top_p < 1, 0ul,
                              max(1ul, uint64_t(slot.min_p * ONE)));
    if (lane == 0) n_found = 0;
    barrier();
    for (int i = lane; i < a.vocab; i += GROUP)
        if (logits.v[i] >= c.best - REACH * slot.temperature) ids.v[atomicAdd(n_found, 1)] = i;
    barrier();
    c.n = n_found;
    uint64_t least_weight = c.least_weight;
    c.least_weight = 1ul;
    if (slot.top_k > 0 && slot.top_k < c.n) c.least_rank = find_rank(c, uint64_t(slot.top_k), true, lane);
    if (slot.top_p < 1) {
        uint64_t total = sum_from(c, 0ul, false, lane);
        c.least_rank = max(c.least_rank, find_rank(c, max(1ul, uint64_t(float(total) * slot.top_p)), false, lane));
    }
    c.least_weight = least_weight;
    uint64_t total = sum_from(c, 0ul, false, lane), u = uint64_t(uniform_bits(slot.seed, position));
    uint64_t rest = (total >> 32) * u + ((total & 0xfffffffful) * u >> 32);
    return int(~uint(find_rank(c, rest + 1ul, false, lane) & 0xfffffffful));
}

void main() {
    int o = int(gl_WorkGroupID.x), lane = int(gl_LocalInvocationID.x);
    if (o >= live_rows(a.live, a.rows)) return;
    pio_step_draw d = draws(a.draws).v[o];
    if (d.slot < 0) return;
    pio_sample_slot slot = slots(a.slots).v[d.slot];
    uint64_t scratch = a.scratch + 12ul * uint64_t(o) * uint64_t(a.vocab);
    F32 logits = F32(scratch);
    adjust(slot, F32(row_at(a.logits, o, a.stride)), logits, lane);
    int token = find_best(logits, lane);
    if (token >= 0 && slot.temperature > 0)
        token = draw(slot, logits, I32(scratch + 4ul * uint64_t(a.vocab)), token, uint(d.position), lane);
    if (lane != 0) return;
    I32(a.ring).v[d.ring] = token;
    slots(a.slots).v[d.slot].last_token = max(0, token);
    if (token >= 0 && slot.counts != 0ul) U16(slot.counts).v[token] += uint16_t(1);
}
