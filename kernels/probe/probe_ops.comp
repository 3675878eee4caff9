#version 460
#extension GL_GOOGLE_include_directive : require
#define GROUP 256
#include "kernels/dialect/shader.glsl"
#include "kernels/probe/probe.h"

layout(push_constant, scalar) uniform push {
    pio_probe_ops_args a;
};

/* A workgroup is a worker; a thread has 8 chains of 4 multiply-adds at a time. */
void main() {
    int rounds = (a.millions * 15625 + GROUP - 1) / GROUP; /* of 64 operations */
    vec4 chains[8];
    float start = float(gl_LocalInvocationID.x) * 1e-3;
    for (int i = 0; i < 8; i++) chains[i] = vec4(start + float(i));
    for (int round = 0; round < rounds; round++)
        [[unroll]] for (int i = 0; i < 8; i++) chains[i] = fma(chains[i], vec4(0.999), vec4(start));
    float sum = 0;
    for (int i = 0; i < 8; i++) sum += dot(chains[i], vec4(1));
    sum = group_sum(sum);
    if (gl_LocalInvocationID.x != 0u) return;
    if (gl_WorkGroupID.x == 0u) U64(a.done).v[0] = uint64_t(a.millions) * 1000000ul;
    if (sum == -1.0) U64(a.done).v[1 + gl_WorkGroupID.x] = uint64_t(sum); /* never; but the compiler does not know */
}
