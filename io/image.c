#include "io/image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/base64.h"
#include "io/file.h"
#include "io/image_format.h"

static const pio_image_format *const formats[] = {&pio_image_png, &pio_image_jpeg, &pio_image_webp};

/* What else people take for a picture: the sentence tells them which it is. */
static const struct {
    size_t offset, n;
    const char *magic, *name;
} others[] = {
    {0, 4, "GIF8", "a GIF"},
    {0, 2, "BM", "a BMP"},
    {0, 4, "II*\0", "a TIFF"},
    {0, 4, "MM\0*", "a TIFF"},
    {4, 4, "ftyp", "a HEIC, AVIF or video"},
    {4, 4, "JXL ", "a JPEG XL"},
    {0, 4, "%PDF", "a PDF"},
    {0, 1, "<", "a page or an SVG"},
    {0, 23, "version https://git-lfs", "only the pointer of a Git LFS"},
};

pio_status pio_image_fail_truncated(const pio_image_source *source, const char *format, pio_error *error) {
    return pio_fail(error, PIO_CORRUPT, "'%s' is truncated: the %s ends after %zu bytes; copy or download it again",
                    source->name, format, source->n_bytes);
}

pio_status pio_image_fail_damaged(const pio_image_source *source, const char *format, const char *why,
                                  pio_error *error) {
    return pio_fail(error, PIO_CORRUPT, "'%s' cannot be decoded as %s (%.200s): save the picture again", source->name,
                    format, why);
}

pio_status pio_image_fail_memory(const pio_image_source *source, pio_error *error) {
    return pio_fail(error, PIO_OUT_OF_MEMORY, "not enough memory to decode '%s': free some or make the picture smaller",
                    source->name);
}

/* ---- the header ---- */

static pio_status fail_not_a_picture(const pio_image_source *source, pio_error *error) {
    static const char cure[] = "give a PNG, JPEG or WebP file";
    if (source->n_bytes == 0) return pio_fail(error, PIO_CORRUPT, "'%s' is empty: %s", source->name, cure);
    for (size_t i = 0; i < PIO_COUNT(others); i++) {
        const size_t at = others[i].offset, n = others[i].n;
        if (source->n_bytes >= at + n && !memcmp(source->bytes + at, others[i].magic, n))
            return pio_fail(error, PIO_UNSUPPORTED, "'%s' is %s file: %s", source->name, others[i].name, cure);
    }
    return pio_fail(error, PIO_UNSUPPORTED, "'%s' is not a picture that can be read: %s", source->name, cure);
}

static pio_status read_header(const pio_image_source *source, const pio_image_format **format, pio_image_header *header,
                              pio_error *error) {
    *header = (pio_image_header){.n_channels = 3, .orientation = 1};
    *format = NULL;
    for (size_t i = 0; i < PIO_COUNT(formats) && !*format; i++) {
        if (formats[i]->matches(source->bytes, source->n_bytes)) *format = formats[i];
    }
    if (!*format) return fail_not_a_picture(source, error);
    pio_status status = (*format)->read_header(source, header, error);
    if (status) return status;
    if (!header->width || !header->height)
        return pio_image_fail_damaged(source, (*format)->name, "a side has no pixels", error);
    if ((uint64_t)header->width * header->height > PIO_IMAGE_MOST_PIXELS)
        return pio_fail(error, PIO_LIMIT, "'%s' has %u x %u pixels, more than the limit of %d: make it smaller",
                        source->name, header->width, header->height, PIO_IMAGE_MOST_PIXELS);
    return PIO_OK;
}

/* ---- orientation ---- */

/* Where the pixel of the turned picture at (x, y) stands in the stored one: at (x, y) or, if `swap`, at (y, x), counted
 * from the other end where flipped. */
static const struct {
    bool swap, flip_column, flip_row;
} turns[9] = {[2] = {0, 1, 0}, [3] = {0, 1, 1}, [4] = {0, 0, 1}, [5] = {1, 0, 0},
              [6] = {1, 0, 1}, [7] = {1, 1, 1}, [8] = {1, 1, 0}};

static void turned_size(const pio_image_header *header, int32_t *width, int32_t *height) {
    const bool swap = turns[header->orientation].swap;
    *width = (int32_t)(swap ? header->height : header->width);
    *height = (int32_t)(swap ? header->width : header->height);
}

