/* What the builder of a case (case.c) and its runner (case_run.c) share. */
#ifndef PIO_KERNELS_CASE_STATE_H
#define PIO_KERNELS_CASE_STATE_H

#include <setjmp.h>

#include "kernels/case.h"
#include "kernels/kv_cache/kv_cache.h"

enum { CASE_MAX_BLOCKS = 256, CASE_GUARD_BYTES = 256, CASE_POISON = 0xff };

/* Memory of one side, between two guards of poison. */
typedef struct case_memory {
    char *data; /* 64-byte aligned */
    int64_t bytes;
} case_memory;

typedef enum case_kind { CASE_ACTS, CASE_WEIGHT, CASE_CACHE, CASE_WORDS, CASE_OUTPUT } case_kind;

/* One operand, table or part of the step, once a side. */
typedef struct case_block {
    case_kind kind;
    case_memory reference, row, before; /* `before`: the row's side before the run */
    int32_t rows, live, cols;           /* activations and outputs */
    int32_t n_matrices;                 /* weights: of [rows, cols] */
    pio_layout layout;                  /* weights: NONE: the row's */
    int parent;                         /* linked: the block that holds the address, else -1 */
    int64_t parent_at;
    bool written;         /* may change in a run */
    pio_addr row_address; /* of row.data, as the kernel sees it */
} case_block;

struct pio_case_builder {
    const pio_row *under_test;
    const pio_case_device *device; /* NULL: this CPU */
    pio_buffer *device_memory;     /* the row's side, block after block */
    pio_call call; /* as the case describes it; addresses are block numbers + 1 until they are resolved */
    pio_call reference_call, row_call;
    case_block blocks[CASE_MAX_BLOCKS];
    int n_blocks;
    case_memory values; /* float32, for comparing: two rows of the widest operand, keys and values included */
    int in_block[PIO_MAX_IN], out_block[PIO_MAX_OUT];      /* -1: absent */
    int out_cache[PIO_MAX_OUT], out_in_place[PIO_MAX_OUT]; /* the input that the output is, -1: none */
    bool out_words[PIO_MAX_OUT], out_exact_encoding[PIO_MAX_OUT];
    int step_blocks[11]; /* in pio_step_addresses' order, -1: absent */
    pio_kv_geometry geometry;
    int32_t cache_pages;
    float cache_growth;
    uint64_t random;
    double tolerance;
    const char *reason;
    char name[128];
    bool sizes_only;   /* the large operands stay zero: only the call's shape is looked at */
    jmp_buf abandoned; /* where a description that finds no memory ends */
};

/* Describes case `index`: PIO_NOT_FOUND where there is none. Descriptions hold nothing but the builder's blocks, so
 * that they need not look for memory that is missing: the builder's functions then do not return to them. */
pio_status case_describe(pio_case_builder *builder, bool (*make_case)(pio_case_builder *, int), int index,
                         pio_error *error);

/* Places the blocks' row sides in a device's memory; and brings them there, runs the row and brings them back. */
pio_status case_device_place(pio_case_builder *builder, pio_error *error);
pio_status case_device_run(pio_case_builder *builder, pio_error *error);

/* A new block; its number. Reference memory is zeroed (inputs) or poisoned (outputs). */
int case_block_add(pio_case_builder *builder, case_kind kind, int64_t bytes);
bool case_memory_make(case_memory *memory, int64_t bytes, int fill);
void case_memory_free(case_memory *memory);
bool case_guards_are_whole(const case_memory *memory);
void case_builder_init(pio_case_builder *builder, const pio_row *row, uint64_t seed, bool sizes_only);
void case_builder_free(pio_case_builder *builder);

#endif
