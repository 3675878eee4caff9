/* JPEG through libjpeg-turbo, with its defaults: the accurate inverse transform and smooth chroma, as the reference's
 * decoder has them. The header is walked here for sizes and Exif data. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

#include "io/image_format.h"

enum { MARKER_SOI = 0xd8, MARKER_SOS = 0xda, MARKER_EOI = 0xd9, MARKER_APP1 = 0xe1, MARKER_TEM = 0x01 };

static bool matches(const uint8_t *bytes, size_t n_bytes) {
    return n_bytes >= 3 && bytes[0] == 0xff && bytes[1] == MARKER_SOI && bytes[2] == 0xff;
}

/* A frame's header: SOF0 to SOF15, but for the tables that have numbers among them. */
static bool is_frame(int marker) {
    return marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
}

static bool has_no_length(int marker) {
    return marker == MARKER_TEM || (marker >= 0xd0 && marker <= MARKER_SOI);
}

static pio_status read_header(const pio_image_source *source, pio_image_header *out, pio_error *error) {
    const uint8_t *bytes = source->bytes;
    size_t at = 2;
    for (;;) {
        while (at + 1 < source->n_bytes && !(bytes[at] == 0xff && bytes[at + 1] != 0xff && bytes[at + 1])) at++;
        if (at + 4 > source->n_bytes) return pio_image_fail_truncated(source, "JPEG", error);
        const int marker = bytes[at + 1];
        at += 2;
        if (has_no_length(marker)) continue;
        if (marker == MARKER_SOS || marker == MARKER_EOI)
            return pio_image_fail_damaged(source, "JPEG", "it has no frame header", error);
        const size_t n = (size_t)bytes[at] << 8 | bytes[at + 1];
        if (n < 2) return pio_image_fail_damaged(source, "JPEG", "a segment has no length", error);
        if (n > source->n_bytes - at) return pio_image_fail_truncated(source, "JPEG", error);
        if (marker == MARKER_APP1 && n > 8 && !memcmp(bytes + at + 2, "Exif\0", 6))
            out->orientation = pio_exif_orientation(bytes + at + 2, n - 2);
        if (is_frame(marker)) {
            if (n < 8) return pio_image_fail_damaged(source, "JPEG", "its frame header is too short", error);
            out->height = (uint32_t)bytes[at + 3] << 8 | bytes[at + 4];
            out->width = (uint32_t)bytes[at + 5] << 8 | bytes[at + 6];
            return PIO_OK;
        }
        at += n;
    }
}

/* ---- decoding ---- */

typedef struct jpeg_job {
    struct jpeg_error_mgr errors; /* first: libjpeg hands this back */
    const pio_image_source *source;
    jmp_buf failed;
    char words[JMSG_LENGTH_MAX];
    bool truncated, no_memory;
    struct jpeg_decompress_struct jpeg;
    uint8_t *row; /* [width, 4]: of a CMYK picture */
} jpeg_job;

static void on_error(j_common_ptr jpeg) {
    jpeg_job *job = (jpeg_job *)jpeg->err;
    job->no_memory = jpeg->err->msg_code == JERR_OUT_OF_MEMORY;
    jpeg->err->format_message(jpeg, job->words);
    longjmp(job->failed, 1);
}

/* Damage that libjpeg would go on from is an error too: half a picture must not pass for a whole one. */
static void on_message(j_common_ptr jpeg, int level) {
    if (level >= 0) return;
    jpeg_job *job = (jpeg_job *)jpeg->err;
    jpeg->err->format_message(jpeg, job->words);
    longjmp(job->failed, 1);
}

static void on_output(j_common_ptr jpeg) {
    (void)jpeg;
}

static void ignore(j_decompress_ptr jpeg) {
    (void)jpeg;
}

/* All bytes are there from the start: to ask for more is to have reached the end. */
static boolean on_empty(j_decompress_ptr jpeg) {
    jpeg_job *job = (jpeg_job *)jpeg->err;
    job->truncated = true;
    longjmp(job->failed, 1);
}

static void skip(j_decompress_ptr jpeg, long n) {
    if (n <= 0) return;
    if ((size_t)n > jpeg->src->bytes_in_buffer) on_empty(jpeg);
    jpeg->src->next_input_byte += n;
    jpeg->src->bytes_in_buffer -= (size_t)n;
}

/* Adobe's inverted CMYK -> RGB: what is left of the light. */
static void from_cmyk(const uint8_t *cmyk, uint32_t width, uint8_t *rgb) {
    for (uint32_t x = 0; x < width; x++)
        for (int c = 0; c < 3; c++) rgb[3 * x + c] = (uint8_t)((cmyk[4 * x + c] * cmyk[4 * x + 3] + 127) / 255);
}

/* Jumps to job->failed when something is wrong. */
static void read_pixels(jpeg_job *job, const pio_image_header *header, uint8_t *pixels) {
    struct jpeg_source_mgr from = {.next_input_byte = job->source->bytes,
                                   .bytes_in_buffer = job->source->n_bytes,
                                   .init_source = ignore,
                                   .fill_input_buffer = on_empty,
                                   .skip_input_data = skip,
                                   .resync_to_restart = jpeg_resync_to_restart,
                                   .term_source = ignore};
    struct jpeg_decompress_struct *jpeg = &job->jpeg;
    jpeg_create_decompress(jpeg);
    jpeg->src = &from;
    jpeg_read_header(jpeg, TRUE);
    const bool cmyk = jpeg->jpeg_color_space == JCS_CMYK || jpeg->jpeg_color_space == JCS_YCCK;
    jpeg->out_color_space = cmyk ? JCS_CMYK : JCS_RGB;
    jpeg_start_decompress(jpeg);
    if (jpeg->output_width != header->width || jpeg->output_height != header->height ||
        jpeg->output_components != (cmyk ? 4 : 3)) {
        snprintf(job->words, sizeof job->words, "its header contradicts itself");
        longjmp(job->failed, 1);
    }
    if (cmyk && !(job->row = malloc((size_t)4 * header->width))) {
        job->no_memory = true;
        longjmp(job->failed, 1);
    }
    for (uint32_t y = 0; y < header->height; y++) {
        uint8_t *to = pixels + (size_t)3 * header->width * y, *row = cmyk ? job->row : to;
        jpeg_read_scanlines(jpeg, &row, 1);
        if (cmyk) from_cmyk(job->row, header->width, to);
    }
    jpeg_finish_decompress(jpeg);
}

static pio_status decode(const pio_image_source *source, const pio_image_header *header, uint8_t *pixels,
                         pio_error *error) {
    jpeg_job *job = calloc(1, sizeof *job); /* what a jump leaves behind must not lie in registers */
    if (!job) return pio_image_fail_memory(source, error);
    job->source = source;
    job->jpeg.err = jpeg_std_error(&job->errors);
    job->errors.error_exit = on_error;
    job->errors.emit_message = on_message;
    job->errors.output_message = on_output;
    if (!setjmp(job->failed)) read_pixels(job, header, pixels);
    const pio_status status = job->truncated   ? pio_image_fail_truncated(source, "JPEG", error)
                              : job->no_memory ? pio_image_fail_memory(source, error)
                              : job->words[0]  ? pio_image_fail_damaged(source, "JPEG", job->words, error)
                                               : PIO_OK;
    jpeg_destroy_decompress(&job->jpeg);
    free(job->row);
    free(job);
    return status;
}

const pio_image_format pio_image_jpeg = {"JPEG", matches, read_header, decode};
