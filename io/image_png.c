/* PNG through libpng. The header is read here: a walk over the chunks finds what may stand behind the pixels. */
#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/image_format.h"

static const uint8_t signature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};

enum { FIRST_CHUNK = 8, CHUNK_FRAME = 12 /* length, type and checksum around the data */, IHDR_BYTES = 13 };

/* Decoding needs no others; left to libpng, texts and profiles would be unpacked. */
static const uint8_t passed_over[] =
    "bKGD\0cHRM\0gAMA\0hIST\0iCCP\0iTXt\0pCAL\0pHYs\0sBIT\0sCAL\0sPLT\0sRGB\0tEXt\0tIME\0zTXt\0"
    "eXIf\0oFFs";

static bool matches(const uint8_t *bytes, size_t n_bytes) {
    return n_bytes >= sizeof signature && !memcmp(bytes, signature, sizeof signature);
}

static bool is_type(const uint8_t *chunk, const char *type) {
    return !memcmp(chunk + 4, type, 4);
}

static pio_status read_header(const pio_image_source *source, pio_image_header *out, pio_error *error) {
    const uint8_t *chunk = source->bytes + FIRST_CHUNK, *end = source->bytes + source->n_bytes;
    if (end - chunk < CHUNK_FRAME + IHDR_BYTES) return pio_image_fail_truncated(source, "PNG", error);
    if (pio_read_be32(chunk) != IHDR_BYTES || !is_type(chunk, "IHDR"))
        return pio_image_fail_damaged(source, "PNG", "the header is not the first chunk", error);
    out->width = pio_read_be32(chunk + 8);
    out->height = pio_read_be32(chunk + 12);
    if (chunk[17] & PNG_COLOR_MASK_ALPHA) out->n_channels = 4;
    while (end - chunk >= CHUNK_FRAME && !is_type(chunk, "IEND")) {
        const uint32_t n = pio_read_be32(chunk);
        if (n > (size_t)(end - chunk) - CHUNK_FRAME) break;
        if (is_type(chunk, "tRNS")) out->n_channels = 4;
        if (is_type(chunk, "eXIf")) out->orientation = pio_exif_orientation(chunk + 8, n);
        chunk += CHUNK_FRAME + (size_t)n;
    }
    return PIO_OK;
}

/* ---- decoding ---- */

typedef struct png_job {
    const pio_image_source *source;
    size_t at;
    jmp_buf failed;
    char words[128]; /* libpng's sentence, copied */
    bool truncated, no_memory;
    png_structp png;
    png_infop info;
    png_bytep *rows; /* [height] */
} png_job;

static void on_error(png_structp png, png_const_charp message) {
    png_job *job = png_get_error_ptr(png);
    snprintf(job->words, sizeof job->words, "%s", message[0] ? message : "damaged");
    longjmp(job->failed, 1);
}

static void on_warning(png_structp png, png_const_charp message) {
    (void)png, (void)message;
}

static png_voidp allocate(png_structp png, png_alloc_size_t bytes) {
    void *memory = malloc(bytes);
    if (!memory) ((png_job *)png_get_mem_ptr(png))->no_memory = true;
    return memory;
}

static void release(png_structp png, png_voidp memory) {
    (void)png;
    free(memory);
}

static void read_bytes(png_structp png, png_bytep to, size_t n) {
    png_job *job = png_get_io_ptr(png);
    if (n > job->source->n_bytes - job->at) {
        job->truncated = true;
        png_error(png, "truncated");
    }
    memcpy(to, job->source->bytes + job->at, n);
    job->at += n;
}

/* 16-bit grey as Pillow converts it: cut at 255, not scaled. */
static void cut_row(png_structp png, png_row_infop row, png_bytep data) {
    (void)png;
    for (size_t i = 0; i < row->rowbytes / 2; i++) data[i] = data[2 * i] ? 255 : data[2 * i + 1];
}

/* Makes every kind of pixel 8-bit RGB or RGBA. */
static void ask_for_rgb(png_structp png, png_infop info, int n_channels) {
    const int kind = png_get_color_type(png, info), bits = png_get_bit_depth(png, info);
    const bool has_key = png_get_valid(png, info, PNG_INFO_tRNS) != 0;
    png_set_expand(png);
    png_set_gray_to_rgb(png);
    if (kind == PNG_COLOR_TYPE_GRAY && bits == 16) {
        png_set_read_user_transform_fn(png, cut_row);
        png_set_user_transform_info(png, NULL, 8, n_channels);
    } else {
        png_set_strip_16(png);
    }
    if (n_channels == 4 && !has_key) png_set_add_alpha(png, 255, PNG_FILLER_AFTER); /* where there is none */
    png_set_interlace_handling(png);
}

/* Jumps to job->failed when something is wrong. */
static void read_pixels(png_job *job, const pio_image_header *header, uint8_t *pixels) {
    png_structp png = job->png;
    const size_t row_bytes = (size_t)header->width * (size_t)header->n_channels;
    png_set_read_fn(png, job, read_bytes);
    png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX); /* image.c has set ours */
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, passed_over, sizeof passed_over / 5);
    png_read_info(png, job->info);
    ask_for_rgb(png, job->info, header->n_channels);
    png_read_update_info(png, job->info);
    if (png_get_image_width(png, job->info) != header->width ||
        png_get_image_height(png, job->info) != header->height || png_get_rowbytes(png, job->info) != row_bytes)
        png_error(png, "its header contradicts itself");
    for (size_t y = 0; y < header->height; y++) job->rows[y] = pixels + y * row_bytes;
    png_read_image(png, job->rows);
}

/* Makes libpng's structures and reads; what went wrong stands in the job. */
static void run(png_job *job, const pio_image_header *header, uint8_t *pixels) {
    if (setjmp(job->failed)) return;
    job->png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, job, on_error, on_warning, job, allocate, release);
    if (job->png) job->info = png_create_info_struct(job->png);
    if (job->info)
        read_pixels(job, header, pixels);
    else
        job->no_memory = true;
}

static pio_status decode(const pio_image_source *source, const pio_image_header *header, uint8_t *pixels,
                         pio_error *error) {
    png_job job = {.source = source};
    job.rows = malloc(sizeof *job.rows * header->height);
    if (!job.rows) return pio_image_fail_memory(source, error);
    run(&job, header, pixels);
    png_destroy_read_struct(&job.png, &job.info, NULL);
    free(job.rows);
    return job.truncated   ? pio_image_fail_truncated(source, "PNG", error)
           : job.no_memory ? pio_image_fail_memory(source, error)
           : job.words[0]  ? pio_image_fail_damaged(source, "PNG", job.words, error)
                           : PIO_OK;
}

const pio_image_format pio_image_png = {"PNG", matches, read_header, decode};
