#include "models/states.h"

#include "kernels/sample/sample.h"

pio_states pio_states_add(pio_spec *spec, int32_t hidden_size, int32_t vocab_size) {
    const int64_t float_bytes = sizeof(float);
    return (pio_states){
        .hidden = pio_state_add(spec, "hidden", pio_dim_of(PIO_TOKENS), PIO_ROUND_UP(float_bytes * hidden_size, 64)),
        .logits = pio_state_add(spec, "logits", pio_dim_of(PIO_OUTS), PIO_ROUND_UP(float_bytes * vocab_size, 64)),
        .slots = pio_state_add(spec, "slots", pio_dim_fixed(PIO_MAX_SLOTS), sizeof(pio_sample_slot)),
        .ring = pio_state_add(spec, "ring", pio_dim_fixed(PIO_RING_TOKENS), sizeof(int32_t)),
    };
}
