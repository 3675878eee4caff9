/* What io/image.c asks of a format. Each has a file of its own; nothing outside io/ includes this. */
#ifndef PIO_IO_IMAGE_FORMAT_H
#define PIO_IO_IMAGE_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct pio_image_source {
    const char *name; /* for errors */
    const uint8_t *bytes;
    size_t n_bytes;
} pio_image_source;

typedef struct pio_image_header {
    uint32_t width, height; /* as stored, not 0 */
    int n_channels;         /* of the decoded pixels: 3, or 4 with alpha */
    int orientation;        /* Exif's, 1..8; 1: as stored */
} pio_image_header;

typedef struct pio_image_format {
    const char *name;
    bool (*matches)(const uint8_t *bytes, size_t n_bytes);
    pio_status (*read_header)(const pio_image_source *source, pio_image_header *out, pio_error *error);
    /* Fills pixels [height, width, n_channels]. */
    pio_status (*decode)(const pio_image_source *source, const pio_image_header *header, uint8_t *pixels,
                         pio_error *error);
} pio_image_format;

extern const pio_image_format pio_image_png, pio_image_jpeg, pio_image_webp;

/* The orientation, 1..8, that a block of Exif data asks for, with or without "Exif\0\0" before it; 1 when it says
 * nothing that can be understood. */
int pio_exif_orientation(const uint8_t *bytes, size_t n_bytes);

/* The sentences that all formats share. `why` is the library's word on the damage. */
pio_status pio_image_fail_truncated(const pio_image_source *source, const char *format, pio_error *error);
pio_status pio_image_fail_damaged(const pio_image_source *source, const char *format, const char *why,
                                  pio_error *error);
pio_status pio_image_fail_memory(const pio_image_source *source, pio_error *error);

/* Big-endian and little-endian numbers where they stand. */
static inline uint32_t pio_read_be32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}
static inline uint32_t pio_read_le32(const uint8_t *p) {
    return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

#endif
