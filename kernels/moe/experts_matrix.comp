#version 460
#extension GL_GOOGLE_include_directive : require
#define GROUP 256
#include "kernels/dialect/shader.glsl"
#include "kernels/elementwise/elementwise.h"
#include "kernels/linear/tiles_matrix.glsl"
#include "kernels/moe/moe.h"
#include "kernels/moe/experts_many.glsl"
