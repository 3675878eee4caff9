#version 460
#extension GL_GOOGLE_include_directive : require
#include "kernels/moe/experts_few.glsl"
