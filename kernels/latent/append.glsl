/* What LATENT_APPEND does for one token; the argument struct `a` is LATENT_APPEND's or ROPE_LATENT_APPEND's. */
void rotate_pair(F32 x, int first, F32 table, int i, out float one, out float two) {
    int half_dim = a.rope_dim / 2;
    bool interleaved = (a.flags & PIO_ROPE_INTERLEAVED) != 0;
    float x_one = x.v[first + (interleaved ? 2 * i : i)], x_two = x.v[first + (interleaved ? 2 * i + 1 : half_dim + i)];
    one = x_one * table.v[i] - x_two * table.v[half_dim + i];
    two = x_two * table.v[i] + x_one * table.v[half_dim + i];
}

void append(int t, int lane) {
    int half_dim = a.rope_dim / 2;
    F32 kv = F32(row_at(a.kv, t, a.kv_stride)), norm = F32(a.norm), table = F32(row_at(a.table, t, a.table_stride));
    uint64_t to = latent_row(a.cache, I32(a.cache_rows).v[t], a.head_dim, a.rope_dim);
    float squares = 0;
    for (int i = lane; i < a.head_dim; i += GROUP) squares += kv.v[i] * kv.v[i];
    float scale = inversesqrt(group_sum(squares) / a.head_dim + a.eps);
    for (int i = lane; i < a.head_dim; i += GROUP) latent_write(to, i, kv.v[i] * scale * norm.v[i]);
    for (int i = lane; i < half_dim; i += GROUP) {
        float one, two;
        rotate_pair(kv, a.head_dim, table, i, one, two);
        latent_write(to, a.head_dim + i, one);
        latent_write(to, a.head_dim + half_dim + i, two);
    }
}
