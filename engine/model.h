/* A model on a device: opened (what it is, which kernels, how much memory), then loaded (weights in place, lists
 * recorded), then run a step at a time. One thread uses a model at a time. */
#ifndef PIO_ENGINE_MODEL_H
#define PIO_ENGINE_MODEL_H

#include "engine/device.h"
#include "engine/options.h"
#include "graph/plan.h"
#include "io/checkpoint.h"
#include "kernels/kv_cache/kv_cache.h"
#include "models/model.h"
#include "models/states.h"

/* Bytes on the device, by what they are for. */
typedef struct pio_memory_plan {
    uint64_t weights, cache, workspace, states;
    uint64_t vision; /* while a picture of PIO_VISION_PATCHES is seen: see vision.h */
    uint64_t total;
    uint64_t ring;            /* the part of the states that the host reads */
    uint64_t staging;         /* of the host's memory, while weights are filled; not in the total */
    pio_memory_budget budget; /* what was free when it was last looked at */
    uint64_t available;       /* where the device's buffers lie: all of it, or the part that the model may take */
} pio_memory_plan;

/* What of the plan lies in a heap of the budget: buffers lie where those of their usage do. */
uint64_t pio_memory_in_heap(const pio_memory_plan *plan, int heap);

/* A heap that is too small for what lies there, the one of the device's buffers first; -1: none. */
int pio_memory_full_heap(const pio_memory_plan *plan);

/* Whether no heap is too small, and no limit (0: none). */
bool pio_memory_fits(const pio_memory_plan *plan, uint64_t limit_bytes);

enum { PIO_MAX_BUCKETS = 24, PIO_HEAD_ROWS = 16, PIO_MAX_DISABLED = 64 };

/* One graph's list for one bound. */
typedef struct pio_bucket {
    int32_t bound;
    pio_plan plan;
    pio_list *list; /* NULL: not recorded yet */
} pio_bucket;

typedef struct pio_buckets {
    pio_bucket items[PIO_MAX_BUCKETS];
    int n;
} pio_buckets;

typedef struct pio_model {
    char *directory;
    const pio_model_family *family;
    pio_any_config config;
    pio_checkpoint *checkpoint; /* NULL: none, or dummy weights */
    pio_engine_options options; /* with the automatic values filled in */
    pio_engine_options asked;   /* as they were given */
    pio_chosen_device chosen;
    pio_passed passed; /* devices that failed before it */
    pio_selector selector;
    const pio_row *disabled[PIO_MAX_DISABLED]; /* rows that failed the self-test; the selector's list */
    pio_spec spec;
    pio_states states;
    pio_memory_plan memory_plan;
    int32_t n_pages; /* of the caches, page 0 included */
    pio_buckets body, head;
    pio_buckets vision; /* plans alone: a list is recorded for the pictures at hand */

    /* From here on: once loaded. */
    pio_kernels *kernels;
    pio_queue *queue;
    pio_buffer **weights, **caches, **state_buffers; /* one a weight, cache, state of the spec */
    pio_buffer *arena, *step;
    pio_buffer *picture_upload, *picture_workspace; /* of the last run of the vision graph; NULL before the first */
    pio_addr *addresses;                            /* of weights, caches and states, in this order */
    uint64_t *cache_bytes;
    pio_memory memory;               /* what lists were recorded with */
    struct pio_step_host *step_host; /* the step block as the host fills it */
    uint64_t read_bytes;             /* of checkpoint and cache, while the weights were filled */
    double fill_s;                   /* how long that took */
} pio_model;

/* Reads the configuration, chooses the device and its kernels, tries each of them once (a kernel that answers wrongly
 * is noted as a warning and the next one chosen), and plans the memory. No weights are read or allocated, so that
 * `plan` answers at once; opened for that alone (config_only), no kernel is compiled either, and none tried that would
 * have to be. `directory` may hold a config.json alone. */
pio_status pio_model_open(const char *directory, const pio_engine_options *options, pio_model **out, pio_error *error);

/* Allocates everything, fills the weights (from the checkpoint, the cache, or random numbers) and records the lists. */
pio_status pio_model_load(pio_model *model, pio_error *error);

/* Whether a failure of the model, loading or running it, is a reason to try another device: under automatic choice, if
 * it may be the device's own. */
bool pio_model_may_move(const pio_model *model, const pio_error *error);

/* Then: opens it on the next best device in its place, to be loaded again. False: *error says why no other will do, or
 * what it said before if the model may not move, and the model can only be closed. */
bool pio_model_move(pio_model **model, pio_error *error);

/* Notes the device line. */
void pio_model_note_device(const pio_model *model);

/* Looks at what is free, and refuses a model that needs more: with both numbers, its largest parts, and what would
 * fit. */
pio_status pio_model_check_memory(pio_model *model, pio_error *error);

/* Refuses a device that does not compute (null): its models have plans and lists, and no answers. */
pio_status pio_model_check_computes(const pio_model *model, pio_error *error);

void pio_model_close(pio_model *model); /* accepts NULL and what is half loaded */

/* Notes for a person, through options.note. */
void pio_model_note(const pio_model *model, bool warning, const char *format, ...) PIO_PRINTF(3, 4);

/* ---- what open and load are made of ---- */

/* The model as planned without the rows of `disabled`, untested. */
pio_status pio_model_open_without(const char *directory, const pio_engine_options *options,
                                  const pio_row *const *disabled, int n_disabled, pio_model **out, pio_error *error);

pio_status pio_model_make_buckets(pio_model *model, pio_error *error);   /* plans of all bounds (buckets.c) */
pio_status pio_model_record(pio_model *model, pio_error *error);         /* lists, at loading (buckets.c) */
const pio_bucket *pio_bucket_for(const pio_buckets *buckets, int32_t n); /* the least bound >= n; NULL: none */

/* The bucket for n rows, at most the largest bound; its list is recorded where it was not. */
pio_status pio_bucket_ready(pio_model *model, pio_buckets *buckets, int32_t n, const pio_bucket **out,
                            pio_error *error);
pio_status pio_model_plan_memory(pio_model *model, pio_error *error);    /* sizes, context, pages (memory.c) */
pio_status pio_model_allocate(pio_model *model, pio_error *error);       /* buffers and addresses (memory.c) */
void pio_model_release(pio_model *model);                                /* buffers (memory.c) */
uint64_t pio_model_weight_bytes(const pio_model *model, int32_t weight); /* packed (memory.c) */
pio_dtype pio_model_table_dtype(pio_dtype matrices);                     /* of tables beside such matrices */

/* Puts into the plan what is free now (memory.c). */
pio_status pio_model_look_at_memory(pio_model *model, pio_error *error);

/* The plan of the same weights under another context, and a chunk that is a bucket's bound (memory.c). */
pio_memory_plan pio_model_memory_with(const pio_model *model, int32_t context, int32_t chunk);
pio_kv_geometry pio_model_cache_geometry(const pio_model *model, int32_t cache);
uint64_t pio_model_cache_bytes(const pio_model *model, int32_t cache, int32_t n_pages);
pio_status pio_model_fill_weights(pio_model *model, pio_error *error); /* loader.c */
pio_status pio_model_fill_dummies(pio_model *model, pio_error *error); /* dummy.c */

#endif
