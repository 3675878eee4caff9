/* How devices start attention. */
#include "kernels/families.h"

enum {
    GROUPS_A_PROCESSOR = 2, /* that read at the same time */
    MOST_PARTS = 64,
    MOST_LANES = 16,   /* threads a key */
    MOST_NUMBERS = 64, /* of a thread's part of the queries, and as many sums */
    READ_AT_ONCE = 4,  /* pieces of 8 columns of K, and of V */
    COLUMNS = 8,       /* of a piece */
};

bool pio_attention_match_device(const pio_call *call) {
    return call->attrs.head_dim % COLUMNS == 0 && call->attrs.head_dim <= PIO_KV_HEAD_DIM_MAX;
}

int32_t pio_attention_device_parts(const pio_call *call, int64_t n_items) {
    int64_t parts = PIO_CEIL_DIV((int64_t)call->n_workers * GROUPS_A_PROCESSOR, n_items);
    return (int32_t)PIO_MAX(1, PIO_MIN(parts, MOST_PARTS));
}

size_t pio_attention_device_parts_bytes(const pio_call *call, int64_t n_items, int32_t dim) {
    const int32_t parts = pio_attention_device_parts(call, n_items);
    if (parts == 1) return 0;
    return sizeof(float) * (size_t)(dim + 2) * (size_t)call->in[0].rows * (size_t)call->attrs.n_heads * (size_t)parts;
}

static int64_t n_items(const pio_call *call) {
    return (int64_t)call->in[0].rows * call->attrs.n_kv_heads;
}

size_t pio_attention_device_scratch(const pio_call *call) {
    return pio_attention_device_parts_bytes(call, n_items(call), call->attrs.head_dim);
}

/* How attention_few.comp shares out the columns of a head and the heads of a group: a piece a thread where the subgroup
 * has the threads, for what the threads have at the end is then added up in the fewest steps, with the least code. */
typedef struct few_shape {
    int32_t lanes, pieces, heads,
        shares; /* threads a key; pieces of a thread; heads of a workgroup; those of a group */
} few_shape;

static few_shape shape_of(const pio_call *call) {
    const int32_t most_lanes = PIO_MIN(MOST_LANES, PIO_MAX(4, call->subgroup_size));
    const int32_t columns = call->attrs.head_dim, group = call->attrs.n_heads / call->attrs.n_kv_heads;
    few_shape s = {.lanes = PIO_MIN(8, most_lanes)};
    while (COLUMNS * s.lanes < columns && 2 * s.lanes <= most_lanes) s.lanes *= 2;
    s.pieces = PIO_CEIL_DIV(columns, COLUMNS * s.lanes);
    s.shares = PIO_CEIL_DIV(group, PIO_MAX(1, MOST_NUMBERS / (COLUMNS * s.pieces)));
    s.heads = PIO_CEIL_DIV(group, s.shares);
    return s;
}

pio_status pio_attention_few_record(pio_recorder *recorder, const pio_call *call, pio_error *error) {
    const few_shape s = shape_of(call);
    pio_attention_args args;
    pio_attention_bind(call, &args);
    const bool counted = call->scratch && args.counters && n_items(call) * s.shares <= PIO_STEP_COUNTERS;
    args.scratch = call->scratch;
    args.n_parts = counted ? pio_attention_device_parts(call, n_items(call)) : 1;
    const pio_launch launch = {
        .groups = {(uint32_t)(args.n_parts * s.shares), (uint32_t)args.n_kv_heads, (uint32_t)args.rows},
        .constants = {call->in[1].layout != PIO_LAYOUT_KV_F32, (uint32_t)args.head_dim, (uint32_t)s.heads,
                      (uint32_t)s.lanes, (uint32_t)PIO_MAX(1, READ_AT_ONCE / s.pieces), (uint32_t)args.page_tokens},
        .n_constants = 6,
    };
    return recorder->dispatch(recorder, 0, &launch, &args, sizeof args, error);
}

/* ---- tiles ---- of 64 virtual rows, and keys in blocks that keep a workgroup's shared memory under 32 KiB */

enum { TILE_ROWS = 64, TILE_GROUPS_A_PROCESSOR = 4, TEAM = 32, MOST_TILE_COLUMNS = 128 };

static pio_status record_tiles(pio_recorder *recorder, const pio_call *call, int32_t keys, uint32_t subgroup_size,
                               pio_error *error) {
    pio_attention_args args;
    pio_attention_bind(call, &args);
    const int64_t virtual_rows = (int64_t)args.rows * (args.n_heads / args.n_kv_heads);
    /* Every sequence may end in a tile that it does not fill. */
    const int64_t most_items = (PIO_CEIL_DIV(virtual_rows, TILE_ROWS) + args.rows) * args.n_kv_heads;
    const pio_launch launch = {
        .groups = {(uint32_t)PIO_MIN(most_items, (int64_t)call->n_workers * TILE_GROUPS_A_PROCESSOR), 1, 1},
        .constants = {call->in[1].layout != PIO_LAYOUT_KV_F32, (uint32_t)args.head_dim, (uint32_t)keys,
                      (uint32_t)args.page_tokens},
        .n_constants = 4,
        .subgroup_size = subgroup_size,
    };
    return recorder->dispatch(recorder, 0, &launch, &args, sizeof args, error);
}

bool pio_attention_match_tile(const pio_call *call) {
    return call->attrs.head_dim % 16 == 0 && call->attrs.head_dim <= MOST_TILE_COLUMNS &&
           call->attrs.page_tokens % PIO_KV_PAGE_STEP == 0;
}

pio_status pio_attention_tile_record(pio_recorder *recorder, const pio_call *call, pio_error *error) {
    return record_tiles(recorder, call, 16, 0, error);
}

bool pio_attention_match_matrix(const pio_call *call) {
    return call->attrs.head_dim % 16 == 0 && call->attrs.head_dim <= 2 * MOST_TILE_COLUMNS &&
           call->attrs.page_tokens % PIO_KV_PAGE_STEP == 0;
}

static int32_t matrix_keys(const pio_call *call) {
    return call->attrs.head_dim <= MOST_TILE_COLUMNS ? 32 : 16;
}

pio_status pio_attention_matrix_record(pio_recorder *recorder, const pio_call *call, pio_error *error) {
    return record_tiles(recorder, call, matrix_keys(call), TEAM, error);
}

pio_status pio_attention_half_record(pio_recorder *recorder, const pio_call *call, pio_error *error) {
    return record_tiles(recorder, call, matrix_keys(call), 0, error);
}
