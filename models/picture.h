/* A picture, or a pair of video frames, as a vision graph takes it. */
#ifndef PIO_MODELS_PICTURE_H
#define PIO_MODELS_PICTURE_H

#include <stdint.h>

typedef struct pio_picture {
    int32_t rows, cols;   /* the grid of patches, both multiples of the merge size */
    int32_t merge;        /* merged rows x cols = rows/merge x cols/merge tokens */
    int32_t patch_values; /* numbers of a patch: channels x temporal x patch x patch */
    float *patches;       /* [rows x cols, patch_values], block row, block col, row in block, col in block; freed by
                             pio_picture_free */
    uint64_t hash[2];     /* of the content and the grid, for the prefix cache */
} pio_picture;

/* Frees the patches and empties the picture; an empty one is accepted. */
void pio_picture_free(pio_picture *picture);

#endif
