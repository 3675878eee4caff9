#version 460
#extension GL_GOOGLE_include_directive : require
#define GROUP 256
#include "kernels/dialect/shader.glsl"
#include "kernels/probe/probe.h"

layout(push_constant, scalar) uniform push {
    pio_probe_read_args a;
};

shared uint64_t partial_sums[GROUP];

uint64_t sum_of(uvec4 words) {
    return (uint64_t(words.y) << 32 | uint64_t(words.x)) + (uint64_t(words.w) << 32 | uint64_t(words.z));
}

/* A workgroup is a worker. */
void main() {
    uint64_t pieces = a.bytes / PIO_PROBE_PIECE, n = gl_NumWorkGroups.x, w = gl_WorkGroupID.x, sum = 0;
    uint64_t from = pieces * w / n * (PIO_PROBE_PIECE / 16), to = pieces * (w + 1) / n * (PIO_PROBE_PIECE / 16);
    uint lane = gl_LocalInvocationID.x;
    uint64_t at = from + lane;
    for (; at + 7 * GROUP < to; at += 8 * GROUP) { /* several loads under way */
        uvec4 words[8];
        [[unroll]] for (int i = 0; i < 8; i++) words[i] = U32V4(a.data + 16ul * (at + i * GROUP)).v[0];
        [[unroll]] for (int i = 0; i < 8; i++) sum += sum_of(words[i]);
    }
    for (; at < to; at += GROUP) sum += sum_of(U32V4(a.data + 16ul * at).v[0]);
    partial_sums[lane] = sum;
    barrier();
    if (lane != 0u) return;
    for (uint i = 1; i < GROUP; i++) sum += partial_sums[i];
    U64(a.sums).v[uint(w)] = sum;
}
