#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/blocks/blocks.h"

static const double MIN_THETA = 1.0, MAX_THETA = 1e12;

pio_status pio_rope_read(const pio_json_object *config, double *theta, pio_error *error) {
    pio_json_object of[3] = {[2] = *config};
    pio_status status = pio_json_get_object(config, "rope_parameters", &of[0], error);
    if (!status) status = pio_json_get_object(config, "rope_scaling", &of[1], error);
    for (int i = 0; i < 2 && !status; i++) {
        const char *type;
        status = pio_json_get_string_or(&of[i], "rope_type", NULL, &type, error);
        if (!status && !type) status = pio_json_get_string_or(&of[i], "type", "default", &type, error);
        if (!status && strcmp(type, "default"))
            return pio_fail(
                error, PIO_UNSUPPORTED,
                "'%s': rope_type '%.40s' is not supported, only 'default' is: remove rope_scaling to run within "
                "the positions that the model was trained for",
                config->file, type);
    }
    *theta = 10000;
    for (int i = 2; i >= 0 && !status; i--)
        status = pio_json_get_double_or(&of[i], "rope_theta", MIN_THETA, MAX_THETA, *theta, theta, error);
    return status;
}

int32_t pio_rope_frequencies(pio_spec *spec, double theta, int32_t dim) {
    float *frequencies = malloc(sizeof *frequencies * (size_t)(dim / 2));
    if (!frequencies) {
        pio_fail_memory(&spec->error, "rotary frequencies", sizeof *frequencies * (size_t)(dim / 2));
        return -1;
    }
    for (int32_t i = 0; i < dim / 2; i++) frequencies[i] = (float)(1.0 / pow(theta, 2.0 * i / dim));
    int32_t weight = pio_weight_values(spec, "rope_frequencies", frequencies, dim / 2);
    free(frequencies);
    return weight;
}

int32_t pio_mrope_axes(pio_spec *spec, const int32_t section[3], int32_t dim) {
    float *axes = malloc(sizeof *axes * (size_t)(dim / 2));
    if (!axes) {
        pio_fail_memory(&spec->error, "rotary axes", sizeof *axes * (size_t)(dim / 2));
        return -1;
    }
    for (int32_t i = 0; i < dim / 2; i++) axes[i] = i % 3 && i < 3 * section[i % 3] ? (float)(i % 3) : 0.0f;
    int32_t weight = pio_weight_values(spec, "rope_axes", axes, dim / 2);
    free(axes);
    return weight;
}
