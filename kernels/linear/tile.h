/* Tiles of products with many tokens on devices: their sizes, for shaders and for those who launch them. */
#ifndef PIO_KERNELS_LINEAR_TILE_H
#define PIO_KERNELS_LINEAR_TILE_H

#define PIO_TILE_ROWS          64 /* of w, of plain tiles */
#define PIO_TILE_TOKENS        64
#define PIO_MATRIX_TILE_ROWS   128 /* of w, of tiles of matrices */
#define PIO_MATRIX_TILE_TOKENS 32  /* times 1, 2 or 4 */

#endif
