#include "kernels/dtype/layouts.h"

static const pio_layout_info layouts[PIO_LAYOUT_COUNT] = {
#define COMMON(text, dtype_name)                                                                                       \
    .name = #text, .dtype = PIO_DTYPE_##dtype_name, .bytes = pio_##text##_bytes, .planes = pio_##text##_planes,        \
    .unpack_row = pio_##text##_unpack_row
#define PIO_LAYOUT(NAME, text, dtype_name, panel)                                                                      \
    [PIO_LAYOUT_##NAME] = {COMMON(text, dtype_name), .panel_rows = panel, .pack = pio_##text##_pack},
#define PIO_ROWS_LAYOUT(NAME, text, dtype_name)  [PIO_LAYOUT_##NAME] = {COMMON(text, dtype_name), .panel_rows = 1},
#define PIO_CACHE_LAYOUT(NAME, text, dtype_name) [PIO_LAYOUT_##NAME] = {.name = #text, .dtype = PIO_DTYPE_##dtype_name},
#include "kernels/dtype/layout.def"
#undef PIO_LAYOUT
#undef PIO_ROWS_LAYOUT
#undef PIO_CACHE_LAYOUT
#undef COMMON
};

const pio_layout_info *pio_layout_get(pio_layout layout) {
    return &layouts[layout];
}

void pio_layout_pack(pio_layout layout, const pio_canonical *src, int32_t first_row, void *packed, int32_t rows,
                     int32_t cols) {
    const pio_layout_info *info = pio_layout_get(layout);
    const void *const canonical[PIO_MAX_PLANES] = {src->codes, src->subs, src->scales};
    pio_plane planes[PIO_MAX_PLANES];
    void *to[PIO_MAX_PLANES];
    info->planes(rows, cols, planes);
    for (int p = 0; p < PIO_MAX_PLANES; p++)
        to[p] = (char *)packed + planes[p].at + planes[p].panel_bytes * (uint64_t)(first_row / info->panel_rows);
    if (info->pack) {
        info->pack(src, to);
        return;
    }
    for (int p = 0; p < PIO_MAX_PLANES; p++)
        if (planes[p].panel_bytes) memcpy(to[p], canonical[p], planes[p].panel_bytes * (uint64_t)src->rows);
}
