/* Model families: what the engine asks of a model's folder. Each folder has a row in registry.c. */
#ifndef PIO_MODELS_MODEL_H
#define PIO_MODELS_MODEL_H

#include "graph/graph.h"
#include "io/json.h"
#include "models/chat/chat_form.h"

/* How a model takes pictures. */
typedef struct pio_model_eyes {
    int32_t merge;        /* patches to a side of what one token stands for; 0: a model without eyes */
    int32_t patch_values; /* numbers of a patch */
    int32_t table_side;   /* of the square table of positions */
    int32_t row_values;   /* numbers that one token's picture row has: the merged row, then those for DeepStack */
    int32_t image_token, video_token; /* the ids that stand for picture rows in a prompt */
    int32_t start_token, end_token;   /* the ids around them; -1: not known */
} pio_model_eyes;

/* What every config.json says, whatever the architecture. */
typedef struct pio_model_config {
    int32_t vocab_size, hidden_size, n_layers;
    int32_t intermediate_size; /* of the feed-forward; of dense layers, where others have experts */
    int32_t max_positions;
    float eps; /* of the norms around attention, feed-forward and head */
    double rope_theta;
    bool tied; /* the output rows are the embedding's */
    pio_model_eyes eyes;
} pio_model_config;

enum { PIO_MODEL_CONFIG_BYTES = 512 };

/* A family's own config, embedding pio_model_config first. */
typedef union pio_any_config {
    pio_model_config common;
    char bytes[PIO_MODEL_CONFIG_BYTES];
    double alignment;
} pio_any_config;

typedef struct pio_model_family {
    const char *model_type; /* as in config.json */
    const char *product;    /* the checkpoint that the folder is named after */
    const char *bundled;    /* directory of the tiny sibling under assets/ */

    const pio_chat_form *chat_form; /* by which its answers are taken apart */

    /* config.json -> *out. Old and new spellings; unsupported settings are refused by name. */
    pio_status (*read_config)(const pio_json_object *root, pio_any_config *out, pio_error *error);

    /* Builds the graphs `body` and `head` and what they share into *spec, with the states of models/states.h, and
     * `vision`, with the states "patches" and "pictures", for a model with eyes. A failure is kept in spec->error. */
    void (*build)(const pio_any_config *config, pio_spec *spec);
} pio_model_family;

/* Whether a checkpoint's tensor that the graphs do not name may be left alone: the output rows a second time where they
 * are tied, and the layer past the last, which predicts further tokens. */
bool pio_model_is_extra(const pio_any_config *config, const char *tensor);

const pio_model_family *pio_model_family_at(int index); /* NULL after the last */

/* Its name in commands, settings and functions: "qwen3_4b_instruct_2507", the last part of `bundled`. */
const char *pio_model_family_name(const pio_model_family *family);

/* The family of a config's model_type; PIO_UNSUPPORTED lists the supported ones. */
pio_status pio_model_family_find(const pio_json_object *root, const pio_model_family **out, pio_error *error);

#endif
