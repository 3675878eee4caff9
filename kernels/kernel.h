/* Ops, rows and calls: what the graph layer knows of a kernel.
 *
 * An op (ops.def) is a contract: operands, argument struct, a reference in plain C, and cases. A row (a line of a
 * family's .def) is one implementation of an op on one backend: the features it requires, the weight or cache layout
 * and the activation encoding that it reads, and the range of rows it serves. Rows are named
 * <op>.<isa>.<layout>.<variant>. */
#ifndef PIO_KERNELS_KERNEL_H
#define PIO_KERNELS_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/dtype.h"
#include "base/status.h"
#include "hal/hal.h"
#include "kernels/dtype/encoding.h"
#include "kernels/dtype/layout.h"
#include "kernels/step.h"

typedef enum pio_op {
#define PIO_OP(NAME, family, op, stored, in_place) PIO_OP_##NAME,
#include "kernels/ops.def"
#undef PIO_OP
    PIO_OP_COUNT
} pio_op;

enum { PIO_MAX_IN = 6, PIO_MAX_OUT = 3 };

/* What a model fixes about a node; an op reads the fields that its contract names. */
typedef struct pio_attrs {
    float eps;
    float norm_eps; /* of the norm that an op takes along */
    float scale;
    int32_t n_heads, n_kv_heads, head_dim, rope_dim;
    int32_t page_tokens;            /* tokens a cache page */
    int32_t page_rows;              /* rows of the whole cache: pages x page_tokens, for checks */
    int32_t flags;                  /* the op's own bits */
    int32_t column;                 /* the first of those that the op reads */
    int32_t n_groups, n_top_groups; /* of experts; of those, how many are chosen from */
    int32_t n_shared;               /* experts behind them that every token is sent to */
} pio_attrs;

/* One operand of a call. Activations are [rows, cols], row-major, `stride` bytes apart, in `encoding`; a row in an
 * encoding other than f32 is described in kernels/dtype/encoding.h. Weights and caches are in `layout`. */
typedef struct pio_operand {
    pio_addr address; /* 0: the operand is absent */
    int32_t rows;     /* activations: the bound; the live count is at `live` */
    int32_t cols;
    int64_t stride; /* bytes from one row to the next (activations) */
    pio_encoding encoding;
    pio_layout layout;
    pio_addr live;        /* i32: the live number of rows; 0: all `rows` */
    int32_t n_matrices;   /* weights: matrices of [rows, cols], */
    int64_t matrix_bytes; /* as far apart */
} pio_operand;

typedef struct pio_row pio_row;

/* One use of an op with its shapes; addresses are 0 until it is recorded. */
typedef struct pio_call {
    pio_op op;
    int n_in, n_out;
    pio_operand in[PIO_MAX_IN], out[PIO_MAX_OUT];
    pio_attrs attrs;
    pio_step_addresses step;
    pio_addr scratch;  /* of the size that the row's scratch() asked for, shared by the workers, 64-byte aligned */
    int n_workers;     /* of the device, for sizing splits */
    int subgroup_size; /* of the device; 0 where nobody said */
} pio_call;

/* Whether an optional input is there; its address may not be known yet. */
static inline bool pio_call_has(const pio_call *call, int in) {
    return in < call->n_in && call->in[in].cols > 0;
}

/* How a kernel of a device is started: its groups of threads, and the specialisation constants 0, 1, ... that it is
 * compiled with. CPU kernels share their work out themselves and have none. */
enum { PIO_LAUNCH_CONSTANTS = 8 };
typedef struct pio_launch {
    uint32_t groups[3];
    uint32_t constants[PIO_LAUNCH_CONSTANTS];
    int n_constants;
    uint32_t subgroup_size; /* that the kernel is written for; 0: any */
} pio_launch;

/* What a row's record() hands its dispatches to. */
typedef struct pio_recorder {
    /* Records kernel `index` of the row with an argument struct. `launch` NULL: one group, no constants. */
    pio_status (*dispatch)(struct pio_recorder *, int index, const pio_launch *launch, const void *args,
                           size_t args_bytes, pio_error *);
    /* Orders what the row records after it behind what it recorded before. */
    pio_status (*barrier)(struct pio_recorder *, pio_error *);
} pio_recorder;

enum { PIO_ROW_KERNELS = 2, PIO_MANY_ROWS = INT32_MAX };

struct pio_row {
    pio_op op;
    pio_backend backend;
    uint32_t features; /* all of them are required */
    const char *isa;   /* as it stands in the name */
    const char *variant;
    pio_layout layout; /* of the stored operand; PIO_LAYOUT_NONE where the op has none, PIO_LAYOUT_ANY: reads all */
    pio_encoding acts; /* of in[0] */
    uint32_t out_encodings;     /* bit 1 << encoding: what it can write as out[0]; 0: float32 only */
    bool portable;              /* the float32 row of --compute f32: no encoded activations, float32 sums and cache */
    int32_t min_rows, max_rows; /* of the bound on in[0]'s rows */
    int rank;                   /* the higher is preferred */
    bool (*match)(const pio_call *);     /* NULL: any shape */
    size_t (*scratch)(const pio_call *); /* NULL: none */
    pio_status (*record)(pio_recorder *, const pio_call *,
                         pio_error *);              /* NULL: one dispatch of kernel 0 with the op's arguments */
    void (*launch)(const pio_call *, pio_launch *); /* of kernel 0 where record is NULL; NULL: one group */
    pio_cpu_function functions[PIO_ROW_KERNELS];    /* CPU */
    const pio_code *code[PIO_ROW_KERNELS];          /* other devices */
};

/* Records the row's dispatches for a call. */
pio_status pio_row_record(const pio_row *row, pio_recorder *recorder, const pio_call *call, pio_error *error);

/* "linear.avx512.q4_x16.gemm"; PIO_ROW_NAME_BYTES suffice. */
enum { PIO_ROW_NAME_BYTES = 96 };
const char *pio_row_name(const pio_row *row, char *buffer);

typedef struct pio_case_builder pio_case_builder;

typedef struct pio_op_info {
    const char *name;   /* lower case: "linear_add" */
    const char *family; /* its folder */
    int stored;         /* index of the weight or cache operand among the inputs, -1: none */
    int in_place;       /* index of the input on which out[0] may lie, -1: none */
    size_t args_bytes;
    void (*bind)(const pio_call *, void *args); /* fills the argument struct */
    pio_cpu_function reference;                 /* plain C, float32 activations, row-major layouts */
    /* Describes case `index` into the builder; false after the last one. See kernels/case.h. */
    bool (*make_case)(pio_case_builder *, int index);
} pio_op_info;

const pio_op_info *pio_op_get(pio_op op);
pio_op pio_op_find(const char *name); /* PIO_OP_COUNT: unknown */

/* All rows of this build, in no order of preference. */
const pio_row *const *pio_rows(int *n_rows);

#endif
