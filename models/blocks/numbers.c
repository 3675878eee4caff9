#include "models/blocks/numbers.h"

#include <string.h>

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

static pio_status check_setting(const pio_json_object *in, const pio_setting *row, pio_error *error) {
    const char *text;
    bool flag;
    pio_status status;
    if (!row->text) {
        status = pio_json_get_bool_or(in, row->key, row->flag, &flag, error);
        return status || flag == row->flag
                   ? status
                   : pio_fail(error, PIO_UNSUPPORTED, "'%s': %s%s %s is not supported, only %s is", in->file,
                              in->prefix, row->key, flag ? "true" : "false", flag ? "false" : "true");
    }
    status = pio_json_get_string_or(in, row->key, row->text, &text, error);
    return status || !strcmp(text, row->text)
               ? status
               : pio_fail(error, PIO_UNSUPPORTED, "'%s': %s%s '%.40s' is not supported, only '%s' is", in->file,
                          in->prefix, row->key, text, row->text);
}

pio_status pio_settings_check(const pio_json_object *in, const pio_setting *settings, size_t n, pio_error *error) {
    pio_status status = PIO_OK;
    for (size_t i = 0; i < n && !status; i++) status = check_setting(in, &settings[i], error);
    return status;
}
