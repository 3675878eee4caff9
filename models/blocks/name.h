/* Names of a checkpoint's tensors. */
#ifndef PIO_MODELS_BLOCKS_NAME_H
#define PIO_MODELS_BLOCKS_NAME_H

#include <stdio.h>

/* Declares `variable` as "<prefix>.<rest>"; the longest prefix is that of a part of a layer. */
#define PIO_NAME(variable, prefix, rest)                                                                               \
    char variable[120];                                                                                                \
    snprintf(variable, sizeof variable, "%.60s." rest, prefix)

#endif