/* Copies stored RGB pixels into the turned picture, whose width and height are set. */
static void turn(const pio_image_header *header, const uint8_t *stored, pio_image *out) {
    const bool swap = turns[header->orientation].swap;
    const ptrdiff_t w = (ptrdiff_t)header->width, h = (ptrdiff_t)header->height;
    const ptrdiff_t column_step = turns[header->orientation].flip_column ? -3 : 3;
    const ptrdiff_t row_step = turns[header->orientation].flip_row ? -3 * w : 3 * w;
    const ptrdiff_t x_step = swap ? row_step : column_step, y_step = swap ? column_step : row_step;
    const uint8_t *corner = stored + (column_step < 0 ? 3 * (w - 1) : 0) + (row_step < 0 ? 3 * w * (h - 1) : 0);
    uint8_t *to = out->rgb;
    for (ptrdiff_t y = 0; y < out->height; y++) {
        const uint8_t *from = corner + y * y_step;
        for (ptrdiff_t x = 0; x < out->width; x++, from += x_step, to += 3) memcpy(to, from, 3);
    }
}

/* ---- decoding ---- */

/* RGBA -> RGB on white, in place. */
static void lay_on_white(uint8_t *pixels, size_t n_pixels) {
    for (size_t i = 0; i < n_pixels; i++) {
        const uint32_t alpha = pixels[4 * i + 3], white = 255 * (255 - alpha);
        for (size_t c = 0; c < 3; c++) pixels[3 * i + c] = (uint8_t)((pixels[4 * i + c] * alpha + white + 127) / 255);
    }
}

/* Gives the stored RGB pixels to *out, turned; takes the memory in any case. */
static pio_status hand_over(const pio_image_source *source, const pio_image_header *header, uint8_t *pixels,
                            pio_image *out, pio_error *error) {
    const size_t bytes = (size_t)3 * header->width * header->height;
    turned_size(header, &out->width, &out->height);
    if (header->orientation == 1) {
        uint8_t *shrunk = header->n_channels == 3 ? pixels : realloc(pixels, bytes);
        out->rgb = shrunk ? shrunk : pixels;
        return PIO_OK;
    }
    out->rgb = malloc(bytes);
    if (out->rgb) turn(header, pixels, out);
    free(pixels);
    if (out->rgb) return PIO_OK;
    *out = (pio_image){0};
    return pio_image_fail_memory(source, error);
}

static pio_status decode(const pio_image_source *source, pio_image *out, pio_error *error) {
    *out = (pio_image){0};
    const pio_image_format *format;
    pio_image_header header;
    pio_status status = read_header(source, &format, &header, error);
    if (status) return status;
    const size_t n_pixels = (size_t)header.width * header.height;
    uint8_t *pixels = malloc(n_pixels * (size_t)header.n_channels);
    if (!pixels) return pio_image_fail_memory(source, error);
    status = format->decode(source, &header, pixels, error);
    if (status) {
        free(pixels);
        return status;
    }
    if (header.n_channels == 4) lay_on_white(pixels, n_pixels);
    return hand_over(source, &header, pixels, out, error);
}

pio_status pio_image_decode(const char *name, const void *bytes, size_t n_bytes, pio_image *out, pio_error *error) {
    const pio_image_source source = {name, bytes, n_bytes};
    return decode(&source, out, error);
}

pio_status pio_image_read(const char *path, pio_image *out, pio_error *error) {
    *out = (pio_image){0};
    char *bytes; /* copied, not mapped: a file that is overwritten while it is decoded must not end the process */
    size_t n_bytes;
    pio_status status = pio_file_read_text(path, PIO_IMAGE_MOST_BYTES, &bytes, &n_bytes, error);
    if (status) return status;
    status = pio_image_decode(path, bytes, n_bytes, out, error);
    free(bytes);
    return status;
}

pio_status pio_image_decode_base64(const char *name, const char *text, size_t n_chars, pio_image *out,
                                   pio_error *error) {
    *out = (pio_image){0};
    uint8_t *bytes;
    size_t n_bytes;
    pio_status status = pio_base64_decode(name, text, n_chars, &bytes, &n_bytes, error);
    if (status) return status;
    status = pio_image_decode(name, bytes, n_bytes, out, error);
    free(bytes);
    return status;
}

pio_status pio_image_size(const char *name, const void *bytes, size_t n_bytes, int32_t *width, int32_t *height,
                          pio_error *error) {
    *width = *height = 0;
    const pio_image_source source = {name, bytes, n_bytes};
    const pio_image_format *format;
    pio_image_header header;
    pio_status status = read_header(&source, &format, &header, error);
    if (!status) turned_size(&header, width, height);
    return status;
}

void pio_image_free(pio_image *image) {
    free(image->rgb);
    *image = (pio_image){0};
}
