/* Pictures: PNG, JPEG and WebP, from a file, from memory or from base64 text, as rows of 8-bit RGB.
 *
 * The format is recognised by its bytes, not by a name. What is not RGB becomes it as Pillow's convert("RGB") does it:
 * grey and palettes are expanded, of 16 bits the high byte is kept (of 16-bit grey without alpha the value itself, cut
 * at 255), CMYK is taken for Adobe's inverted form. What is transparent is laid on white. The orientation that Exif
 * data ask for is applied. Colour profiles and gamma are not. Of an animation the first frame is read.
 *
 * A picture of more than PIO_IMAGE_MOST_PIXELS is refused by its header, before memory is asked for. Threads: all
 * functions may be called from several threads at once. */
#ifndef PIO_IO_IMAGE_H
#define PIO_IO_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum {
    PIO_IMAGE_MOST_PIXELS = 1 << 26, /* 192 MiB of RGB */
    PIO_IMAGE_MOST_BYTES = 1 << 29,  /* of a file: the most pixels, uncompressed at 8 bytes each */
};

typedef struct pio_image {
    uint8_t *rgb; /* [height, width, 3] */
    int32_t width, height;
} pio_image;

/* Reads a file. PIO_NOT_FOUND, PIO_IO; PIO_CORRUPT when empty, truncated or damaged; PIO_UNSUPPORTED when it is of
 * another format; PIO_LIMIT when it has too many pixels or bytes; PIO_OUT_OF_MEMORY. *out is empty on failure. */
pio_status pio_image_read(const char *path, pio_image *out, pio_error *error);

/* The same from memory; `name` stands for the path in errors. */
pio_status pio_image_decode(const char *name, const void *bytes, size_t n_bytes, pio_image *out, pio_error *error);

/* The same from a data URL ("data:image/png;base64,...") or plain base64. */
pio_status pio_image_decode_base64(const char *name, const char *text, size_t n_chars, pio_image *out,
                                   pio_error *error);

/* Width and height as the decoded picture will have them, from the header alone. */
pio_status pio_image_size(const char *name, const void *bytes, size_t n_bytes, int32_t *width, int32_t *height,
                          pio_error *error);

/* Frees the pixels and empties the picture; an empty one is accepted. */
void pio_image_free(pio_image *image);

#endif
