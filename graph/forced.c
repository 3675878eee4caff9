/* Kernels that a user forces: their names, and why one cannot serve what it is wanted for. */
#include <stdio.h>
#include <string.h>

#include "graph/passes.h"

/* ---- names ---- */

/* Whether a user may force the row on this device. */
static bool is_there(const pio_selector *selector, const pio_row *row, pio_op op) {
    return row->op == op && row->backend == selector->backend && (row->features & selector->features) == row->features;
}

static const pio_row *find_row(pio_op op, const char *name, size_t bytes) {
    char own[PIO_ROW_NAME_BYTES];
    int n_rows;
    const pio_row *const *rows = pio_rows(&n_rows);
    for (int i = 0; i < n_rows; i++)
        if (rows[i]->op == op && strlen(pio_row_name(rows[i], own)) == bytes && !memcmp(own, name, bytes))
            return rows[i];
    return NULL;
}

/* The rows that serve the op on this device; what a sentence does not hold is counted. */
static void list_rows(const pio_selector *selector, pio_op op, char *text, size_t bytes) {
    char name[PIO_ROW_NAME_BYTES];
    size_t used = 0;
    int n_rows, n_more = 0;
    const pio_row *const *rows = pio_rows(&n_rows);
    text[0] = 0;
    for (int i = 0; i < n_rows; i++) {
        if (!is_there(selector, rows[i], op)) continue;
        if (n_more || used + strlen(pio_row_name(rows[i], name)) + sizeof ", and 1000 more" > bytes)
            n_more++;
        else
            used += (size_t)snprintf(text + used, bytes - used, "%s%s", used ? ", " : "", name);
    }
    if (n_more) snprintf(text + used, bytes - used, " and %d more", n_more);
}

/* A name that no row of the op has on this backend. */
static pio_status check_name(const pio_selector *selector, pio_op op, const char *name, size_t bytes,
                             pio_error *error) {
    const char *backend = pio_backend_name(selector->backend);
    const pio_row *row = find_row(op, name, bytes);
    char list[760], other[64] = "";
    if (row && row->backend == selector->backend) return PIO_OK;
    if (row) snprintf(other, sizeof other, " (it is the %s backend's)", pio_backend_name(row->backend));
    list_rows(selector, op, list, sizeof list);
    return pio_fail(
        error, PIO_INVALID_ARGUMENT,
        "--kernel (PIO_KERNEL): the %s backend has no kernel of %s named '%.*s'%s; on this device it has %s", backend,
        pio_op_get(op)->name, (int)(bytes < 80 ? bytes : 80), name, other, *list ? list : "none");
}

pio_status pio_force_rows(pio_selector *selector, const char *text, pio_error *error) {
    for (const char *at = text; at && *at;) {
        const size_t bytes = strcspn(at, ","), op_bytes = strcspn(at, "=,");
        char op_name[64] = "";
        snprintf(op_name, sizeof op_name, "%.*s", (int)(op_bytes < sizeof op_name ? op_bytes : 0), at);
        const pio_op op = op_bytes < bytes ? pio_op_find(op_name) : PIO_OP_COUNT;
        pio_status status =
            op == PIO_OP_COUNT ? PIO_OK : check_name(selector, op, at + op_bytes + 1, bytes - op_bytes - 1, error);
        if (status) return status;
        at += bytes + (at[bytes] == ',');
    }
    return pio_selector_force(selector, text, error);
}

/* ---- what cannot be served ---- */

/* "17 rows or more", "1 to 16 rows" */
static void say_rows(const pio_row *row, char *text, size_t bytes) {
    if (row->max_rows == PIO_MANY_ROWS)
        snprintf(text, bytes, "%d rows or more", row->min_rows);
    else
        snprintf(text, bytes, "%d to %d rows", row->min_rows, row->max_rows);
}

pio_status pio_unserved(const pio_selector *selector, const pio_call *call, pio_layout layout, pio_error *error) {
    const pio_row *row = selector->forced[call->op];
    const pio_op_info *op = pio_op_get(call->op);
    const int32_t rows = call->in[0].rows, cols = call->in[0].cols;
    char name[PIO_ROW_NAME_BYTES], range[48], why[160];
    if (!row) return pio_select_fail(selector, call, error);
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
