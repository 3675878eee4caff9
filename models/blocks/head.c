#include "models/blocks/blocks.h"

void pio_head_graph(pio_spec *spec, const pio_states *states, int32_t hidden_size, const char *norm, float eps,
                    int32_t output) {
    pio_build_graph(spec, "head");
    pio_tensor x = pio_gather_rows(spec, pio_state_use(spec, states->hidden, hidden_size)); /* [O, hidden] */
    x = pio_rmsnorm(spec, x, pio_weight_vector(spec, norm, hidden_size), eps);
    pio_tensor logits = pio_linear(spec, x, output, -1); /* [O, vocab] */
    pio_store(spec, logits, states->logits);
    pio_sample(spec, logits, states->slots, states->ring);
}
