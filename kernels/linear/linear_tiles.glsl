/* The linear layers' shaders for many tokens, over either kind of tile. */
layout(push_constant, scalar) uniform push {
    pio_linear_args a;
};

/* Of the workgroup: tokens vary first, so that the rows of w are read by all of them at one time. */
int first_token() {
    return int(gl_WorkGroupID.x) * TILE_TOKENS;
}

int first_row() {
    return int(gl_WorkGroupID.y) * TILE_ROWS;
}

uint64_t x_at(int t) {
    return first_token() + t < live_rows(a.live, a.rows) ? row_at(a.x, first_token() + t, a.x_stride) : 0ul;
}

int w_row(int i) {
    return min(first_row() + i, a.n_out - 1);
}

void store(int t, int i, float sum) {
    int n = SWIGLU != 0 ? first_row() / 2 + i : first_row() + i;
    t += first_token();
    if (t >= live_rows(a.live, a.rows) || n >= (SWIGLU != 0 ? a.n_out / 2 : a.n_out)) return;
    if (a.bias != 0ul) sum += F32(a.bias).v[n];
    if (a.residual != 0ul) sum += F32(row_at(a.residual, t, a.residual_stride)).v[n];
    F32(row_at(a.y, t, a.y_stride)).v[n] = sum;
}

void main() {
    if (first_token() < live_rows(a.live, a.rows)) make_tile(matrix_at(a.w, a.n_out, a.cols));
}
