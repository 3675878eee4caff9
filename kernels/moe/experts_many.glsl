/* The products of experts with many tokens, over either kind of tile: some of an expert's pairs each. Phases: pairs are
 * put in order and listed in tiles; tiles are multiplied; EXPERTS_DOWN adds up each token's products. Scratch:
 *
 *   i32 n_tiles, [3 unused]; i32 tile [n_tiles][4]: expert, first pair, number of pairs; i32 pair [n_pairs]: its choice,
 *   t n_chosen + j; f32 product [n_pairs, n_out], for EXPERTS_DOWN, in the order of choices */
layout(constant_id = 3) const int DOWN = 0;

layout(push_constant, scalar) uniform push {
    pio_experts_args a;
};

layout(buffer_reference, scalar, buffer_reference_align = 16) buffer tile_list {
    ivec4 v[];
};

int n_choices() {
    return a.tokens * a.n_chosen;
}

/* Addresses, for glslc keeps variables that are references where there are matrices, and spirv-val has none of it. */
uint64_t pair_list() {
    return a.scratch + 16ul * uint64_t(1 + PIO_EXPERTS_TILES(n_choices(), a.n_experts, TILE_TOKENS));
}

uint64_t products_of(int choice) {
    return a.scratch + PIO_EXPERTS_PRODUCTS_AT(n_choices(), a.n_experts, TILE_TOKENS) +
           4ul * uint64_t(choice) * uint64_t(a.n_out);
}

int choice_of(int t, int j) {
    return I32(row_at(a.experts, t, a.experts_stride)).v[j];
}

/* ---- the order ---- a workgroup an expert, which counts everybody's pairs and lists its own. A thread has some tokens,
 * one behind the other, so that pairs stay in order. */

shared int counts[PIO_EXPERTS_MAX], thread_counts[GROUP];

int n_tiles_of(int n) {
    return (n + TILE_TOKENS - 1) / TILE_TOKENS;
}

void count_pairs(int e, int first, int end, int lane) {
    int own = 0;
    for (int i = lane; i < a.n_experts; i += GROUP) counts[i] = 0;
    barrier();
    for (int t = first; t < end; t++)
        for (int j = 0; j < a.n_chosen; j++) {
            int its = choice_of(t, j);
            atomicAdd(counts[its], 1);
            own += int(its == e);
        }
    thread_counts[lane] = own;
    barrier();
}

void sort_pairs(int n_tokens, int lane) {
    int e = int(gl_WorkGroupID.x), each = (n_tokens + GROUP - 1) / GROUP, pair = 0, tile = 0,
        end = min(n_tokens, (lane + 1) * each);
    count_pairs(e, lane * each, end, lane);
    for (int i = 0; i < e; i++) {
        pair += counts[i];
        tile += n_tiles_of(counts[i]);
    }
    for (int i = lane; i < n_tiles_of(counts[e]); i += GROUP) {
        int done = i * TILE_TOKENS;
        tile_list(a.scratch).v[1 + tile + i] = ivec4(e, pair + done, min(TILE_TOKENS, counts[e] - done), 0);
    }
    if (e == a.n_experts - 1 && lane == 0) I32(a.scratch).v[0] = tile + n_tiles_of(counts[e]);
    if (thread_counts[lane] == 0) return;
    for (int i = 0; i < lane; i++) pair += thread_counts[i];
    for (int t = lane * each; t < end; t++)
        for (int j = 0; j < a.n_chosen; j++)
            if (choice_of(t, j) == e) I32(pair_list()).v[pair++] = t * a.n_chosen + j;
}

/* ---- a tile ---- */

ivec4 of_tile; /* expert, first pair, number of pairs */

shared int choices[4 * PIO_MATRIX_TILE_TOKENS];

int first_row() {
    return int(gl_WorkGroupID.y) * TILE_ROWS;
}

uint64_t x_at(int t) {
    if (t >= of_tile.z) return 0ul;
    return row_at(a.x, DOWN != 0 ? of_tile.y + t : choices[t] / a.n_chosen, a.x_stride);
}

int w_row(int i) {
    return min(first_row() + i, a.n_out - 1);
}

void store(int t, int i, float sum) {
    int n = SWIGLU != 0 ? first_row() / 2 + i : first_row() + i;
    if (t >= of_tile.z || n >= (SWIGLU != 0 ? a.n_out / 2 : a.n_out)) return;
    if (DOWN != 0)
        F32(products_of(choices[t])).v[n] = sum;
    else
        F32(row_at(a.y, of_tile.y + t, a.y_stride)).v[n] = sum;
}

void multiply_tile_of(int number, int lane) {
    if (number >= I32(a.scratch).v[0]) return;
    of_tile = tile_list(a.scratch).v[1 + number];
    for (int t = lane; t < of_tile.z; t += GROUP) choices[t] = I32(pair_list()).v[of_tile.y + t];
    barrier();
    make_tile(matrix_at(a.w + uint64_t(of_tile.x) * a.matrix_bytes, a.n_out, a.cols));
}

/* ---- the sum ---- a workgroup a token */

void reduce(int t, int lane) {
    for (int n = lane; n < a.n_out; n += GROUP) {
        float sum = F32(row_at(a.residual, t, a.residual_stride)).v[n];
        for (int j = 0; j < a.n_chosen; j++)
            sum += F32(row_at(a.weights, t, a.experts_stride)).v[j] * F32(products_of(t * a.n_chosen + j)).v[n];
        F32(row_at(a.y, t, a.y_stride)).v[n] = sum;
    }
}

void main() {
    int n_tokens = live_rows(a.live, a.tokens), lane = int(gl_LocalInvocationID.x), x = int(gl_WorkGroupID.x);
    if (a.phase == PIO_EXPERTS_DEVICE_SORT)
        sort_pairs(n_tokens, lane);
    else if (a.phase == PIO_EXPERTS_DEVICE_MULTIPLY)
        multiply_tile_of(x, lane);
    else if (x < n_tokens)
        reduce(x, lane);
}
