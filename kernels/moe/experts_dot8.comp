#version 460
#extension GL_GOOGLE_include_directive : require
#define PIO_DOT8
#include "kernels/moe/experts_few.glsl"
