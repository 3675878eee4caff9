#version 460
#extension GL_GOOGLE_include_directive : require
#define GROUP 256
#include "kernels/dialect/shader.glsl"
#include "kernels/dtype/weights.glsl"
#include "kernels/step.h"
#include "kernels/vision/vision.h"

layout(push_constant, scalar) uniform push {
    pio_add_positions_args a;
};

layout(buffer_reference, scalar, buffer_reference_align = 4) buffer taps {
    pio_step_taps v[];
};

/* A workgroup a patch. */
void main() {
    int t = int(gl_WorkGroupID.x);
    if (t >= live_rows(a.live, a.rows)) return;
    pio_step_taps tap = taps(a.taps).v[t];
    matrix m = matrix_at(a.table, a.table_rows, a.cols);
    F32 x = F32(row_at(a.x, t, a.x_stride)), y = F32(row_at(a.y, t, a.y_stride));
    for (int k = 8 * int(gl_LocalInvocationID.x); k < a.cols; k += 8 * GROUP) {
        vec4 low, high, low_sum = vec4(0), high_sum = vec4(0);
        for (int j = 0; j < 4; j++) {
            weights8(m, clamp(tap.row[j], 0, a.table_rows - 1), k, low, high);
            low_sum += tap.share[j] * low;
            high_sum += tap.share[j] * high;
        }
        for (int i = 0; i < 4; i++) {
            if (k + i < a.cols) y.v[k + i] = x.v[k + i] + low_sum[i];
            if (k + 4 + i < a.cols) y.v[k + 4 + i] = x.v[k + 4 + i] + high_sum[i];
        }
    }
}
