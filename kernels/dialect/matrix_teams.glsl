/* Teams of 32 threads where they need not be subgroups: they wait for the whole workgroup. */
uint matrix_team() {
    return gl_LocalInvocationIndex / 32;
}
uint matrix_lane() {
    return gl_LocalInvocationIndex % 32;
}
#define MATRIX_BARRIER() barrier()

shared uint matrix_anyone;

bool matrix_team_any(bool x) {
    barrier();
    if (gl_LocalInvocationIndex == 0) matrix_anyone = 0u;
    barrier();
    if (x) atomicOr(matrix_anyone, 1u);
    barrier();
    return matrix_anyone != 0u;
}
