#include "kernels/kernel.h"

#include <stdio.h>
#include <string.h>

#include "kernels/families.h"

/* Rows' functions have external linkage in the family's files and are declared by families.h; match(), scratch() and
 * record() are declared in the family's header. NONE stands for an absent one. */
#define NONE ((void *)0)

#define ROW(op_, layout_, acts_, portable_, least, most, rank_, match_, scratch_, record_, ...)                        \
    &(const pio_row){.op = op_,                                                                                        \
                     .layout = layout_,                                                                                \
                     .acts = acts_,                                                                                    \
                     .portable = portable_,                                                                            \
                     .min_rows = least,                                                                                \
                     .max_rows = most,                                                                                 \
                     .rank = rank_,                                                                                    \
                     .match = match_,                                                                                  \
                     .scratch = scratch_,                                                                              \
                     .record = record_,                                                                                \
                     __VA_ARGS__},

#define CPU(op, isa_, isa_name, variant_, layout, acts, portable, outs, least, most, rank, match, scratch, record,     \
            function)                                                                                                  \
    ROW(op, layout, acts, portable, least, most, rank, match, scratch, record, .backend = PIO_BACKEND_CPU,             \
        .features = isa_, .isa = isa_name, .variant = variant_, .out_encodings = outs, .functions = {function})
#define PIO_CPU(op, isa, variant, layout, acts, ...)                                                                   \
    CPU(PIO_OP_##op, PIO_CPU_##isa, #isa, #variant, PIO_LAYOUT_##layout, PIO_ENC_##acts, false, __VA_ARGS__)
#define PIO_CPU_PORTABLE(op, isa, variant, layout, acts, ...)                                                          \
    CPU(PIO_OP_##op, PIO_CPU_##isa, #isa, #variant, PIO_LAYOUT_##layout, PIO_ENC_##acts, true, __VA_ARGS__)

#if PIO_HAS_VULKAN
#define VULKAN(op, feature, variant_, layout, acts, portable, outs, least, most, rank, match, scratch, record,         \
               launch_, shader)                                                                                        \
    ROW(op, layout, acts, portable, least, most, rank, match, scratch, record, .backend = PIO_BACKEND_VULKAN,          \
        .features = feature, .isa = "VULKAN", .variant = variant_, .out_encodings = outs, .launch = launch_,           \
        .code = {&pio_spv_##shader})
#define PIO_VULKAN(op, feature, variant, layout, acts, ...)                                                            \
    VULKAN(PIO_OP_##op, PIO_VULKAN_##feature, #variant, PIO_LAYOUT_##layout, PIO_ENC_##acts, false, __VA_ARGS__)
#define PIO_VULKAN_PORTABLE(op, feature, variant, layout, acts, ...)                                                   \
    VULKAN(PIO_OP_##op, PIO_VULKAN_##feature, #variant, PIO_LAYOUT_##layout, PIO_ENC_##acts, true, __VA_ARGS__)
#else
#define PIO_VULKAN(...)
#define PIO_VULKAN_PORTABLE(...)
#endif

static const pio_row *const rows[] = {
#include "kernels/rows.def"
    NULL};

const pio_row *const *pio_rows(int *n_rows) {
    *n_rows = (int)PIO_COUNT(rows) - 1;
    return rows;
}

pio_status pio_row_record(const pio_row *row, pio_recorder *recorder, const pio_call *call, pio_error *error) {
    if (row->record) return row->record(recorder, call, error);
    PIO_ALIGNED(16) char args[PIO_ARGS_MAX_BYTES] = {0};
    pio_launch launch = {.groups = {1, 1, 1}};
    const pio_op_info *op = pio_op_get(row->op);
    op->bind(call, args);
    if (row->launch) row->launch(call, &launch);
    return recorder->dispatch(recorder, 0, &launch, args, op->args_bytes, error);
}

const char *pio_row_name(const pio_row *row, char *buffer) {
    const char *layout = row->layout == PIO_LAYOUT_NONE  ? pio_encoding_name(row->acts)
                         : row->layout == PIO_LAYOUT_ANY ? "any"
                                                         : pio_layout_get(row->layout)->name;
    char isa[24] = "";
    for (size_t i = 0; row->isa[i] && i + 1 < sizeof isa; i++)
        isa[i] = (char)(row->isa[i] >= 'A' && row->isa[i] <= 'Z' ? row->isa[i] + 32 : row->isa[i]);
    snprintf(buffer, PIO_ROW_NAME_BYTES, "%s.%s.%s.%s", pio_op_get(row->op)->name, isa, layout, row->variant);
    return buffer;
}
