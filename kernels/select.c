#include "kernels/select.h"

#include <stdio.h>
#include <string.h>

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

pio_status pio_select_fail(const pio_selector *selector, const pio_call *call, pio_error *error) {
    const pio_op_info *op = pio_op_get(call->op);
    char name[PIO_ROW_NAME_BYTES];
    if (selector->forced[call->op])
        return pio_fail(
            error, PIO_UNSUPPORTED,
            "the kernel %s, forced by --kernel or PIO_KERNEL, cannot serve %s with %d rows of %d columns: leave it out",
            pio_row_name(selector->forced[call->op], name), op->name, call->in[0].rows, call->in[0].cols);
    return pio_fail(error, PIO_UNSUPPORTED, "the %s backend has no kernel for %s with %d rows of %d columns%s",
                    pio_backend_name(selector->backend), op->name, call->in[0].rows, call->in[0].cols,
                    selector->portable ? " under --compute f32" : "");
}

/* Appends the names of op's rows to the error text. */
static pio_status unknown_row(pio_op op, const char *wanted, size_t bytes, pio_error *error) {
    char list[700] = "", name[PIO_ROW_NAME_BYTES];
    size_t used = 0;
    int n_rows;
    const pio_row *const *rows = pio_rows(&n_rows);
    for (int i = 0; i < n_rows && used + PIO_ROW_NAME_BYTES + 2 < sizeof list; i++)
        if (rows[i]->op == op)
            used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", used ? ", " : "",
                                     pio_row_name(rows[i], name));
    return pio_fail(error, PIO_INVALID_ARGUMENT,
                    "--kernel (PIO_KERNEL): no kernel of %s is named '%.*s'; there are: %s", pio_op_get(op)->name,
                    (int)bytes, wanted, list);
}

static pio_status unknown_op(const char *wanted, size_t bytes, pio_error *error) {
    char list[700] = "";
    size_t used = 0;
    for (int i = 0; i < PIO_OP_COUNT && used + 40 < sizeof list; i++)
        used +=
            (size_t)snprintf(list + used, sizeof list - used, "%s%s", used ? ", " : "", pio_op_get((pio_op)i)->name);
    return pio_fail(error, PIO_INVALID_ARGUMENT,
                    "--kernel (PIO_KERNEL): '%.*s' is not <op>=<kernel> with an op of this engine; the ops are: %s",
                    (int)bytes, wanted, list);
}

static pio_status force_one(pio_selector *selector, const char *text, size_t bytes, pio_error *error) {
    const char *equals = memchr(text, '=', bytes);
    char op_name[64] = "", name[PIO_ROW_NAME_BYTES];
    if (equals && (size_t)(equals - text) < sizeof op_name) memcpy(op_name, text, (size_t)(equals - text));
    pio_op op = pio_op_find(op_name);
    if (op == PIO_OP_COUNT) return unknown_op(text, bytes, error);
    const char *wanted = equals + 1;
    size_t wanted_bytes = bytes - (size_t)(wanted - text);
    int n_rows;
    const pio_row *const *rows = pio_rows(&n_rows);
    for (int i = 0; i < n_rows; i++) {
        if (rows[i]->op != op || rows[i]->backend != selector->backend) continue;
        pio_row_name(rows[i], name);
        if (strlen(name) != wanted_bytes || memcmp(name, wanted, wanted_bytes)) continue;
        if ((rows[i]->features & selector->features) != rows[i]->features)
            return pio_fail(error, PIO_UNSUPPORTED,
                            "--kernel (PIO_KERNEL): this machine lacks the instructions of %s (%s): name another", name,
                            rows[i]->isa);
        selector->forced[op] = rows[i];
        return PIO_OK;
    }
    return unknown_row(op, wanted, wanted_bytes, error);
}

pio_status pio_selector_force(pio_selector *selector, const char *text, pio_error *error) {
    while (text && *text) {
        size_t bytes = strcspn(text, ",");
        pio_status status = bytes ? force_one(selector, text, bytes, error) : PIO_OK;
        if (status) return status;
        text += bytes + (text[bytes] == ',');
    }
    return PIO_OK;
}
