/* Tile operations of AMX: eight tiles of up to 16 rows of 64 bytes. A kernel configures them, uses them and releases
 * them within one call, so that a thread carries no tile state between dispatches: the system would save 8 KiB of it at
 * every switch, and a core that holds tiles does not sleep deeply. Both together take some dozens of cycles.
 *
 * Assembly, not intrinsics: GCC 12's tile load does not say that it reads memory, so that stores of what it loads may
 * be moved behind it. Tile numbers are literals. */
#ifndef PIO_KERNELS_DIALECT_AMX_H
#define PIO_KERNELS_DIALECT_AMX_H

#include <stdint.h>

#include "base/compiler.h"

enum { PIO_AMX_ROWS = 16, PIO_AMX_ROW_BYTES = 64, PIO_AMX_TILE_BYTES = PIO_AMX_ROWS * PIO_AMX_ROW_BYTES };

/* What LDTILECFG reads. */
typedef struct pio_amx_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} pio_amx_config;
_Static_assert(sizeof(pio_amx_config) == 64, "LDTILECFG reads 64 bytes");

static inline void pio_amx_configure(const pio_amx_config *config) {
    __asm__ volatile("ldtilecfg %0" ::"m"(*config));
}

static inline void pio_amx_release(void) {
    __asm__ volatile("tilerelease" ::: "memory");
}

/* Rows of a tile from or to memory, `stride` bytes apart. */
#define PIO_AMX_LOAD(tile, from, stride)                                                                               \
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #tile ::"r"(from), "r"((int64_t)(stride)) : "memory")
#define PIO_AMX_STORE(tile, to, stride)                                                                                \
    __asm__ volatile("tilestored %%tmm" #tile ", (%0,%1,1)" ::"r"(to), "r"((int64_t)(stride)) : "memory")
#define PIO_AMX_ZERO(tile) __asm__ volatile("tilezero %%tmm" #tile ::)

/* c [m][n] += a [m][k] b [k / 4][n][4]: int32, int8 and int8 or uint8. */
#define PIO_AMX_DOT_S8_S8(c, a, b) __asm__ volatile("tdpbssd %%tmm" #b ", %%tmm" #a ", %%tmm" #c ::)
#define PIO_AMX_DOT_S8_U8(c, a, b) __asm__ volatile("tdpbsud %%tmm" #b ", %%tmm" #a ", %%tmm" #c ::)
/* c [m][n] += a [m][k] b [k / 2][n][2]: float32, bf16 and bf16; rounds to nearest even, denormal numbers are zeros. */
#define PIO_AMX_DOT_BF16(c, a, b) __asm__ volatile("tdpbf16ps %%tmm" #b ", %%tmm" #a ", %%tmm" #c ::)

/* Tiles 0 to 3 are sums, 4 and 5 the left factors, with `rows` rows each; 6 and 7 are right factors of 16 rows. */
static inline void pio_amx_configure_products(int rows) {
    pio_amx_config config = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        config.row_bytes[i] = PIO_AMX_ROW_BYTES;
        config.rows[i] = (uint8_t)(i < 6 ? rows : PIO_AMX_ROWS);
    }
    pio_amx_configure(&config);
}

#endif
