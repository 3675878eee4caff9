/* The sum of four products of signed bytes, by the device's instruction: OpSDot of SPV_KHR_integer_dot_product, which
 * has no GLSL of its own yet. */
#extension GL_EXT_spirv_intrinsics : require

spirv_instruction(extensions = ["SPV_KHR_integer_dot_product"], capabilities = [6018, 6019], id = 4450)
int op_dot8(int a, int b, spirv_literal int format);

int dot8(uint a, uint b) {
    return op_dot8(int(a), int(b), 0);
}
