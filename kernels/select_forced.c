/* Kernels that a user forces: their names, and why one, or any, cannot serve what it is wanted for. */
#include <stdio.h>
#include <string.h>

#include "kernels/select.h"

/* ---- names ---- */

/* The row of the op with this name, of whatever backend. */
static const pio_row *find_row(pio_op op, const char *name, size_t bytes) {
    char own[PIO_ROW_NAME_BYTES];
    int n_rows;
    const pio_row *const *rows = pio_rows(&n_rows);
    for (int i = 0; i < n_rows; i++)
        if (rows[i]->op == op && strlen(pio_row_name(rows[i], own)) == bytes && !memcmp(own, name, bytes))
            return rows[i];
    return NULL;
}

/* Whether this device has what the row needs. */
static bool is_there(const pio_selector *selector, const pio_row *row) {
    return row->backend == selector->backend && (row->features & selector->features) == row->features;
}

/* The rows that serve the op on this device; what a sentence does not hold is counted. */
static void list_rows(const pio_selector *selector, pio_op op, char *text, size_t bytes) {
    char name[PIO_ROW_NAME_BYTES];
    size_t used = 0;
    int n_rows, n_more = 0;
    const pio_row *const *rows = pio_rows(&n_rows);
    snprintf(text, bytes, "none");
    for (int i = 0; i < n_rows; i++) {
        if (rows[i]->op != op || !is_there(selector, rows[i])) continue;
        if (n_more || used + strlen(pio_row_name(rows[i], name)) + sizeof ", and 1000 more" > bytes)
            n_more++;
        else
            used += (size_t)snprintf(text + used, bytes - used, "%s%s", used ? ", " : "", name);
    }
    if (n_more) snprintf(text + used, bytes - used, " and %d more", n_more);
}

/* `row`: of another backend, or NULL. */
static pio_status unknown_row(const pio_selector *selector, pio_op op, const pio_row *row, const char *wanted,
                              size_t bytes, pio_error *error) {
    char list[760], other[64] = "";
    if (row) snprintf(other, sizeof other, " (it is the %s backend's)", pio_backend_name(row->backend));
    list_rows(selector, op, list, sizeof list);
    return pio_fail(
        error, PIO_INVALID_ARGUMENT,
        "--kernel (PIO_KERNEL): the %s backend has no kernel of %s named '%.*s'%s; on this device it has %s",
        pio_backend_name(selector->backend), pio_op_get(op)->name, (int)PIO_MIN(bytes, 80u), wanted, other, list);
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
    const pio_op op = pio_op_find(op_name);
    if (op == PIO_OP_COUNT) return unknown_op(text, bytes, error);
    const char *wanted = equals + 1;
    const size_t wanted_bytes = bytes - (size_t)(wanted - text);
    const pio_row *row = find_row(op, wanted, wanted_bytes);
    if (!row || row->backend != selector->backend) return unknown_row(selector, op, row, wanted, wanted_bytes, error);
    if (!is_there(selector, row))
        return pio_fail(error, PIO_UNSUPPORTED,
                        "--kernel (PIO_KERNEL): this machine lacks the instructions of %s (%s): name another",
                        pio_row_name(row, name), row->isa);
    selector->forced[op] = row;
    return PIO_OK;
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

/* ---- what cannot be served ---- */

/* "17 rows or more", "1 to 16 rows" */
static void say_rows(const pio_row *row, char *text, size_t bytes) {
    if (row->max_rows == PIO_MANY_ROWS)
        snprintf(text, bytes, "%d rows or more", row->min_rows);
    else
        snprintf(text, bytes, "%d to %d rows", row->min_rows, row->max_rows);
}

static pio_status fail_forced(const pio_selector *selector, const pio_call *call, pio_layout layout, pio_error *error) {
    const pio_row *row = selector->forced[call->op];
    const pio_op_info *op = pio_op_get(call->op);
    const int32_t rows = call->in[0].rows, cols = call->in[0].cols;
    char name[PIO_ROW_NAME_BYTES], range[48], why[160];
    say_rows(row, range, sizeof range);
    if (op->stored >= 0 && row->layout != PIO_LAYOUT_ANY && layout != PIO_LAYOUT_ANY && layout != row->layout)
        snprintf(why, sizeof why, "it reads what is stored as %s, and here that is %s",
                 pio_layout_get(row->layout)->name, pio_layout_get(layout)->name);
    else if (rows < row->min_rows || rows > row->max_rows)
        snprintf(why, sizeof why, "there are steps of %d too", rows);
    else if (selector->portable && !row->portable)
        snprintf(why, sizeof why, "it is none for --compute f32");
    else
        snprintf(why, sizeof why, "it does not take %d rows of %d columns of this model", rows, cols);
    return pio_fail(error, PIO_UNSUPPORTED,
                    "the kernel %s, forced by --kernel or PIO_KERNEL, serves %s alone, with %s at once, and cannot be "
                    "used here, for %s: leave it out",
                    pio_row_name(row, name), op->name, range, why);
}

pio_status pio_select_fail(const pio_selector *selector, const pio_call *call, pio_layout layout, pio_error *error) {
    if (selector->forced[call->op]) return fail_forced(selector, call, layout, error);
    return pio_fail(error, PIO_UNSUPPORTED, "the %s backend has no kernel for %s with %d rows of %d columns%s",
                    pio_backend_name(selector->backend), pio_op_get(call->op)->name, call->in[0].rows, call->in[0].cols,
                    selector->portable ? " under --compute f32" : "");
}
