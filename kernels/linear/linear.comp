#version 460
#extension GL_GOOGLE_include_directive : require
#define GROUP 64
#include "kernels/dialect/shader.glsl"
#include "kernels/dtype/weights.glsl"
#include "kernels/elementwise/elementwise.h"
#include "kernels/linear/linear.h"

/* Weights are streamed: a workgroup has ROWS rows of w and TOKENS tokens, and its threads share the columns, 8 in a
 * row each. With SWIGLU, half of the rows are gates and the others the ups that belong to them. */
layout(constant_id = 1) const int TOKENS = 1;
layout(constant_id = 2) const int SWIGLU = 0;
const int ROWS = PIO_LINEAR_GROUP_ROWS;

layout(push_constant, scalar) uniform push {
    pio_linear_args a;
};

shared float partials[ROWS * 8 * GROUP / 4];

/* The workgroup's row i of w, beyond the last one: the last. */
int row_of(int i) {
    int n = int(gl_WorkGroupID.x) * ROWS + i;
    if (SWIGLU != 0) {
        int out_column = int(gl_WorkGroupID.x) * (ROWS / 2) + i / 2;
        n = out_column / PIO_SWIGLU_BLOCK * 2 * PIO_SWIGLU_BLOCK + out_column % PIO_SWIGLU_BLOCK +
            (i % 2) * PIO_SWIGLU_BLOCK;
    }
    return min(n, a.n_out - 1);
}

void store(int t, int i, float sum, float next) {
    F32 y = F32(row_at(a.y, t, a.y_stride));
    if (SWIGLU != 0) {
        int n = int(gl_WorkGroupID.x) * (ROWS / 2) + i / 2;
        if (i % 2 == 0 && n < a.n_out / 2) y.v[n] = sum / (1 + exp(-sum)) * next;
        return;
    }
    int n = int(gl_WorkGroupID.x) * ROWS + i;
    if (n >= a.n_out) return;
    if (a.bias != 0ul) sum += F32(a.bias).v[n];
    if (a.residual != 0ul) sum += F32(row_at(a.residual, t, a.residual_stride)).v[n];
    y.v[n] = sum;
}

void main() {
    int first = int(gl_WorkGroupID.y) * TOKENS, live = live_rows(a.live, a.rows), lane = int(gl_LocalInvocationID.x);
    if (first >= live) return;
    matrix m = matrix_at(a.w, a.n_out, a.cols);
    float sums[ROWS][8];
    for (int i = 0; i < ROWS; i++)
        for (int t = 0; t < TOKENS; t++) sums[i][t] = 0;
    for (int k = 8 * lane; k < a.cols; k += 8 * GROUP) {
        vec4 low[ROWS], high[ROWS];
        [[unroll]] for (int i = 0; i < ROWS; i++) weights8(m, row_of(i), k, low[i], high[i]);
        for (int t = 0; t < TOKENS; t++) {
            vec4 x_low, x_high;
            floats8(row_at(a.x, min(first + t, live - 1), a.x_stride), k, a.cols, x_low, x_high);
            [[unroll]] for (int i = 0; i < ROWS; i++) sums[i][t] += dot(low[i], x_low) + dot(high[i], x_high);
        }
    }
    for (int i = 0; i < ROWS; i++) {
        for (int t = 0; t < TOKENS; t++) {
            float sum = subgroupAdd(sums[i][t]);
            if (subgroupElect()) partials[(i * TOKENS + t) * gl_NumSubgroups + gl_SubgroupID] = sum;
        }
    }
    barrier();
    /* A thread an output; a gate's thread adds up its up's, too. */
    for (int o = lane; o < ROWS * TOKENS; o += GROUP) {
        int i = o / TOKENS, t = o % TOKENS;
        float sum = 0, next = 0;
        for (uint s = 0; s < gl_NumSubgroups; s++) {
            sum += partials[o * gl_NumSubgroups + s];
            if (SWIGLU != 0 && i + 1 < ROWS) next += partials[(o + TOKENS) * gl_NumSubgroups + s];
        }
        if (first + t < live) store(first + t, i, sum, next);
    }
}
