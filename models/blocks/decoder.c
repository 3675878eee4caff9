#include <stdio.h>

#include "models/blocks/blocks.h"
#include "models/blocks/name.h"
#include "models/blocks/numbers.h"

pio_status pio_decoder_read(const pio_json_object *config, double default_eps, pio_model_config *out,
                            pio_error *error) {
    const pio_number numbers[] = {
        {"vocab_size", 1, PIO_MAX_VOCAB, PIO_REQUIRED, &out->vocab_size},
        {"hidden_size", 1, PIO_MAX_WIDTH, PIO_REQUIRED, &out->hidden_size},
        {"num_hidden_layers", 1, PIO_MAX_LAYERS, PIO_REQUIRED, &out->n_layers},
        {"max_position_embeddings", 1, INT32_MAX, PIO_REQUIRED, &out->max_positions},
        {"intermediate_size", 1, PIO_MAX_WIDTH, PIO_REQUIRED, &out->intermediate_size},
    };
    double eps = default_eps;
    pio_status status = pio_numbers_read(config, numbers, PIO_COUNT(numbers), error);
    if (!status) status = pio_json_get_double_or(config, "rms_norm_eps", 0, 1, default_eps, &eps, error);
    if (!status) status = pio_json_get_bool_or(config, "tie_word_embeddings", false, &out->tied, error);
    if (!status) status = pio_rope_read(config, &out->rope_theta, error);
    out->eps = (float)eps;
    return status;
}

pio_decoder pio_decoder_begin(pio_spec *spec, const pio_model_config *common, const char *prefix) {
    const int32_t hidden = common->hidden_size, vocab = common->vocab_size;
    pio_decoder d = {.spec = spec, .common = common, .prefix = prefix, .layer = -1};
    PIO_NAME(embedding, prefix, "embed_tokens.weight");
    d.states = pio_states_add(spec, hidden, vocab);
    const int32_t table = pio_weight_table(spec, embedding, vocab, hidden);
    d.output = common->tied ? table : pio_weight_table(spec, "lm_head.weight", vocab, hidden);
    pio_build_graph(spec, "body");
    d.x = pio_embed(spec, table, d.states.slots);
    return d;
}

bool pio_decoder_next(pio_decoder *d) {
    if (++d->layer == d->common->n_layers) return false;
    snprintf(d->layer_prefix, sizeof d->layer_prefix, "%s.layers.%d", d->prefix, d->layer);
    d->spec->layer = d->layer;
    return true;
}

void pio_decoder_put(pio_decoder *d, pio_tensor x) {
    char tap[64];
    snprintf(tap, sizeof tap, "layer.%d", d->layer);
    pio_tap(d->spec, x, tap);
    d->x = x;
}

void pio_decoder_end(pio_decoder *d) {
    const int32_t hidden = d->common->hidden_size;
    PIO_NAME(norm, d->prefix, "norm.weight");
    pio_store(d->spec, d->x, d->states.hidden);

    pio_build_graph(d->spec, "head");
    pio_tensor x = pio_gather_rows(d->spec, pio_state_use(d->spec, d->states.hidden, hidden)); /* [O, hidden] */
    x = pio_rmsnorm(d->spec, x, pio_weight_vector(d->spec, norm, hidden), d->common->eps);
    pio_tensor logits = pio_linear(d->spec, x, d->output, -1); /* [O, vocab] */
    pio_store(d->spec, logits, d->states.logits);
    pio_sample(d->spec, logits, d->states.slots, d->states.ring);
}
