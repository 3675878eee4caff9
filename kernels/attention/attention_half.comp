#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_shuffle : require
#define GROUP 128
/* Tiles in float16, multiplied without matrix units. */
#define MATRIX_TILES tiles
#define MATRIX_WORDS 1
#include "kernels/dialect/shader.glsl"
#include "kernels/dialect/matrix_plain.glsl"
#include "kernels/attention/attention_tile.glsl"
