/* Products of a few rows of weights with a few rows of activations: weights are streamed, the workgroup's threads share
 * the columns, 8 in a row each. Specialisation constant 1: for how many rows of activations it is made. */
#include "kernels/dtype/weights.glsl"
#include "kernels/linear/linear.h"

layout(constant_id = 1) const int TOKENS = 1;
const int ROWS = 4, MOST_TOKENS = 8;

shared float partials[ROWS * MOST_TOKENS * GROUP / 4];
shared float products[ROWS * MOST_TOKENS]; /* [ROWS, TOKENS] */

/* products[i][t] = rows[i] of m times the float32 row at x[t]. */
void multiply(matrix m, int rows[ROWS], uint64_t x[MOST_TOKENS]) {
    int lane = int(gl_LocalInvocationID.x);
    float sums[ROWS][MOST_TOKENS];
    for (int i = 0; i < ROWS; i++)
        for (int t = 0; t < TOKENS; t++) sums[i][t] = 0;
    for (int k = 8 * lane; k < m.cols; k += 8 * GROUP) {
        vec4 low[ROWS], high[ROWS];
        [[unroll]] for (int i = 0; i < ROWS; i++) weights8(m, rows[i], k, low[i], high[i]);
        for (int t = 0; t < TOKENS; t++) {
            vec4 x_low, x_high;
            floats8(x[t], k, m.cols, x_low, x_high);
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
    for (int o = lane; o < ROWS * TOKENS; o += GROUP) {
        float sum = 0;
        for (uint s = 0; s < gl_NumSubgroups; s++) sum += partials[o * gl_NumSubgroups + s];
        products[o] = sum;
    }
    barrier();
}

/* ---- the pairs of gate and up ---- a workgroup has half as many columns of y as rows: gates first, then their ups */

int swiglu_row(int i, int n_out) {
    int column = int(gl_WorkGroupID.x) * (ROWS / 2) + i % (ROWS / 2);
    int gate = column / PIO_SWIGLU_BLOCK * 2 * PIO_SWIGLU_BLOCK + column % PIO_SWIGLU_BLOCK;
    return min(gate + (i < ROWS / 2 ? 0 : PIO_SWIGLU_BLOCK), n_out - 1);
}

float swiglu_product(int i, int t) {
    float gate = products[i * TOKENS + t];
    return gate / (1 + exp(-gate)) * products[(i + ROWS / 2) * TOKENS + t];
}
