#include "kernels/kernel.h"

#include <stdio.h>
#include <string.h>

#include "kernels/families.h"

/* A row's functions have external linkage in the family's files and are declared by families.h; match(), scratch() and
 * record() are declared in its header. NONE stands for an absent one. */
#define NONE ((void *)0)

#define ROW(op_name, isa_name, variant_name, layout_name, acts_name, outs, least, most, rank_, match_, scratch_,       \
            record_, function_, portable_)                                                                             \
    &(const pio_row){.op = PIO_OP_##op_name,                                                                           \
                     .backend = PIO_BACKEND_CPU,                                                                       \
                     .features = PIO_CPU_##isa_name,                                                                   \
                     .isa = #isa_name,                                                                                 \
                     .variant = #variant_name,                                                                         \
                     .layout = PIO_LAYOUT_##layout_name,                                                               \
                     .acts = PIO_ENC_##acts_name,                                                                      \
                     .out_encodings = outs,                                                                            \
                     .portable = portable_,                                                                            \
                     .min_rows = least,                                                                                \
                     .max_rows = most,                                                                                 \
                     .rank = rank_,                                                                                    \
                     .match = match_,                                                                                  \
                     .scratch = scratch_,                                                                              \
                     .record = record_,                                                                                \
                     .functions = {function_}},
#define PIO_CPU(...)          ROW(__VA_ARGS__, false)
#define PIO_CPU_PORTABLE(...) ROW(__VA_ARGS__, true)

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
