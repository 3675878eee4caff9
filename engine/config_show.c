/* The settings as a person wants to see them: what counts, and who said so. */
#include "engine/config.h"
#include "engine/model.h"
#include "kernels/dtype/layout.h"

/* What the model settled itself; NULL: nothing. */
static json_t *settled(pio_key key, const pio_model *model) {
    switch (key) {
    case PIO_KEY_BACKEND:
        return json_string(pio_backend_name(model->chosen.caps.backend));
    case PIO_KEY_DEVICE:
        return json_integer(model->chosen.index);
    case PIO_KEY_THREADS:
        return json_integer(model->chosen.caps.n_workers);
    case PIO_KEY_CONTEXT:
        return json_integer(model->options.context);
    case PIO_KEY_KV_CACHE:
        if (!model->spec.n_caches) return NULL;
        return json_string(pio_dtype_name(pio_layout_get(model->spec.caches[0].layout)->dtype));
    default:
        return NULL;
    }
}

/* Names follow {"value", "from"} pairs. */
static json_t *entry(const pio_config *config, pio_key key, const pio_model *model) {
    const bool set = pio_config_is_set(config, key);
    json_t *value = set ? NULL : settled(key, model);
    const char *from = set ? config->items[key].source : value ? "chosen" : "default";
    if (!value) value = pio_config_value(config, key);
    return value ? json_pack("{s:o, s:s}", "value", value, "from", from) : NULL;
}

json_t *pio_config_show(const pio_config *config, const pio_model *model) {
    json_t *all = json_object();
    for (int key = 0; key < PIO_KEY_COUNT && all; key++) {
        const pio_key_info *info = pio_key_get((pio_key)key);
        if (*info->model && strcmp(info->model, pio_model_family_name(model->family))) continue;
        if (!json_object_set_new(all, info->name, entry(config, (pio_key)key, model))) continue;
        json_decref(all);
        all = NULL;
    }
    return all;
}
