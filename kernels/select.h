/* Which row serves a call. */
#ifndef PIO_KERNELS_SELECT_H
#define PIO_KERNELS_SELECT_H

#include "kernels/kernel.h"

typedef struct pio_selector {
    pio_backend backend;
    uint32_t features;                   /* of the device */
    bool portable;                       /* --compute f32: portable rows only */
    int n_workers, subgroup_size;        /* of the device */
    const pio_row *forced[PIO_OP_COUNT]; /* by PIO_KERNEL; NULL: free choice */
    uint32_t cache_layouts;              /* bits (1 << pio_layout) that a cache may have; 0: any */
    const pio_row *const *disabled;      /* rows that failed the self-test */
    int n_disabled;
} pio_selector;

/* Parses PIO_KERNEL: "<op>=<row name>", comma-separated, into selector->forced; backend and features are set. A name
 * that this device does not have is refused with those that it has. */
pio_status pio_selector_force(pio_selector *selector, const char *text, pio_error *error);

/* Whether `row` can serve `call`: its backend, features, range of rows, output encoding and shape, and `layout` for the
 * stored operand (PIO_LAYOUT_ANY: whatever the row reads). */
bool pio_row_serves(const pio_selector *selector, const pio_row *row, const pio_call *call, pio_layout layout);

/* The row of the highest rank that serves the call with its stored operand in `layout`; NULL: none does. */
const pio_row *pio_select(const pio_selector *selector, const pio_call *call, pio_layout layout);

/* Says why nothing serves the call with its stored operand in `layout`; of a forced row, what it does serve. */
pio_status pio_select_fail(const pio_selector *selector, const pio_call *call, pio_layout layout, pio_error *error);

#endif
