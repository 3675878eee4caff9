#include <stdio.h>
#include <string.h>

#include "models/model.h"

extern const pio_model_family pio_glm_family;       /* models/glm_4_7_flash/model.c */
extern const pio_model_family pio_qwen3_family;     /* models/qwen3_4b_instruct_2507/model.c */
extern const pio_model_family pio_qwen3_moe_family; /* models/qwen3_coder_30b/model.c */
extern const pio_model_family pio_qwen3_vl_family;  /* models/qwen3_vl_2b/model.c */

static const pio_model_family *const families[] = {
    &pio_glm_family,
    &pio_qwen3_family,
    &pio_qwen3_moe_family,
    &pio_qwen3_vl_family,
};

const pio_model_family *pio_model_family_at(int index) {
    return index >= 0 && (size_t)index < PIO_COUNT(families) ? families[index] : NULL;
}

const char *pio_model_family_name(const pio_model_family *family) {
    const char *slash = strrchr(family->bundled, '/');
    return slash ? slash + 1 : family->bundled;
}

pio_status pio_model_family_find(const pio_json_object *root, const pio_model_family **out, pio_error *error) {
    *out = NULL;
    const char *type;
    pio_status status = pio_json_get_string(root, "model_type", &type, error);
    if (status) return status;
    char known[256] = "";
    size_t used = 0;
    for (size_t i = 0; i < PIO_COUNT(families); i++) {
        if (!strcmp(families[i]->model_type, type)) *out = families[i];
        if (used < sizeof known)
            used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", families[i]->model_type);
    }
    if (pio_json_has(root, "quantization_config"))
        return pio_fail(
            error, PIO_UNSUPPORTED,
            "'%s': quantization_config says that the weights are quantised, which is not supported: give the "
            "checkpoint in 16 bits, and --weights q8 or q4",
            root->file);
    return *out ? PIO_OK
                : pio_fail(
                      error, PIO_UNSUPPORTED,
                      "'%s': model_type '%.60s' is not supported; supported are: %s; give a checkpoint of one of these",
                      root->file, type, known);
}
