#version 460
#extension GL_GOOGLE_include_directive : require
#define GROUP 64
#include "kernels/dialect/shader.glsl"
#include "kernels/moe/moe.h"

/* A workgroup a token. */
layout(push_constant, scalar) uniform push {
    pio_route_args a;
};

shared float score[PIO_ROUTE_EXPERTS_MAX], rank[PIO_ROUTE_EXPERTS_MAX], group_rank[PIO_ROUTE_EXPERTS_MAX];
shared int best;

const float LEAST = -3e38;

void score_all(F32 logits, int lane) {
    float largest = LEAST, total = 0;
    for (int e = lane; e < a.n_experts; e += GROUP) largest = max(largest, logits.v[e]);
    largest = group_max(largest);
    for (int e = lane; e < a.n_experts; e += GROUP) total += exp(logits.v[e] - largest);
    total = group_sum(total);
    for (int e = lane; e < a.n_experts; e += GROUP) {
        score[e] = (a.flags & PIO_ROUTE_SIGMOID) != 0 ? 1 / (1 + exp(-logits.v[e]))
                                                      : exp(logits.v[e] - largest) / total;
        rank[e] = score[e] + (a.bias == 0ul ? 0 : F32(a.bias).v[e]);
    }
    barrier();
}

/* Experts of groups that are not among the best are out. */
void leave_best_groups(int lane) {
    int size = a.n_experts / a.n_groups;
    if (a.n_groups == 1) return;
    for (int g = lane; g < a.n_groups; g += GROUP) {
        float first = LEAST, second = LEAST;
        for (int e = g * size; e < (g + 1) * size; e++) {
            second = max(second, min(first, rank[e]));
            first = max(first, rank[e]);
        }
        group_rank[g] = first + second;
    }
    barrier();
    for (int e = lane; e < a.n_experts; e += GROUP) {
        int g = e / size, better = 0;
        for (int other = 0; other < a.n_groups; other++)
            if (group_rank[other] > group_rank[g] || (group_rank[other] == group_rank[g] && other < g)) better++;
        if (better >= a.n_top_groups) rank[e] = LEAST;
    }
    barrier();
}

/* The expert of the highest rank, of equals the lowest number; it is out from now on. */
int take_best(int lane) {
    float highest = LEAST;
    for (int e = lane; e < a.n_experts; e += GROUP) highest = max(highest, rank[e]);
    highest = group_max(highest);
    if (lane == 0) best = a.n_experts;
    barrier();
    for (int e = lane; e < a.n_experts; e += GROUP)
        if (rank[e] == highest) atomicMin(best, e);
    barrier();
    int taken = min(best, a.n_experts - 1);
    barrier();
    if (lane == 0) rank[taken] = LEAST;
    barrier();
    return taken;
}

void main() {
    int t = int(gl_WorkGroupID.x), lane = int(gl_LocalInvocationID.x);
    I32 experts = I32(row_at(a.experts, t, a.experts_stride));
    if (t >= live_rows(a.live, a.rows)) {
        for (int j = lane; j < a.n_chosen; j += GROUP) experts.v[j] = -1;
        return;
    }
    score_all(F32(row_at(a.logits, t, a.logits_stride)), lane);
    leave_best_groups(lane);
    float sum = 0;
    for (int j = 0; j < a.n_chosen; j++) {
        int expert = take_best(lane);
        sum += score[expert];
        if (lane == 0) experts.v[j] = expert;
    }
    float scale = (a.flags & PIO_ROUTE_NORMALISE) != 0 ? a.scale / (sum + a.eps) : a.scale;
    F32 weights = F32(row_at(a.weights, t, a.weights_stride));
    if (lane == 0)
        for (int j = 0; j < a.n_chosen; j++) weights.v[j] = score[experts.v[j]] * scale;
}
