/* How devices start the ops on latents. */
#include "kernels/families.h"

static void launch(const pio_call *call, int cache, pio_launch *launch) {
    launch->groups[0] = (uint32_t)call->in[0].rows;
    launch->constants[0] = call->in[cache].layout == PIO_LAYOUT_LATENT_BF16;
    launch->n_constants = 1;
}

/* A workgroup a token. */
void pio_latent_append_launch(const pio_call *call, pio_launch *out) {
    launch(call, 2, out);
}

/* A workgroup a token and head. */
void pio_latent_attention_launch(const pio_call *call, pio_launch *out) {
    launch(call, 1, out);
    out->groups[1] = (uint32_t)call->attrs.n_heads;
}

/* ---- attention by tiles, latent_tile.glsl ---- */

enum { TILE_ROWS = 32, MOST_COLUMNS = 576, TEAM = 32, GROUPS_A_PROCESSOR = 2 };

bool pio_latent_device_match(const pio_call *call) {
    const pio_attrs *a = &call->attrs;
    const int32_t columns = a->head_dim + a->rope_dim;
    return a->head_dim % 16 == 0 && columns % 16 == 0 && columns <= MOST_COLUMNS && a->rope_dim > 0 &&
           call->in[2].cols / a->n_heads % 4 == 0 && a->page_tokens % PIO_KV_PAGE_STEP == 0;
}

static int64_t n_tiles(const pio_call *call) {
    return PIO_CEIL_DIV((int64_t)call->in[0].rows * call->attrs.n_heads, TILE_ROWS);
}

size_t pio_latent_device_scratch(const pio_call *call) {
    return pio_attention_device_parts_bytes(call, n_tiles(call), call->attrs.head_dim);
}

/* A tile's partial results are as large as what it read in some 50 keys, too much for one workgroup to combine: that is
 * a dispatch of its own. */
static pio_status record(pio_recorder *recorder, const pio_call *call, uint32_t subgroup_size, pio_error *error) {
    pio_latent_attention_args args;
    pio_latent_attention_bind(call, &args);
    args.scratch = call->scratch;
    args.n_parts = call->scratch ? pio_attention_device_parts(call, n_tiles(call)) : 1;
    /* Every sequence may end in a tile that it does not fill. */
    const int64_t most_items = n_tiles(call) + args.rows;
    pio_launch launch = {
        .groups = {(uint32_t)PIO_MIN(most_items, (int64_t)call->n_workers * GROUPS_A_PROCESSOR), (uint32_t)args.n_parts,
                   1},
        .constants = {(uint32_t)args.head_dim, (uint32_t)(args.head_dim + args.rope_dim),
                      (uint32_t)pio_latent_stride(PIO_LAYOUT_LATENT_BF16, args.head_dim, args.rope_dim),
                      (uint32_t)args.page_tokens},
        .n_constants = 4,
        .subgroup_size = subgroup_size,
    };
    pio_status status = recorder->dispatch(recorder, 0, &launch, &args, sizeof args, error);
    if (status || args.n_parts == 1) return status;
    args.phase = 1;
    launch.groups[0] = (uint32_t)args.rows;
    launch.groups[1] = (uint32_t)args.n_heads;
    status = recorder->barrier(recorder, error);
    return status ? status : recorder->dispatch(recorder, 0, &launch, &args, sizeof args, error);
}

pio_status pio_latent_device_record(pio_recorder *recorder, const pio_call *call, pio_error *error) {
    return record(recorder, call, 0, error);
}

pio_status pio_latent_matrix_record(pio_recorder *recorder, const pio_call *call, pio_error *error) {
    return record(recorder, call, TEAM, error);
}
