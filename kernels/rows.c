#include "kernels/kernel.h"

#include <stdio.h>
#include <string.h>

#include "kernels/families.h"

/* Rows' functions have external linkage in the family's files and are declared by families.h; match(), scratch() and
 * record() are declared in the family's header. NONE stands for an absent one. */
#define NONE ((void *)0)

#define ROW(op_, isa_, isa_name, variant_, layout_, acts_, portable_, outs, least, most, rank_, match_, scratch_,      \
            record_, function_)                                                                                        \
    &(const pio_row){.op = op_,                                                                                        \
                     .backend = PIO_BACKEND_CPU,                                                                       \
                     .features = isa_,                                                                                 \
                     .isa = isa_name,                                                                                  \
                     .variant = variant_,                                                                              \
                     .layout = layout_,                                                                                \
                     .acts = acts_,                                                                                    \
                     .out_encodings = outs,                                                                            \
                     .portable = portable_,                                                                            \
                     .min_rows = least,                                                                                \
                     .max_rows = most,                                                                                 \
                     .rank = rank_,                                                                                    \
                     .match = match_,                                                                                  \
                     .scratch = scratch_,                                                                              \
                     .record = record_,                                                                                \
                     .functions = {function_}},
#define PIO_CPU(op, isa, variant, layout, acts, ...)                                                                   \
    ROW(PIO_OP_##op, PIO_CPU_##isa, #isa, #variant, PIO_LAYOUT_##layout, PIO_ENC_##acts, false, __VA_ARGS__)
#define PIO_CPU_PORTABLE(op, isa, variant, layout, acts, ...)                                                          \
    ROW(PIO_OP_##op, PIO_CPU_##isa, #isa, #variant, PIO_LAYOUT_##layout, PIO_ENC_##acts, true, __VA_ARGS__)

static const pio_row *const rows[] = {
#include "kernels/rows.def"
    NULL};

const pio_row *const *pio_rows(int *n_rows) {
    *n_rows = (int)PIO_COUNT(rows) - 1;
    return rows;
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
