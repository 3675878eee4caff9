/* What an engine is opened with. Texts are borrowed as long as the model lives. */
#ifndef PIO_ENGINE_OPTIONS_H
#define PIO_ENGINE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/dtype.h"

enum { PIO_AUTO = -1 };

typedef enum pio_kv_type { PIO_KV_TYPE_AUTO, PIO_KV_TYPE_BF16, PIO_KV_TYPE_F32 } pio_kv_type;

typedef struct pio_engine_options {
    int backend;                 /* pio_backend, or PIO_AUTO */
    int device;                  /* index within the backend, or PIO_AUTO */
    int n_threads;               /* 0: one a physical core */
    uint32_t cpu_features_off;   /* pio_feature bits that the CPU backend must not use */
    pio_dtype weights;           /* PIO_DTYPE_BF16: as stored; PIO_DTYPE_Q8, PIO_DTYPE_Q4: quantised on load */
    bool compute_f32;            /* float32 activations, cache and sums, for checking */
    int32_t context;             /* tokens of one sequence; 0: the least of what the model knows, 32768 and what fits */
    const char *context_of;      /* what asks for `context`, in words; NULL: --context */
    int32_t most_context;        /* without `context`: a bound lower than 32768; 0: none */
    uint64_t memory_limit_bytes; /* of the model on its device; 0: what is free */
    pio_kv_type kv_type;         /* data type of the caches; auto: what the best rows of attention read */
    int32_t page_tokens;         /* of a cache page; 0: PIO_KV_PAGE_TOKENS */
    bool no_prefix_cache;        /* every prompt is computed from its first token */
    int32_t chunk;               /* most tokens of a step; 0: 512, 2048 on a GPU */
    int32_t max_sequences;       /* generating at once; 0: 1 */
    const char *kernels;         /* forced rows, as PIO_KERNEL; NULL: none */
    bool config_only;            /* opened for its plan: a config.json suffices */
    bool unmapped;               /* the device's memory is not mapped even where it could be: for tests */
    bool keep_taps;              /* residuals stay readable after a step */
    bool dummy_weights;          /* random numbers in place of the checkpoint's weights */
    const char *cache_directory; /* of quantised weights; NULL: no cache */
    const char *kernel_cache_directory; /* of kernels that a device has compiled; NULL: no cache */
    /* Told what a person should know: one line, no newline; `warning` lines name a problem. NULL: nobody. */
    void (*note)(void *user, bool warning, const char *line);
    /* Told how far loading is, 0 to 1; returns false to stop it. NULL: nobody. */
    bool (*progress)(void *user, const char *what, double fraction);
    void *user;
} pio_engine_options;

#endif
