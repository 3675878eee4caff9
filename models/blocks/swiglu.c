#include "models/blocks/blocks.h"
#include "models/blocks/name.h"

pio_tensor pio_swiglu_block(pio_spec *spec, const char *prefix, pio_tensor x, int32_t hidden_size, int32_t width,
                            float eps) {
    PIO_NAME(norm, prefix, "post_attention_layernorm.weight");
    PIO_NAME(gate, prefix, "mlp.gate_proj.weight");
    PIO_NAME(up, prefix, "mlp.up_proj.weight");
    PIO_NAME(down, prefix, "mlp.down_proj.weight");
    PIO_NAME(gate_up_name, prefix, "mlp.gate_up");
    pio_tensor n = pio_rmsnorm(spec, x, pio_weight_vector(spec, norm, hidden_size), eps);
    int32_t gate_up = pio_weight_concat(spec, gate_up_name, true, 2, (const char *const[]){gate, up},
                                        (const int32_t[]){width, width}, hidden_size);
    pio_tensor h = pio_swiglu(spec, pio_linear(spec, n, gate_up, -1)); /* [T, width] */
    return pio_add(spec, x, pio_linear(spec, h, pio_weight_matrix(spec, down, hidden_size, width), -1));
}
