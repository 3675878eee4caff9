#version 460
#extension GL_GOOGLE_include_directive : require
#define GROUP 256
#include "kernels/dialect/shader.glsl"
#include "kernels/probe/probe.h"

layout(push_constant, scalar) uniform push {
    pio_probe_read_args a;
};

shared uint64_t partial_sums[GROUP];

/* A workgroup is a worker. */
void main() {
    uint64_t pieces = a.bytes / PIO_PROBE_PIECE, n = gl_NumWorkGroups.x, w = gl_WorkGroupID.x, sum = 0;
    uint64_t from = pieces * w / n * (PIO_PROBE_PIECE / 16), to = pieces * (w + 1) / n * (PIO_PROBE_PIECE / 16);
    uint lane = gl_LocalInvocationID.x;
    for (uint64_t at = from + lane; at < to; at += GROUP) {
        uvec4 words = U32V4(a.data + 16ul * at).v[0];
        sum += (uint64_t(words.y) << 32 | uint64_t(words.x)) + (uint64_t(words.w) << 32 | uint64_t(words.z));
    }
    partial_sums[lane] = sum;
    barrier();
    if (lane != 0u) return;
    for (uint i = 1; i < GROUP; i++) sum += partial_sums[i];
    U64(a.sums).v[uint(w)] = sum;
}
