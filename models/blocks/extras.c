#include <stdio.h>
#include <string.h>

#include "models/model.h"

bool pio_model_is_extra(const pio_any_config *config, const char *tensor) {
    char past_the_last[64];
    snprintf(past_the_last, sizeof past_the_last, "model.layers.%d.", config->common.n_layers);
    return (config->common.tied && !strcmp(tensor, "lm_head.weight")) ||
           !strncmp(tensor, past_the_last, strlen(past_the_last));
}
