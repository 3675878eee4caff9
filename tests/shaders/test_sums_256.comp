#version 460
#extension GL_GOOGLE_include_directive : require
#define GROUP 256
#include "tests/shaders/sums.glsl"
