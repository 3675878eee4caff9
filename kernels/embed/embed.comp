#version 460
#extension GL_GOOGLE_include_directive : require
#define GROUP 256
#include "kernels/dialect/shader.glsl"
#include "kernels/dtype/weights.glsl"
#include "kernels/embed/embed.h"
#include "kernels/sample/sample.h"

layout(push_constant, scalar) uniform push {
    pio_embed_args a;
};

layout(buffer_reference, scalar, buffer_reference_align = 8) buffer slots {
    pio_sample_slot v[];
};

/* A workgroup a token. */
void main() {
    int t = int(gl_WorkGroupID.x);
    if (t >= live_rows(a.live, a.rows)) return;
    int id = I32(a.ids).v[t];
    if (id < 0) id = slots(a.slots).v[-1 - id].last_token;
    id = clamp(id, 0, a.vocab - 1);
    matrix m = matrix_at(a.table, a.vocab, a.cols);
    F32 y = F32(row_at(a.y, t, a.y_stride));
    for (int k = 8 * int(gl_LocalInvocationID.x); k < a.cols; k += 8 * GROUP) {
        vec4 low, high;
        weights8(m, id, k, low, high);
        for (int i = 0; i < 4; i++) {
            if (k + i < a.cols) y.v[k + i] = low[i];
            if (k + 4 + i < a.cols) y.v[k + 4 + i] = high[i];
        }
    }
}
