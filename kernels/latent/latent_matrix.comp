#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_shuffle : require
#define GROUP 256
/* Tiles multiplied by matrix units. */
#include "kernels/dialect/shader.glsl"
#include "kernels/dialect/matrix.glsl"
#include "kernels/latent/latent_tile.glsl"
