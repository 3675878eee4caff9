#include "models/blocks/numbers.h"

pio_status pio_numbers_read(const pio_json_object *in, const pio_number *numbers, size_t n, pio_error *error) {
    for (size_t i = 0; i < n; i++) {
        const pio_number *row = &numbers[i];
        int64_t value;
        pio_status status =
            row->otherwise == PIO_REQUIRED
                ? pio_json_get_int(in, row->key, row->least, row->most, &value, error)
                : pio_json_get_int_or(in, row->key, row->least, row->most, row->otherwise, &value, error);
        if (status) return status;
        *row->out = (int32_t)value;
    }
    return PIO_OK;
}
