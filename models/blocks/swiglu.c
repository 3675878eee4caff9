#include <stdio.h>

#include "models/blocks/blocks.h"

pio_tensor pio_gated_mlp(pio_spec *spec, const char *prefix, pio_tensor n, pio_tensor residual, int32_t hidden_size,
                         int32_t width) {
    char gate[120], up[120], down[120], gate_up_name[120];
    snprintf(gate, sizeof gate, "%s.gate_proj.weight", prefix);
    snprintf(up, sizeof up, "%s.up_proj.weight", prefix);
    snprintf(down, sizeof down, "%s.down_proj.weight", prefix);
    snprintf(gate_up_name, sizeof gate_up_name, "%s.gate_up", prefix);
    int32_t gate_up = pio_weight_concat(spec, gate_up_name, true, 2, (const char *const[]){gate, up},
                                        (const int32_t[]){width, width}, hidden_size);
    pio_tensor h = pio_swiglu(spec, pio_linear(spec, n, gate_up, -1)); /* [T, width] */
    return pio_add(spec, residual, pio_linear(spec, h, pio_weight_matrix(spec, down, hidden_size, width), -1));
}

pio_tensor pio_swiglu_block(pio_spec *spec, const char *prefix, pio_tensor x, int32_t hidden_size, int32_t width,
                            float eps) {
    char norm[120], mlp[120];
    snprintf(norm, sizeof norm, "%s.post_attention_layernorm.weight", prefix);
    snprintf(mlp, sizeof mlp, "%s.mlp", prefix);
    pio_tensor n = pio_rmsnorm(spec, x, pio_weight_vector(spec, norm, hidden_size), eps);
    return pio_gated_mlp(spec, mlp, n, x, hidden_size, width);
}
