#version 460
#extension GL_GOOGLE_include_directive : require
#define GROUP 64
#include "kernels/dialect/shader.glsl"

layout(push_constant, scalar) uniform push {
    uint64_t to;
    uint value, n_tiles;
};

void main() {
    uint mine = 0;
    for (uint i = gl_LocalInvocationID.x; i < n_tiles; i += GROUP) mine += value;
    atomicAdd(U32(to).v[0], mine);
}
