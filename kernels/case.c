#include "kernels/case_state.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- memory ---- */

bool case_memory_make(case_memory *memory, int64_t bytes, int fill) {
    int64_t whole = PIO_ROUND_UP(bytes, 64) + 2 * CASE_GUARD_BYTES;
    char *start = aligned_alloc(64, (size_t)whole);
    if (!start) return false;
    memset(start, CASE_POISON, (size_t)whole);
    memory->data = start + CASE_GUARD_BYTES;
    memory->bytes = bytes;
    memset(memory->data, fill, (size_t)bytes);
    return true;
}

void case_memory_free(case_memory *memory) {
    if (memory->data) free(memory->data - CASE_GUARD_BYTES);
    memory->data = NULL;
}

bool case_guards_are_whole(const case_memory *memory) {
    const unsigned char *data = (const unsigned char *)memory->data;
    int64_t end = PIO_ROUND_UP(memory->bytes, 64) + CASE_GUARD_BYTES;
    for (int64_t i = -CASE_GUARD_BYTES; i < end; i++) {
        if (i == 0) i = memory->bytes;
        if (i < end && data[i] != CASE_POISON) return false;
    }
    return true;
}

int case_block_add(pio_case_builder *b, case_kind kind, int64_t bytes) {
    if (b->n_blocks == CASE_MAX_BLOCKS) longjmp(b->abandoned, 1);
    case_block *block = &b->blocks[b->n_blocks];
    *block = (case_block){.kind = kind, .parent = -1};
    if (!case_memory_make(&block->reference, PIO_MAX(1, bytes), kind == CASE_OUTPUT ? CASE_POISON : 0))
        longjmp(b->abandoned, 1);
    return b->n_blocks++;
}

void case_builder_init(pio_case_builder *b, const pio_row *row, uint64_t seed, bool sizes_only) {
    memset(b, 0, sizeof *b);
    b->under_test = row;
    b->random = seed;
    b->sizes_only = sizes_only;
    b->tolerance = 1e-10;
    b->reason = "float32 sums in another order";
    memset(b->in_block, -1, sizeof b->in_block);
    memset(b->out_block, -1, sizeof b->out_block);
    memset(b->out_cache, -1, sizeof b->out_cache);
    memset(b->out_in_place, -1, sizeof b->out_in_place);
    memset(b->step_blocks, -1, sizeof b->step_blocks);
    b->call.op = row->op;
}

pio_status case_describe(pio_case_builder *b, bool (*make_case)(pio_case_builder *, int), int index, pio_error *error) {
    if (setjmp(b->abandoned)) return pio_fail(error, PIO_OUT_OF_MEMORY, "not enough memory to try a kernel");
    return make_case(b, index) ? PIO_OK : PIO_NOT_FOUND;
}

void case_builder_free(pio_case_builder *b) {
    for (int i = 0; i < b->n_blocks; i++) {
        case_memory_free(&b->blocks[i].reference);
        case_memory_free(&b->blocks[i].row);
        case_memory_free(&b->blocks[i].before);
    }
    case_memory_free(&b->values);
    pio_buffer_destroy(b->device_memory);
}

/* ---- numbers ---- */

