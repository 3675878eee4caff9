/* Bicubic resizing of 8-bit RGB with antialiasing, as torchvision does it: a horizontal pass, then a vertical one, both
 * rounded to 8 bits, in fixed point. */
#ifndef PIO_MODELS_RESIZE_H
#define PIO_MODELS_RESIZE_H

#include "base/status.h"
#include "io/image.h"

/* A new picture of width x height, freed by pio_image_free. */
pio_status pio_image_resize(const pio_image *from, int32_t width, int32_t height, pio_image *out, pio_error *error);

#endif
