#include "kernels/dtype/layouts.h"

static const pio_layout_info layouts[PIO_LAYOUT_COUNT] = {
#define PIO_LAYOUT(NAME, text, dtype_name, panel)                                                                      \
    [PIO_LAYOUT_##NAME] = {.name = #text,                                                                              \
                           .dtype = PIO_DTYPE_##dtype_name,                                                            \
                           .panel_rows = panel,                                                                        \
                           .bytes = pio_##text##_bytes,                                                                \
                           .pack = pio_##text##_pack,                                                                  \
                           .unpack_row = pio_##text##_unpack_row},
#define PIO_CACHE_LAYOUT(NAME, text, dtype_name) [PIO_LAYOUT_##NAME] = {.name = #text, .dtype = PIO_DTYPE_##dtype_name},
#include "kernels/dtype/layout.def"
#undef PIO_LAYOUT
#undef PIO_CACHE_LAYOUT
};

const pio_layout_info *pio_layout_get(pio_layout layout) {
    return &layouts[layout];
}
