#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_shuffle : require
#define GROUP 128
/* Tiles in float16, multiplied by matrix units. */
#include "kernels/dialect/shader.glsl"
#include "kernels/dialect/matrix.glsl"
#include "kernels/attention/attention_tile.glsl"
