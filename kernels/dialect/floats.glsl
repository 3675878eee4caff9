/* Floats by four and by eight, from float32 and bf16. */

/* bf16 in the halves of two words, the earlier number in the lower half. */
uvec2 vec4_to_bf16(vec4 x) {
    return uvec2(uint(f32_to_bf16(x.x)) | uint(f32_to_bf16(x.y)) << 16,
                 uint(f32_to_bf16(x.z)) | uint(f32_to_bf16(x.w)) << 16);
}

vec4 bf16_to_vec4(uvec2 words) {
    return uintBitsToFloat(uvec4(words.x << 16, words.x & 0xffff0000u, words.y << 16, words.y & 0xffff0000u));
}
