#version 460
#extension GL_GOOGLE_include_directive : require
#define GROUP 128
#include "kernels/dialect/shader.glsl"
#include "kernels/dtype/weights.glsl"
#include "kernels/moe/moe.h"

/* A workgroup an expert and token; the last of a token's to finish chooses. Scratch: f32 logit [rows, n_experts]. */
layout(push_constant, scalar) uniform push {
    pio_router_args a;
};

#include "kernels/moe/route.glsl"

layout(buffer_reference, scalar, buffer_reference_align = 4) coherent buffer counters { int v[]; };

shared bool is_last;

/* The logit of token t for expert e. */
float logit(int t, int e, int lane) {
    uint64_t x = row_at(a.x, t, a.x_stride), w = row_at(a.w, e, 4 * a.cols);
    float sum = 0, squares = 0;
    for (int k = 8 * lane; k < a.cols; k += 8 * GROUP) {
        vec4 x_low, x_high, w_low, w_high, norm_low, norm_high;
        floats8(x, k, a.cols, x_low, x_high);
        floats8(w, k, a.cols, w_low, w_high);
        if (a.norm != 0ul) {
            floats8(a.norm, k, a.cols, norm_low, norm_high);
            squares += dot(x_low, x_low) + dot(x_high, x_high);
            x_low *= norm_low;
            x_high *= norm_high;
        }
        sum += dot(x_low, w_low) + dot(x_high, w_high);
    }
    sum = group_sum(sum);
    return a.norm == 0ul ? sum : sum * inversesqrt(group_sum(squares) / a.cols + a.norm_eps);
}

void main() {
    int e = int(gl_WorkGroupID.x), t = int(gl_WorkGroupID.y), lane = int(gl_LocalInvocationID.x);
    uint64_t logits = row_at(a.scratch, t, 4 * a.n_experts);
    if (t >= live_rows(a.live, a.rows)) {
        if (e == 0) route_nowhere(t, lane);
        return;
    }
    float own = logit(t, e, lane);
    if (lane == 0) {
        logit_row(logits).v[e] = own;
        memoryBarrierBuffer();
        is_last = atomicAdd(counters(a.arrived).v[t], 1) == a.n_experts - 1;
        if (is_last) counters(a.arrived).v[t] = 0;
        memoryBarrierBuffer();
    }
    barrier();
    if (!is_last) return;
    memoryBarrierBuffer();
    route(t, logits, lane);
}
