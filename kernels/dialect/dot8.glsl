/* Sums of four products of bytes by the device's instructions of SPV_KHR_integer_dot_product, which has no GLSL of its
 * own yet: OpSDot, both signed, and OpSUDot, the second one's unsigned. */
#extension GL_EXT_spirv_intrinsics : require

spirv_instruction(extensions = ["SPV_KHR_integer_dot_product"], capabilities = [6018, 6019], id = 4450)
int op_dot8(int a, int b, spirv_literal int format);

spirv_instruction(extensions = ["SPV_KHR_integer_dot_product"], capabilities = [6018, 6019], id = 4452)
int op_dot8_unsigned(int a, int b, spirv_literal int format);

int dot8(uint a, uint b) {
    return op_dot8(int(a), int(b), 0);
}

int dot8_unsigned(uint a, uint b) {
    return op_dot8_unsigned(int(a), int(b), 0);
}
