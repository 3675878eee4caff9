/* WebP through libwebp. A file is a RIFF of chunks; in an extended one the first frame of an animation is a file of its
 * own within, and Exif data stand in a chunk. */
#include <string.h>

#include <webp/decode.h>

#include "io/image_format.h"

enum { RIFF_HEAD = 12, CHUNK_HEAD = 8, FRAME_HEAD = 16 /* position, size, duration and flags of an ANMF chunk */ };

static bool matches(const uint8_t *bytes, size_t n_bytes) {
    return n_bytes >= RIFF_HEAD && !memcmp(bytes, "RIFF", 4) && !memcmp(bytes + 8, "WEBP", 4);
}

/* The chunk of a type: its data, whole or not, or NULL. */
static const uint8_t *find_chunk(const pio_image_source *source, const char *type, size_t *n_bytes) {
    const uint8_t *at = source->bytes + RIFF_HEAD, *end = source->bytes + source->n_bytes;
    while (end - at >= CHUNK_HEAD) {
        const size_t n = pio_read_le32(at + 4), left = (size_t)(end - at) - CHUNK_HEAD;
        if (!memcmp(at, type, 4)) {
            *n_bytes = n < left ? n : left;
            return at + CHUNK_HEAD;
        }
        if (n + n % 2 > left) break;
        at += CHUNK_HEAD + n + n % 2;
    }
    return NULL;
}

/* What libwebp decodes: the file itself, or the picture in an animation's first frame. */
static const uint8_t *picture_of(const pio_image_source *source, size_t *n_bytes) {
    const uint8_t *frame = find_chunk(source, "ANMF", n_bytes);
    if (frame && *n_bytes > FRAME_HEAD) {
        *n_bytes -= FRAME_HEAD;
        return frame + FRAME_HEAD;
    }
    *n_bytes = source->n_bytes;
    return source->bytes;
}

static pio_status fail(const pio_image_source *source, VP8StatusCode code, pio_error *error) {
    if (code == VP8_STATUS_OUT_OF_MEMORY) return pio_image_fail_memory(source, error);
    if (code == VP8_STATUS_NOT_ENOUGH_DATA || code == VP8_STATUS_SUSPENDED)
        return pio_image_fail_truncated(source, "WebP", error);
    return pio_image_fail_damaged(source, "WebP", "its data are no picture", error);
}

static pio_status read_header(const pio_image_source *source, pio_image_header *out, pio_error *error) {
    size_t n_bytes;
    const uint8_t *bytes = picture_of(source, &n_bytes);
    WebPBitstreamFeatures features;
    const VP8StatusCode code = WebPGetFeatures(bytes, n_bytes, &features);
    if (code != VP8_STATUS_OK) return fail(source, code, error);
    out->width = (uint32_t)features.width;
    out->height = (uint32_t)features.height;
    if (features.has_alpha) out->n_channels = 4;
    size_t n_exif;
    const uint8_t *exif = find_chunk(source, "EXIF", &n_exif);
    if (exif) out->orientation = pio_exif_orientation(exif, n_exif);
    return PIO_OK;
}

static pio_status decode(const pio_image_source *source, const pio_image_header *header, uint8_t *pixels,
                         pio_error *error) {
    size_t n_bytes;
    const uint8_t *bytes = picture_of(source, &n_bytes);
    WebPDecoderConfig config;
    if (!WebPInitDecoderConfig(&config)) return pio_image_fail_damaged(source, "WebP", "libwebp is too old", error);
    const size_t stride = (size_t)header->width * (size_t)header->n_channels;
    config.output.colorspace = header->n_channels == 4 ? MODE_RGBA : MODE_RGB;
    config.output.is_external_memory = 1;
    config.output.u.RGBA = (WebPRGBABuffer){pixels, (int)stride, stride * header->height};
    const VP8StatusCode code = WebPDecode(bytes, n_bytes, &config);
    WebPFreeDecBuffer(&config.output);
    return code == VP8_STATUS_OK ? PIO_OK : fail(source, code, error);
}

const pio_image_format pio_image_webp = {"WebP", matches, read_header, decode};
