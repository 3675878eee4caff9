/* A head of q rotated by the workgroup, pairs in registers, so that y may be q; the other columns are copied if asked.
 * The argument struct `a` has ROPE_LATENT_APPEND's names. */
void rope_head(F32 q, F32 y, int t, int head, bool copies) {
    int lane = int(gl_LocalInvocationID.x), first = head * a.head_cols;
    F32 table = F32(row_at(a.table, t, a.table_stride));
    float one, two;
    if (2 * lane < a.rope_dim) rotate_pair(q, first, table, lane, one, two);
    barrier();
    if (2 * lane < a.rope_dim) {
        y.v[first + lane] = one;
        y.v[first + a.rope_dim / 2 + lane] = two;
    }
    for (int i = a.rope_dim + lane; i < a.head_cols && copies; i += GROUP) y.v[first + i] = q.v[first + i];
}