/* splitmix64 (Steele, Lea, Flood 2014) */
static uint64_t next_random(pio_case_builder *b) {
    uint64_t x = b->random += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

uint32_t pio_case_uniform(pio_case_builder *b, uint32_t n) {
    return (uint32_t)(next_random(b) >> 32) % n;
}

/* The sum of four uniform numbers (Irwin and Hall): near enough to a Gaussian, and cheap enough for millions. */
float pio_case_gaussian(pio_case_builder *b) {
    uint64_t x = next_random(b);
    int32_t sum = (int32_t)((x & 0xffff) + (x >> 16 & 0xffff) + (x >> 32 & 0xffff) + (x >> 48)) - 2 * 0xffff;
    return (float)sum * (1.7320508f / 0x1p16f);
}

/* ---- description ---- */

void pio_case_name(pio_case_builder *b, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(b->name, sizeof b->name, format, args);
    va_end(args);
}

void pio_case_tolerance(pio_case_builder *b, double nmse, const char *reason) {
    b->tolerance = nmse;
    b->reason = reason;
}

pio_call *pio_case_call(pio_case_builder *b) {
    return &b->call;
}
const pio_row *pio_case_row(const pio_case_builder *b) {
    return b->under_test;
}

/* Makes block `block` operand `in`. */
static pio_operand *set_in(pio_case_builder *b, int in, int block) {
    b->in_block[in] = block;
    b->call.n_in = PIO_MAX(b->call.n_in, in + 1);
    b->call.in[in] = (pio_operand){.address = (pio_addr)block + 1};
    return &b->call.in[in];
}

static pio_operand *set_out(pio_case_builder *b, int out, int block) {
    b->out_block[out] = block;
    b->call.n_out = PIO_MAX(b->call.n_out, out + 1);
    b->call.out[out] = (pio_operand){.address = (pio_addr)block + 1};
    return &b->call.out[out];
}

/* A block with a live count, as its number + 1. */
static pio_addr live_count(pio_case_builder *b, int32_t bound, int32_t live) {
    if (bound == live && pio_case_uniform(b, 2)) return 0; /* all rows live, said by no address */
    int block = case_block_add(b, CASE_WORDS, sizeof live);
    memcpy(b->blocks[block].reference.data, &live, sizeof live);
    return (pio_addr)block + 1;
}

float *pio_case_acts(pio_case_builder *b, int in, int32_t bound, int32_t live, int32_t cols, float scale) {
    int64_t stride = pio_encoding_stride(PIO_ENC_F32, cols);
    int block = case_block_add(b, CASE_ACTS, stride * bound);
    case_block *added = &b->blocks[block];
    added->rows = bound;
    added->live = live;
    added->cols = cols;
    memset(added->reference.data, CASE_POISON, (size_t)added->reference.bytes);
    for (int32_t t = 0; t < live && !b->sizes_only; t++) {
        float *x = (float *)(added->reference.data + t * stride);
        for (int32_t i = 0; i < cols; i++)
            x[i] = scale * pio_case_gaussian(b) * (pio_case_uniform(b, 200) ? 1.0f : 8.0f);
    }
    *set_in(b, in, block) = (pio_operand){.address = (pio_addr)block + 1,
                                          .rows = bound,
                                          .cols = cols,
                                          .stride = stride,
                                          .live = live_count(b, bound, live)};
    return (float *)b->blocks[block].reference.data;
}

float *pio_case_weights(pio_case_builder *b, int in, int32_t n_matrices, int32_t rows, int32_t cols, float scale) {
    const int64_t n = (int64_t)n_matrices * rows * cols;
    int block = case_block_add(b, CASE_WEIGHT, (int64_t)sizeof(float) * n);
    float *w = (float *)b->blocks[block].reference.data;
    b->blocks[block].n_matrices = n_matrices;
    b->blocks[block].rows = rows;
    b->blocks[block].cols = cols;
    for (int64_t i = 0; i < n && !b->sizes_only; i++) w[i] = scale * pio_case_gaussian(b);
    *set_in(b, in, block) =
        (pio_operand){.address = (pio_addr)block + 1, .rows = rows, .cols = cols, .n_matrices = n_matrices};
    return w;
}

void pio_case_weights_layout(pio_case_builder *b, int in, pio_layout layout) {
    b->blocks[b->in_block[in]].layout = layout;
    pio_case_call(b)->in[in].layout = layout;
}

float *pio_case_weight(pio_case_builder *b, int in, int32_t rows, int32_t cols, float scale) {
    return pio_case_weights(b, in, 1, rows, cols, scale);
}

float *pio_case_vector(pio_case_builder *b, int in, int32_t n, float mean, float scale) {
    int block = case_block_add(b, CASE_WORDS, (int64_t)sizeof(float) * n);
    float *x = (float *)b->blocks[block].reference.data;
    for (int32_t i = 0; i < n; i++) x[i] = mean + scale * pio_case_gaussian(b);
    *set_in(b, in, block) =
        (pio_operand){.address = (pio_addr)block + 1, .rows = 1, .cols = n, .stride = 4 * (int64_t)n};
    return x;
}

void *pio_case_words(pio_case_builder *b, int in, int64_t bytes) {
    int block = case_block_add(b, CASE_WORDS, bytes);
    b->blocks[block].written = true; /* states may be updated in place; both sides must agree */
    set_in(b, in, block);
    return b->blocks[block].reference.data;
}

void *pio_case_linked(pio_case_builder *b, int in, int64_t at, int64_t bytes) {
    int block = case_block_add(b, CASE_WORDS, bytes);
    b->blocks[block].parent = b->in_block[in];
    b->blocks[block].parent_at = at;
    b->blocks[block].written = true;
    return b->blocks[block].reference.data;
}

static void add_cache(pio_case_builder *b, int in, int32_t pages, const pio_kv_geometry *geometry) {
    b->geometry = *geometry;
    b->cache_pages = pages;
    int block = case_block_add(b, CASE_CACHE, (int64_t)pio_kv_bytes(pio_kv_layout_f32(geometry), geometry, pages));
    memset(b->blocks[block].reference.data, CASE_POISON, (size_t)b->blocks[block].reference.bytes);
    *set_in(b, in, block) = (pio_operand){.address = (pio_addr)block + 1, .cols = pio_kv_row_floats(geometry)};
}

void pio_case_cache(pio_case_builder *b, int in, int32_t pages) {
    const pio_attrs *attrs = &b->call.attrs;
    add_cache(b, in, pages, &(pio_kv_geometry){attrs->n_kv_heads, attrs->head_dim, attrs->page_tokens, 0});
}

void pio_case_latent_cache(pio_case_builder *b, int in, int32_t pages) {
    const pio_attrs *attrs = &b->call.attrs;
    add_cache(b, in, pages, &(pio_kv_geometry){1, attrs->head_dim, attrs->page_tokens, attrs->rope_dim});
}

void pio_case_cache_growth(pio_case_builder *b, float doublings) {
    b->cache_growth = doublings;
}

void pio_case_output(pio_case_builder *b, int out, int32_t bound, int32_t live, int32_t cols) {
    int64_t stride = pio_encoding_stride(PIO_ENC_F32, cols);
    int block = case_block_add(b, CASE_OUTPUT, stride * bound);
    b->blocks[block].rows = bound;
    b->blocks[block].live = live;
    b->blocks[block].cols = cols;
    b->blocks[block].written = true;
    *set_out(b, out, block) = (pio_operand){.address = (pio_addr)block + 1,
                                            .rows = bound,
                                            .cols = cols,
                                            .stride = stride,
                                            .live = live_count(b, bound, live)};
}

void pio_case_output_encoding(pio_case_builder *b, int out, pio_encoding encoding) {
    case_block *block = &b->blocks[b->out_block[out]];
    const int64_t stride = pio_encoding_stride(encoding, block->cols);
    case_memory_free(&block->reference);
    if (!case_memory_make(&block->reference, stride * block->rows, CASE_POISON)) longjmp(b->abandoned, 1);
    b->call.out[out].encoding = encoding;
    b->call.out[out].stride = stride;
    b->out_exact_encoding[out] = true;
}

void pio_case_output_words(pio_case_builder *b, int out, int64_t bytes) {
    int block = case_block_add(b, CASE_OUTPUT, bytes);
    b->blocks[block].written = true;
    b->out_words[out] = true;
    set_out(b, out, block);
}

void pio_case_output_cache(pio_case_builder *b, int out, int in) {
    b->blocks[b->in_block[in]].written = true;
    b->out_cache[out] = in;
    *set_out(b, out, b->in_block[in]) = b->call.in[in];
}

void pio_case_output_in_place(pio_case_builder *b, int out, int in) {
    b->blocks[b->in_block[in]].written = true;
    b->out_in_place[out] = in;
    *set_out(b, out, b->in_block[in]) = b->call.in[in];
}

/* ---- the step ---- */

enum { COUNTS, IDS, POSITIONS, CACHE_ROWS, SEQUENCES, PAGES, OUT_ROWS, DRAWS, TAPS, PICTURE_ROWS, COUNTERS };

static void *step_part(pio_case_builder *b, int part, int64_t bytes) {
    int block = case_block_add(b, CASE_WORDS, bytes);
    b->step_blocks[part] = block;
    return b->blocks[block].reference.data;
}

/* Page numbers 1..n in random order: neighbours in a sequence need not be neighbours in memory. */
static void shuffle_pages(pio_case_builder *b, int32_t *pages, int32_t n) {
    for (int32_t i = 0; i < n; i++) {
        int32_t j = (int32_t)pio_case_uniform(b, (uint32_t)i + 1);
        pages[i] = pages[j];
        pages[j] = i + 1;
    }
}

void pio_case_step(pio_case_builder *b, const pio_case_sequence *sequences, int n_sequences, int32_t bound) {
    const int32_t page_tokens = PIO_MAX(1, b->call.attrs.page_tokens);
    int32_t n_pages = 0, row = 0, page = 0;
    for (int i = 0; i < n_sequences; i++)
        n_pages += PIO_CEIL_DIV(sequences[i].context + sequences[i].n_rows, page_tokens);
    pio_step_counts *counts = step_part(b, COUNTS, sizeof *counts);
    int32_t *ids = step_part(b, IDS, 4 * (int64_t)bound), *positions = step_part(b, POSITIONS, 12 * (int64_t)bound);
    int32_t *cache_rows = step_part(b, CACHE_ROWS, 4 * (int64_t)bound),
            *pages = step_part(b, PAGES, 4 * (int64_t)n_pages);
    pio_step_sequence *out = step_part(b, SEQUENCES, (int64_t)sizeof *out * n_sequences);
    step_part(b, COUNTERS, 4 * (int64_t)PIO_STEP_COUNTERS); /* an input that must be found unchanged: zero again */
    shuffle_pages(b, pages, n_pages);
    for (int32_t i = 0; i < bound; i++) cache_rows[i] = i % page_tokens; /* padding: page 0 */
    for (int i = 0; i < n_sequences; i++) {
        const pio_case_sequence *s = &sequences[i];
        out[i] = (pio_step_sequence){row, s->n_rows, s->context, page};
        for (int32_t t = 0; t < s->n_rows; t++, row++) {
            int32_t at = s->context + t;
            cache_rows[row] = pages[page + at / page_tokens] * page_tokens + at % page_tokens;
            ids[row] = 0;
            for (int axis = 0; axis < 3; axis++) positions[3 * row + axis] = axis ? at / 2 + axis : at;
        }
        page += PIO_CEIL_DIV(s->context + s->n_rows, page_tokens);
    }
    *counts = (pio_step_counts){.n_tokens = row, .n_sequences = n_sequences};
}

int32_t *pio_case_ids(pio_case_builder *b) {
    return (int32_t *)b->blocks[b->step_blocks[IDS]].reference.data;
}

int32_t *pio_case_out_rows(pio_case_builder *b, int32_t bound, int32_t live) {
    int32_t *rows = step_part(b, OUT_ROWS, 4 * (int64_t)bound);
    ((pio_step_counts *)b->blocks[b->step_blocks[COUNTS]].reference.data)->n_outs = live;
    return rows;
}

pio_step_draw *pio_case_draws(pio_case_builder *b, int32_t bound, int32_t live) {
    pio_step_draw *draws = step_part(b, DRAWS, (int64_t)sizeof *draws * bound);
    for (int32_t i = 0; i < bound; i++) draws[i].slot = -1;
    ((pio_step_counts *)b->blocks[b->step_blocks[COUNTS]].reference.data)->n_outs = live;
    return draws;
}

pio_step_taps *pio_case_taps(pio_case_builder *b, int32_t bound) {
    return step_part(b, TAPS, (int64_t)sizeof(pio_step_taps) * bound);
}

void pio_case_picture_rows(pio_case_builder *b, int32_t bound, int32_t live, int32_t cols) {
    step_part(b, PICTURE_ROWS, (int64_t)sizeof(pio_u64) * bound);
    for (int32_t t = 0; t < live; t++) {
        if (t % 3 == 2) continue;
        int block = case_block_add(b, CASE_WORDS, (int64_t)sizeof(float) * cols);
        b->blocks[block].parent = b->step_blocks[PICTURE_ROWS];
        b->blocks[block].parent_at = (int64_t)sizeof(pio_u64) * t;
        float *row = (float *)b->blocks[block].reference.data;
        for (int32_t i = 0; i < cols; i++) row[i] = pio_case_gaussian(b);
    }
}
