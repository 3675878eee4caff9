/* What every shader begins with: the extensions, memory by address, and sums over a workgroup. A shader's arguments are
 * its op's argument struct, which lies in the push constants. */
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_scalar_block_layout : require
#extension GL_EXT_shader_explicit_arithmetic_types_int8 : require
#extension GL_EXT_shader_explicit_arithmetic_types_int16 : require
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require
#extension GL_EXT_shader_8bit_storage : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require

#include "kernels/dialect/args.h"

/* Memory at an address: F32(address).v[i]. The number behind V is the width of one load. */
#define MEMORY(name, type, bytes)                                                                                      \
    layout(buffer_reference, scalar, buffer_reference_align = bytes) buffer name { type v[]; };
MEMORY(F32, float, 4)
MEMORY(I32, int, 4)
MEMORY(U32, uint, 4)
MEMORY(U64, uint64_t, 8)
MEMORY(U16, uint16_t, 2)
MEMORY(I8, int8_t, 1)
MEMORY(U8, uint8_t, 1)
MEMORY(U32V2, uvec2, 8)
MEMORY(U32V4, uvec4, 16)
MEMORY(F32V4, vec4, 16)

/* The address of row t of rows `stride` bytes apart. */
uint64_t row_at(uint64_t address, int t, int stride) {
    return address + uint64_t(t) * uint64_t(stride);
}

/* The rows that are live in this step. */
int live_rows(uint64_t live, int bound) {
    return live == 0ul ? bound : min(bound, I32(live).v[0]);
}

float bf16_to_f32(uint16_t bits) {
    return uintBitsToFloat(uint(bits) << 16);
}

/* Rounded to nearest even. */
uint16_t f32_to_bf16(float x) {
    uint bits = floatBitsToUint(x);
    if (isnan(x)) return uint16_t(bits >> 16 | 0x40u);
    return uint16_t(bits + 0x7fffu + (bits >> 16 & 1u) >> 16);
}

/* ---- over the workgroup: GROUP threads, subgroups of any size from 4 on ---- */
#ifdef GROUP
layout(local_size_x = GROUP) in;

shared float group_partials[GROUP / 4];

/* Every thread of the group gets the sum; all of them call it. */
float group_sum(float x) {
    x = subgroupAdd(x);
    if (gl_NumSubgroups == 1) return x;
    barrier(); /* who still reads the last sum */
    if (subgroupElect()) group_partials[gl_SubgroupID] = x;
    barrier();
    float sum = 0;
    for (uint i = 0; i < gl_NumSubgroups; i++) sum += group_partials[i];
    return sum;
}

float group_max(float x) {
    x = subgroupMax(x);
    if (gl_NumSubgroups == 1) return x;
    barrier();
    if (subgroupElect()) group_partials[gl_SubgroupID] = x;
    barrier();
    float largest = group_partials[0];
    for (uint i = 1; i < gl_NumSubgroups; i++) largest = max(largest, group_partials[i]);
    return largest;
}
#endif
