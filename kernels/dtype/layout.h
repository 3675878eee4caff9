/* Layouts of stored weights. Every data type has a canonical form, row-major; a packed layout is a permutation of it,
 * made once at load from whole panels of rows, so that loading can stream.
 *
 * Canonical rows of [rows, cols]:
 *   f32, bf16  cols elements
 *   q8         codes int8 [cols rounded up to 32]; scales bf16 [ceil(cols / 256)]
 *   q4         codes [cols rounded up to 32] / 2 bytes, column 2i in the low four bits of byte i;
 *              subs int8 [ceil(cols / 32)]; scales bf16 [ceil(cols / 256)]
 * Columns past `cols` are zero (q4: the code of level 0). Planes lie apart; each is row-major. */
#ifndef PIO_KERNELS_DTYPE_LAYOUT_H
#define PIO_KERNELS_DTYPE_LAYOUT_H

#include <stdint.h>

#include "base/dtype.h"

typedef enum pio_layout {
    PIO_LAYOUT_NONE,
#define PIO_LAYOUT(NAME, name, dtype, panel) PIO_LAYOUT_##NAME,
#define PIO_ROWS_LAYOUT(NAME, name, dtype)   PIO_LAYOUT_##NAME,
#define PIO_CACHE_LAYOUT(NAME, name, dtype)  PIO_LAYOUT_##NAME,
#include "kernels/dtype/layout.def"
#undef PIO_LAYOUT
#undef PIO_ROWS_LAYOUT
#undef PIO_CACHE_LAYOUT
    PIO_LAYOUT_COUNT,
    PIO_LAYOUT_ANY = 255
} pio_layout;

/* Canonical rows as separate planes; `subs` only for q4, `scales` only for q8 and q4. */
typedef struct pio_canonical {
    pio_dtype dtype;
    int32_t rows, cols;
    void *codes; /* or the elements */
    int8_t *subs;
    uint16_t *scales;
} pio_canonical;

/* A part of a packed tensor: `panel_bytes` of every panel, panel after panel, from byte `at` of the tensor on. */
typedef struct pio_plane {
    uint64_t at, panel_bytes;
} pio_plane;

enum { PIO_MAX_PLANES = 3 };

typedef struct pio_layout_info {
    const char *name;
    pio_dtype dtype;
    int32_t panel_rows; /* rows are packed in groups of this many; 0: a cache layout, which has no functions below */
    /* Bytes of a whole [rows, cols] tensor; rows are padded to whole panels. A panel's bytes depend on cols alone. */
    uint64_t (*bytes)(int32_t rows, int32_t cols);
    /* Its planes; those that it lacks have no bytes a panel. */
    void (*planes)(int32_t rows, int32_t cols, pio_plane planes[PIO_MAX_PLANES]);
    /* Packs `src` (whole panels, or the tensor's last rows: missing rows become zeros) as a run of panels, whose first
     * one's part of plane p lies at to[p]: in the packed tensor, or in memory that is copied there. NULL: the planes
     * are codes, subs and scales as in the canonical form, so that canonical rows can be made in their place. */
    void (*pack)(const pio_canonical *src, void *const to[PIO_MAX_PLANES]);
    /* Row `row` of the packed tensor as float32 [cols]. */
    void (*unpack_row)(const void *packed, int32_t rows, int32_t cols, int32_t row, float *out);
} pio_layout_info;

const pio_layout_info *pio_layout_get(pio_layout layout);

/* Packs `src` as the panels from `first_row` on, a multiple of panel_rows, of the whole tensor at `packed`. */
void pio_layout_pack(pio_layout layout, const pio_canonical *src, int32_t first_row, void *packed, int32_t rows,
                     int32_t cols);

/* Bytes of the planes of canonical rows. */
uint64_t pio_canonical_code_bytes(pio_dtype dtype, int32_t rows, int32_t cols);
uint64_t pio_canonical_sub_bytes(pio_dtype dtype, int32_t rows, int32_t cols);
uint64_t pio_canonical_scale_bytes(pio_dtype dtype, int32_t rows, int32_t cols);

/* One canonical row as float32. */
void pio_canonical_row(const pio_canonical *src, int32_t row, float *out);

#endif
