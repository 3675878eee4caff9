#include "kernels/kernel.h"

#include <string.h>

#include "kernels/families.h"

static const pio_op_info ops[PIO_OP_COUNT] = {
#define PIO_OP(NAME, family_name, op, stored_operand, in_place_operand)                                                \
    [PIO_OP_##NAME] = {.name = #op,                                                                                    \
                       .family = #family_name,                                                                         \
                       .stored = stored_operand,                                                                       \
                       .in_place = in_place_operand,                                                                   \
                       .args_bytes = sizeof(pio_##op##_args),                                                          \
                       .bind = pio_##op##_bind,                                                                        \
                       .reference = pio_##op##_ref,                                                                    \
                       .make_case = pio_##op##_case},
#include "kernels/ops.def"
#undef PIO_OP
};

#define PIO_OP(NAME, family, op, stored, in_place)                                                                     \
    _Static_assert(sizeof(pio_##op##_args) <= PIO_ARGS_MAX_BYTES, #op ": arguments are at most 128 bytes");
#include "kernels/ops.def"
#undef PIO_OP

const pio_op_info *pio_op_get(pio_op op) {
    return &ops[op];
}

pio_op pio_op_find(const char *name) {
    for (int i = 0; i < PIO_OP_COUNT; i++)
        if (!strcmp(ops[i].name, name)) return (pio_op)i;
    return PIO_OP_COUNT;
}
