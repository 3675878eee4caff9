/* What LINEAR_HEADS does for a head, some rows of its matrix and some tokens: a workgroup has GROUP_ROWS rows and TOKENS
 * tokens. */
struct heads_product {
    uint64_t x, y;
    int x_stride, y_stride, first_column, n_out;
};

void multiply_rows(matrix m, heads_product p, int first, int head, int first_token, int n_tokens) {
    int lanes = int(gl_SubgroupSize);
    [[unroll]] for (int i = 0; i < ROWS; i++) rows[i] = plain_row(first, i, p.n_out);
    [[unroll]] for (int t = 0; t < TOKENS; t++)
        x[t] = row_at(p.x, first_token + min(t, n_tokens - 1), p.x_stride) + 4ul * uint64_t(p.first_column);
    stream(m, 0ul);
    [[unroll]] for (int i = 0; i < ROWS; i++)
        [[unroll]] for (int t = 0; t < TOKENS; t++)
            if ((i * TOKENS + t) % lanes == int(gl_SubgroupInvocationID) && t < n_tokens && first + i < p.n_out)
                F32(row_at(p.y, first_token + t, p.y_stride)).v[head * p.n_out + first + i] = sums[i * TOKENS + t];
}

void multiply_heads(matrix m, heads_product p, int head, int first_token, int n_tokens) {
    for (int r = ROWS * int(gl_SubgroupID); r < GROUP_ROWS; r += ROWS * int(gl_NumSubgroups))
        multiply_rows(m, p, int(gl_WorkGroupID.x) * GROUP_ROWS + r, head, first_token, n_tokens);
}
