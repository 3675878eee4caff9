#include "kernels/select.h"

static bool is_disabled(const pio_selector *selector, const pio_row *row) {
    for (int i = 0; i < selector->n_disabled; i++)
        if (selector->disabled[i] == row) return true;
    return false;
}

bool pio_row_serves(const pio_selector *selector, const pio_row *row, const pio_call *call, pio_layout layout) {
    int32_t rows = call->in[0].rows;
    if (row->op != call->op || row->backend != selector->backend) return false;
    if (selector->forced[call->op] && selector->forced[call->op] != row) return false;
    if ((row->features & selector->features) != row->features || is_disabled(selector, row)) return false;
    if (selector->portable && !row->portable) return false;
    if (rows < row->min_rows || rows > row->max_rows) return false;
    if (layout != PIO_LAYOUT_ANY && row->layout != PIO_LAYOUT_ANY && pio_op_get(row->op)->stored >= 0 &&
        row->layout != layout)
        return false;
    pio_encoding written = call->out[0].encoding;
    if (written != PIO_ENC_F32 && !(row->out_encodings & 1u << written)) return false;
    return !row->match || row->match(call);
}

const pio_row *pio_select(const pio_selector *selector, const pio_call *call, pio_layout layout) {
    int n_rows;
    const pio_row *const *rows = pio_rows(&n_rows), *best = NULL;
    for (int i = 0; i < n_rows; i++)
        if (pio_row_serves(selector, rows[i], call, layout) && (!best || rows[i]->rank > best->rank)) best = rows[i];
    return best;
}
